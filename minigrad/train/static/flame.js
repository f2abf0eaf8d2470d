// A flame graph: the width of a box is its share of a step. A click (or Enter) makes a box the whole; Escape goes back.

class Flame {
  constructor(data, el) {
    this.data = data;
    this.chart = html("div", { class: "flame-chart" });
    this.said = html("div", { class: "flame-said", "aria-live": "polite" });
    this.root = html("div", { class: "mg-explorer flame", onkeydown: e => void (e.key === "Escape" && this.show(data.root)) });
    this.root.append(html("h1", {}, data.title), this.said, this.chart, this.table());
    el.append(this.root);
    this.show(data.root);
  }
  ms(place) {
    return (1000 * place.seconds) / this.data.steps;
  }
  told(place, path) {
    const share = (100 * place.seconds) / this.data.root.seconds;
    return `${path}: ${Number(this.ms(place).toPrecision(3))} ms a step, ${share.toFixed(1)} %`;
  }
  wide(seconds) { // in nanoseconds: of factors that add up to less than 1, CSS fills that share of the row only
    return `flex: ${Math.round(1e9 * seconds)} 0 0`;
  }
  show(place, path = place.name) {
    this.said.textContent = `${this.told(place, path)}${place === this.data.root ? "" : " (Escape: the whole step)"}`;
    this.chart.replaceChildren(this.box(place, path, place.seconds));
  }
  box(place, path, whole) { // what is narrower than a thousandth is left out
    const kind = place.name.endsWith("()") ? "op" : path.split(" / ")[1] ?? "step";
    const act = () => this.show(place, path);
    const label = html("button", { class: `flame-box flame-${kind}`, title: this.told(place, path), onclick: act }, place.name);
    const inner = place.children.filter(c => c.seconds > whole / 1000).map(c => this.box(c, `${path} / ${c.name}`, whole));
    const own = place.seconds - place.children.reduce((sum, c) => sum + c.seconds, 0);
    if (inner.length && own > 0) inner.push(html("div", { style: this.wide(own) }));
    return html("div", { class: "flame-part", style: this.wide(place.seconds) }, label, html("div", { class: "flame-row" }, ...inner));
  }
  table() {
    const rows = [];
    const walk = (place, path) => (place.calls && rows.push([path, place]), place.children.forEach(c => walk(c, [...path, c.name])));
    walk(this.data.root, []);
    rows.sort((a, b) => b[1].seconds - a[1].seconds);
    const line = ([path, p]) => html("tr", {}, html("td", {}, path.join(" / ")), html("td", {}, this.ms(p).toFixed(3)), html("td", {}, ((100 * p.seconds) / this.data.root.seconds).toFixed(1)), html("td", {}, (p.calls / this.data.steps).toFixed(1)));
    const head = html("tr", {}, ...["what", "ms a step", "%", "calls a step"].map(t => html("th", {}, t)));
    return html("table", { class: "flame-table" }, html("thead", {}, head), html("tbody", {}, ...rows.map(line)));
  }
}
