// Runs in a directory, read anew every two seconds: a table, curves of those that are ticked, and what one run left.

const COLOURS = ["#0969da", "#bc4c00", "#1a7f37", "#8250df", "#bf3989", "#9a6700", "#0a7d91", "#cf222e"];
const EVERY = 2000; // milliseconds

function lines(runs, field, title, unit = 1) { // the curves of a field of the records over the epochs
  const W = 460, H = 220, L = 52, B = 26;
  const points = runs.map(r => r.records.map(record => [record.epoch, record[field] * unit]).filter(([, v]) => Number.isFinite(v)));
  const values = points.flat().map(([, v]) => v);
  if (!values.length) return "";
  const low = Math.min(...values), high = Math.max(...values), last = Math.max(2, ...points.flat().map(([e]) => e));
  const x = e => L + ((e - 1) / (last - 1)) * (W - L - 12), y = v => H - B - ((v - low) / (high - low || 1)) * (H - B - 14);
  const told = runs.map((r, i) => points[i].length && `${r.name} ${points[i].at(-1)[1].toPrecision(4)}`).filter(Boolean).join(", ");
  const out = svg("svg", { viewBox: `0 0 ${W} ${H}`, class: "watch-chart", role: "img", "aria-label": `${title}: ${told}` });
  for (const v of [low, high]) out.append(svg("line", { x1: L, x2: W - 12, y1: y(v), y2: y(v), class: "watch-grid" }), svg("text", { x: L - 6, y: y(v) + 4, "text-anchor": "end" }, `${Number(v.toPrecision(3))}`));
  for (const e of [1, last]) out.append(svg("text", { x: x(e), y: H - 8, "text-anchor": "middle" }, `${e}`));
  points.forEach((own, i) => {
    out.append(svg("polyline", { points: own.map(([e, v]) => `${x(e)},${y(v)}`).join(" "), fill: "none", stroke: colour(runs[i]), "stroke-width": 2 }));
    if (own.length) out.append(svg("circle", { cx: x(own.at(-1)[0]), cy: y(own.at(-1)[1]), r: 3, fill: colour(runs[i]) }));
  });
  return html("section", {}, html("h2", {}, title), out);
}

const colour = run => COLOURS[run.number % COLOURS.length];
const best = run => Math.max(...run.records.map(r => r.test_accuracy ?? NaN));
const percent = value => (Number.isFinite(value) ? `${(100 * value).toFixed(2)} %` : "–");

function differing(runs) { // the settings in which these runs differ
  const names = [...new Set(runs.flatMap(r => Object.keys(r.settings)))].sort();
  return names.filter(n => new Set(runs.map(r => JSON.stringify(r.settings[n]))).size > 1);
}

class Watch {
  constructor(name, el) {
    this.runs = [];
    this.hidden = new Set();
    this.chosen = null;
    this.status = html("span", { class: "mg-muted", role: "status" });
    this.table = html("div", { class: "watch-wide" });
    this.curves = html("div", { class: "watch-body" });
    this.one = html("div", { class: "watch-body" });
    const root = html("div", { class: "mg-explorer watch" }, html("h1", {}, `runs in ${name} `, this.status), this.table, this.curves, this.one);
    el.append(root);
    this.again();
  }
  async again() {
    try {
      const text = await (await fetch("/runs.json")).text();
      if (text !== this.text) this.show((this.text = text));
      this.status.textContent = this.runs.length ? "" : "none yet";
    } catch {
      this.status.textContent = "the server does not answer";
    }
    setTimeout(() => this.again(), EVERY);
  }
  show(text) {
    this.runs = JSON.parse(text);
    this.draw();
    if (this.runs.length === 1) this.chosen = this.runs[0].number; // nothing to choose
    if (this.chosen !== null) this.choose(this.chosen);
  }
  draw() {
    const focus = document.activeElement?.id;
    const shown = this.runs.filter(r => !this.hidden.has(r.number)), differ = differing(shown);
    const head = html("tr", {}, ...["", "run", "state", "epoch", "test accuracy", "best", "s an epoch", ...differ].map(t => html("th", {}, t)));
    this.table.replaceChildren(html("table", { class: "watch-table" }, html("thead", {}, head), html("tbody", {}, ...this.runs.map(r => this.row(r, differ)))));
    this.curves.replaceChildren(
      lines(shown, "test_accuracy", "test accuracy, %", 100), lines(shown, "train_accuracy", "training accuracy, %", 100),
      lines(shown, "test_loss", "test loss"), lines(shown, "train_loss", "training loss"), lines(shown, "lr", "learning rate"));
    if (focus) document.getElementById(focus)?.focus();
  }
  row(run, differ) {
    const act = () => (this.hidden.delete(run.number) || this.hidden.add(run.number), this.draw());
    const tick = html("input", { type: "checkbox", id: `tick-${run.number}`, "aria-label": `compare ${run.name}`, onchange: act });
    tick.checked = !this.hidden.has(run.number);
    const name = html("button", { id: `run-${run.number}`, onclick: () => this.choose(run.number), style: `border-left: 10px solid ${colour(run)}` }, run.name);
    const last = run.records.at(-1), seconds = run.times.at(-1)?.seconds;
    const cells = [run.state, `${run.records.length} of ${run.settings.epochs}`, percent(last?.test_accuracy), percent(best(run)), seconds?.toFixed(1) ?? "–", ...differ.map(n => `${run.settings[n] ?? "–"}`)];
    return html("tr", {}, html("td", {}, tick), html("td", {}, name), ...cells.map(t => html("td", {}, t)));
  }
  async choose(number) {
    this.chosen = number;
    const run = this.runs.find(r => r.number === number);
    if (!run) return;
    const settings = html("table", { class: "watch-table" }, ...Object.entries(run.settings).map(([k, v]) => html("tr", {}, html("td", {}, k), html("td", {}, `${v}`))));
    const pictures = run.pictures.map(p => html("section", {}, html("h2", {}, p), html("img", { src: `/runs/${number}/${p}?${run.records.length}`, alt: `${p} of ${run.name}` })));
    const flow = html("section", { class: "watch-flow" }, html("h2", {}, "gradient of each weight"), html("p", { class: "mg-muted" }, "being computed"));
    this.one.replaceChildren(html("h2", { class: "watch-wide" }, run.name), flow, ...pictures, html("section", {}, html("h2", {}, "settings"), settings));
    const found = await (await fetch(`/runs/${number}/flow.json`)).json();
    flow.replaceChildren(html("h2", {}, "gradient of each weight"), ...(found.error ? [html("p", { class: "mg-muted" }, found.error)] : bars(found)));
  }
}

function bars({ layers, rms }) { // on a logarithmic scale
  const all = rms.filter(v => v > 0).map(Math.log10), low = Math.floor(Math.min(...all)), high = Math.ceil(Math.max(...all));
  const bar = (v, i) => html("div", { class: "watch-bar", title: `${layers[i]}: ${v?.toPrecision(3) ?? "not finite"}`, style: `height: ${v > 0 ? Math.max(1, (100 * (Math.log10(v) - low)) / (high - low || 1)) : 0}%` });
  const what = `from ${layers[0]} to ${layers.at(-1)}, 1e${low} at the bottom, 1e${high} at the top`;
  return [html("div", { class: "watch-bars", role: "img", "aria-label": `root mean square of each weight's gradient, ${what}` }, ...rms.map(bar)), html("p", { class: "mg-muted" }, `root mean square at the last checkpoint, on test images; ${what}`)];
}
