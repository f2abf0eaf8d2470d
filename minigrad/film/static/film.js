// The film of a training run: a slider over its epochs. Every number comes from Python; here is only drawing.

function tile(picture, side) { // colours or a signed heat map, enlarged without smoothing
  const scale = Math.max(1, Math.floor(side / Math.max(picture.width, picture.height)));
  if (!picture.rgb) {
    const canvas = paint(picture);
    return Object.assign(canvas, { style: `width: ${picture.width * scale}px; height: ${picture.height * scale}px` });
  }
  const canvas = html("canvas", { width: picture.width, height: picture.height, class: "mg-heat", role: "img", "aria-label": "in colour" });
  const image = new ImageData(picture.width, picture.height), bytes = atob(picture.rgb);
  for (let i = 0, k = 0; i < bytes.length; i += 3, k += 4) image.data.set([bytes.charCodeAt(i), bytes.charCodeAt(i + 1), bytes.charCodeAt(i + 2), 255], k);
  canvas.getContext("2d").putImageData(image, 0, 0);
  canvas.style = `width: ${picture.width * scale}px; height: ${picture.height * scale}px`;
  return canvas;
}

function chart(history, names, epoch, title, unit = 1) { // lines over the epochs, and where the slider stands
  const W = 420, H = 190, L = 46, B = 26, values = names.flatMap(n => history.map(r => r[n] * unit)).filter(Number.isFinite);
  const [low, high] = [Math.min(...values), Math.max(...values)], last = Math.max(...history.map(r => r.epoch), 2);
  const x = e => L + ((e - 1) / (last - 1)) * (W - L - 12), y = v => H - B - ((v - low) / (high - low || 1)) * (H - B - 14);
  const out = svg("svg", { viewBox: `0 0 ${W} ${H}`, class: "film-chart", role: "img", "aria-label": `${title}, from ${low.toPrecision(3)} to ${high.toPrecision(3)}` });
  for (const v of [low, high]) out.append(svg("line", { x1: L, x2: W - 12, y1: y(v), y2: y(v), class: "film-grid" }), svg("text", { x: L - 6, y: y(v) + 4, "text-anchor": "end" }, v.toPrecision(3)));
  out.append(svg("line", { x1: x(epoch), x2: x(epoch), y1: 8, y2: H - B, class: "film-now" }), svg("text", { x: x(epoch), y: H - 8, "text-anchor": "middle" }, `epoch ${epoch}`));
  names.forEach((name, i) => {
    const points = history.filter(r => Number.isFinite(r[name]));
    out.append(svg("polyline", { points: points.map(r => `${x(r.epoch)},${y(r[name] * unit)}`).join(" "), class: `film-line film-${i}` }));
    const now = history.find(r => r.epoch === epoch);
    if (now && Number.isFinite(now[name])) out.append(svg("circle", { cx: x(epoch), cy: y(now[name] * unit), r: 4, class: `film-dot film-${i}` }));
  });
  const now = history.find(r => r.epoch === epoch) ?? {};
  const legend = names.map((name, i) => html("span", { class: `film-key film-${i}` }, `${name.split("_")[0]} ${Number.isFinite(now[name]) ? (now[name] * unit).toPrecision(4) : "–"}`));
  return html("section", {}, html("h2", {}, title), out, html("div", { class: "film-keys" }, ...legend));
}

