// The page and the widget: a graph with a cursor over the frames of its backward pass. Every number arrives from Python as
// a text; here is only drawing. Inputs: model.get("mode" | "data" | "step" | "links").

let views = 0;

class View {
  constructor(model, el) {
    this.model = model;
    this.mode = model.get("mode");
    this.data = model.get("data");
    this.tree = new Tree(this.data);
    this.frameOf = Object.fromEntries(this.data.frames.map((f, i) => [f.node, i]));
    this.key = `mg${views++}`;
    this.selected = null;
    this.own = this.data.frames.map(f => this.tree.boxes.has(f.node)); // else a parameter, a line in the box of its layer
    this.every = false;
    const what = this.mode === "graph" ? "graph of a computation" : "backward pass, step by step";
    this.root = html("div", { class: "mg-explorer", tabindex: 0, role: "region", "aria-label": what, onkeydown: e => this.key_(e) });
    this.said = html("div", { class: "mg-said", "aria-live": "polite" });
    this.canvas = html("div", { class: "mg-canvas" });
    this.panel = html("div", { class: "mg-panel" });
    this.root.append(...(this.mode === "graph" ? [] : [this.bar()]), html("div", { class: "mg-body" }, this.canvas, this.panel), this.said);
    el.append(this.root);
    model.on("change:step", () => this.changed());
    this.moved = true;
    this.links = Boolean(model.get("links")); // a page of its own: its address says where it stands
    if (this.links) this.follow();
    this.draw();
    if (this.links) addEventListener("hashchange", () => (this.follow(), this.draw()));
  }
  follow() { // go to where the address points: #step=5&node=w
    const asked = new URLSearchParams(location.hash.slice(1)), step = Number.parseInt(asked.get("step")), name = asked.get("node");
    if (this.mode !== "graph" && step >= 0) this.go(step);
    const box = name === null ? undefined : this.tree.find(name);
    this.selected = box?.id ?? null;
    if (!box) return;
    for (const g of this.tree.ancestors(box.group)) this.tree.open.add(g);
    this.graph = null;
    this.moved = true;
    this.linked = box.id;
  }
  link() { // write into the address where this stands
    const box = this.tree.boxes.get(this.selected), parts = this.mode === "graph" ? [] : [`step=${this.step}`];
    if (box) parts.push(`node=${encodeURIComponent(this.tree.called(box))}`);
    if (this.step || box || location.hash) history.replaceState(null, "", `#${parts.join("&")}`);
  }
  get step() { return this.model.get("step"); }
  get frame() { return this.mode === "graph" ? null : this.data.frames[this.step - 1]; }
  ownerOf(id) { // the box in sight that a node is in, or is a parameter of
    return this.tree.standIn(this.tree.owner(id));
  }
  bar() {
    const button = (name, text, f) => html("button", { class: `mg-${name}`, title: name, "aria-label": name, onclick: f }, text);
    const every = html("label", {}, html("input", { type: "checkbox", class: "mg-every", onchange: e => (this.every = e.target.checked) }), " stop at parameters");
    this.counter = html("span", { class: "mg-counter" });
    this.slider = html("input", { type: "range", min: 0, max: this.data.frames.length, oninput: () => this.go(+this.slider.value), "aria-label": "step" });
    this.player = button("play", "▶ play", () => this.play());
    return html("div", { class: "mg-bar" }, button("start", "|◀", () => this.go(0)), button("back", "◀ back", () => this.go(this.before())),
      button("next", "next ▶", () => this.go(this.after())), this.player, this.slider, this.counter, ...(this.own.every(x => x) ? [] : [every]));
  }
  after() { // the next step, past those of parameters unless they are wanted
    let step = this.step + 1;
    while (!this.every && step < this.data.frames.length && !this.own[step - 1]) step++;
    return step;
  }
  before() {
    let step = this.step - 1;
    while (!this.every && step > 0 && !this.own[step - 1]) step--;
    return step;
  }
  go(step) {
    step = Math.max(0, Math.min(this.data.frames.length, step));
    if (step === this.step) return;
    this.model.set("step", step);
    this.model.save_changes();
  }
  changed() {
    this.selected = null;
    this.moved = true;
    this.draw();
  }
  play() {
    if (this.timer || this.step === this.data.frames.length) return this.stop();
    this.player.textContent = "⏸ pause";
    this.timer = setInterval(() => (this.step < this.data.frames.length && this.root.isConnected ? this.go(this.after()) : this.stop()), 900);
  }
  stop() {
    clearInterval(this.timer);
    this.timer = null;
    if (this.player) this.player.textContent = "▶ play";
  }
  key_(e) {
    const box = e.target.closest("[data-id], [data-fold]"), native = ["BUTTON", "INPUT"].includes(e.target.tagName);
    const steps = { ArrowRight: () => this.go(this.after()), ArrowLeft: () => this.go(this.before()), Home: () => this.go(0), End: () => this.go(this.data.frames.length), " ": () => this.play() };
    let act = this.mode === "graph" ? undefined : steps[e.key];
    if (box && (e.key === "Enter" || (e.key === " " && this.mode === "graph"))) act = () => box.dispatchEvent(new MouseEvent("click"));
    if (!act || (native && (e.key === " " || e.key === "Enter"))) return;
    e.preventDefault();
    e.stopPropagation();
    act();
  }
  select(id) {
    this.selected = this.selected === id ? null : id;
    this.draw();
  }
  toggle(group) {
    this.tree.open.has(group) ? this.tree.open.delete(group) : this.tree.open.add(group);
    this.graph = null;
    this.draw();
  }
  focused() { // what has the focus, also where a notebook keeps its widgets in a tree of their own
    const active = this.root.getRootNode().activeElement;
    return this.root.contains(active) ? active : null;
  }
  draw() {
    const held = this.focused(), box = held?.closest("[data-id], [data-fold]")?.dataset;
    drawGraph(this);
    const hint = [html("p", { class: "mg-muted" }, "Click on a box for its arrays, on a module to fold or unfold it.")];
    this.panel.replaceChildren(...(this.selected !== null ? boxPanel(this, this.selected) : this.mode === "graph" ? hint : stepPanel(this)));
    if (this.counter) this.counter.textContent = `step ${this.step} of ${this.data.frames.length}`;
    if (this.slider) this.slider.value = this.step;
    if (this.mode !== "graph") this.said.textContent = this.frame ? `step ${this.step} of ${this.data.frames.length}: ${this.frame.title}, gradient ${this.frame.brief}` : "before the first step";
    if (this.links) this.link();
    if (held && this.focused() === null) { // it was drawn anew: give its successor the focus, so that keys go on working
      const same = box && [...this.canvas.querySelectorAll("[data-id], [data-fold]")].find(e => e.dataset.id === box.id && e.dataset.fold === box.fold);
      (same ?? this.root).focus({ preventScroll: true });
    }
  }
}


function standInFor(model) { // hide the stored pages that a living widget replaces; what shows them again
  const style = document.head.appendChild(html("style"));
  const hide = () => (style.textContent = (model.get("hides") ?? []).map(name => `.${name} {display: none}`).join("\n"));
  hide();
  model.on("change:hides", hide);
  return () => style.remove();
}

const explorer = {
  render: ({ model, el }) => {
    const view = new View(model, el), show = standInFor(model);
    return () => (view.stop(), show());
  },
};

export default explorer;