class Film {
  constructor(data, el) {
    this.data = data;
    this.at = data.frames.length - 1;
    this.root = html("div", { class: "mg-explorer film", tabindex: 0, role: "region", "aria-label": "film of a training run", onkeydown: e => this.key(e) });
    this.slider = html("input", { type: "range", min: 0, max: this.at, "aria-label": "epoch", oninput: () => this.go(+this.slider.value) });
    this.player = html("button", { title: "play", "aria-label": "play", class: "mg-play", onclick: () => this.play() }, "▶ play");
    this.counter = html("span", { class: "mg-counter" });
    this.said = html("div", { class: "mg-said", "aria-live": "polite" });
    this.body = html("div", { class: "film-body" });
    const button = (name, text, step) => html("button", { title: name, "aria-label": name, class: `mg-${name}`, onclick: () => this.go(this.at + step) }, text);
    this.root.append(html("h1", {}, data.run), html("div", { class: "mg-bar" }, button("back", "◀ back", -1), button("next", "next ▶", 1), this.player, this.slider, this.counter), this.body, this.said);
    el.append(this.root);
    this.follow();
    addEventListener("hashchange", () => this.follow());
    this.root.focus({ preventScroll: true });
  }
  follow() { // #epoch=3
    const epoch = Number.parseInt(new URLSearchParams(location.hash.slice(1)).get("epoch"));
    const found = this.data.frames.findIndex(f => f.epoch === epoch);
    if (found >= 0) this.at = found;
    this.draw();
  }
  go(at) {
    this.at = Math.max(0, Math.min(this.data.frames.length - 1, at));
    history.replaceState(null, "", `#epoch=${this.data.frames[this.at].epoch}`);
    this.draw();
  }
  play() {
    if (this.timer) return this.stop();
    if (this.at === this.data.frames.length - 1) this.go(0);
    this.player.textContent = "⏸ pause";
    this.timer = setInterval(() => (this.at < this.data.frames.length - 1 ? this.go(this.at + 1) : this.stop()), 700);
  }
  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.player.textContent = "▶ play";
  }
  key(e) {
    const acts = { ArrowRight: () => this.go(this.at + 1), ArrowLeft: () => this.go(this.at - 1), Home: () => this.go(0), End: () => this.go(Infinity), " ": () => this.play() };
    if (!acts[e.key] || (e.target.tagName === "BUTTON" && e.key === " ")) return;
    e.preventDefault();
    acts[e.key]();
  }
  flow(frame) { // the gradient of each weight, on a logarithmic scale that all epochs share
    const all = this.data.frames.flatMap(f => f.flow).filter(v => v > 0).map(Math.log10), low = Math.floor(Math.min(...all)), high = Math.ceil(Math.max(...all));
    const bar = (v, i) => html("div", { class: "film-bar", title: `${this.data.weights[i]}: ${v.toPrecision(3)}`, style: `height: ${v > 0 ? Math.max(1, (100 * (Math.log10(v) - low)) / (high - low || 1)) : 0}%` });
    return html("section", {}, html("h2", {}, "gradient of each weight"), html("div", { class: "film-bars", role: "img", "aria-label": `root mean square of each weight's gradient, from ${this.data.weights[0]} to ${this.data.weights.at(-1)}` }, ...frame.flow.map(bar)),
      html("div", { class: "film-keys mg-muted" }, `root mean square, 1e${low} at the bottom, 1e${high} at the top; from ${this.data.weights[0]} to ${this.data.weights.at(-1)}`));
  }
  filters(frame) {
    if (!frame.filters) return "";
    const what = frame.filters.tiles[0].rgb ? html("div", { class: "mg-muted" }, `grey is 0, largest weight ${frame.filters.top}`) : legend(frame.filters.top);
    return html("section", {}, html("h2", {}, `filters of ${frame.filters.name}`), html("div", { class: "film-tiles" }, ...frame.filters.tiles.map(t => tile(t, 36))), what);
  }
  path(frame) {
    const first = html("figure", {}, tile(this.data.image, 96), html("figcaption", {}, `the image: ${this.data.label}`));
    const stages = frame.path.map(s => html("figure", {}, tile(s.heat, 128), legend(s.heat.top), html("figcaption", {}, `${s.name}, ${dims(s.shape)}`)));
    const guesses = frame.classes.map(([name, p]) => html("div", { class: "film-guess" }, html("span", { class: name === this.data.label ? "film-right" : "" }, name), html("span", { class: "film-meter" }, html("span", { style: `width: ${100 * p}%` })), html("span", {}, `${(100 * p).toFixed(1)} %`)));
    return html("section", { class: "film-wide" }, html("h2", {}, "one image's path"), html("div", { class: "film-path" }, first, ...stages, html("figure", { class: "film-guesses" }, ...guesses, html("figcaption", {}, "what the net says"))));
  }
  draw() {
    const frame = this.data.frames[this.at], { history } = this.data, accuracy = history.some(r => "test_accuracy" in r);
    const parts = [chart(history, ["train_loss", "test_loss"], frame.epoch, "loss")];
    if (accuracy) parts.push(chart(history, ["train_accuracy", "test_accuracy"], frame.epoch, "accuracy, %", 100));
    this.body.replaceChildren(...parts, this.filters(frame), this.flow(frame), this.path(frame));
    this.counter.textContent = `epoch ${frame.epoch} of ${history.at(-1)?.epoch ?? frame.epoch}`;
    this.slider.value = this.at;
    this.said.textContent = `epoch ${frame.epoch}: ${frame.classes[0][0]}, ${(100 * frame.classes[0][1]).toFixed(1)} per cent`;
  }
}
