// Draws a graph and a cursor over the frames of its backward pass. Every number arrives from Python as a text; here
// is only drawing. Inputs: model.get("mode" | "data" | "step"). Layout: dagre, which stands before this file.

const explorer = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const LINE = 16, PAD = 10, MANY = 24; // pixels; groups are opened while no more boxes than MANY are in sight

  function html(tag, attributes = {}, ...children) {
    const e = document.createElement(tag);
    for (const k in attributes) k.startsWith("on") ? (e[k] = attributes[k]) : e.setAttribute(k, attributes[k]);
    e.append(...children);
    return e;
  }

  function svg(tag, attributes = {}, ...children) {
    const e = document.createElementNS(SVG, tag);
    for (const k in attributes) k.startsWith("on") ? (e[k] = attributes[k]) : e.setAttribute(k, attributes[k]);
    e.append(...children);
    return e;
  }

  const pen = document.createElement("canvas").getContext("2d");
  function width(text, bold) {
    pen.font = `${bold ? "600 13px" : "12px"} system-ui, sans-serif`;
    return pen.measureText(text).width;
  }

  const dims = shape => (shape.length > 1 ? shape.join(" × ") : shape.length ? `${shape[0]} numbers` : "one number");
  const thousands = n => n.toLocaleString("en-US");

  // ---- the graph -------------------------------------------------------------------------------------------------

  class Tree { // which groups are open, and what is in sight
    constructor(data) {
      this.data = data;
      this.boxes = new Map(data.boxes.map(b => [b.id, b]));
      this.groups = new Map(data.groups.map(g => [g.id, g]));
      this.open = new Set();
      for (const g of data.groups) { // outermost first
        this.open.add(g.id);
        if (this.sight().length > MANY) this.open.delete(g.id);
      }
    }
    ancestors(group) { // outermost first
      const chain = [];
      for (let g = group; g; g = this.groups.get(g).parent) chain.unshift(g);
      return chain;
    }
    standIn(box) { // the box itself, or the outermost closed group that hides it
      return this.ancestors(box.group).find(g => !this.open.has(g)) ?? box.id;
    }
    sight() {
      return [...new Set(this.data.boxes.map(b => this.standIn(b)))];
    }
    members(group) {
      return this.data.boxes.filter(b => this.ancestors(b.group).includes(group));
    }
  }

  function lines(view, id) { // [text, kind] of what stands in a box
    const box = view.tree.boxes.get(id);
    if (!box) {
      const group = view.tree.groups.get(id), inside = view.tree.members(id);
      const out = [[`${group.label} ▸`, "title"], [`${inside.length} ops, folded`, "muted"]];
      if (group.numbers) out.push([`${thousands(group.numbers)} parameters`, "muted"]);
      const first = inside.find(b => b.id in view.frameOf);
      if (first) out.push(["grad out", "grad", first.id]);
      return out;
    }
    const out = [[box.name ? `${box.name} = ${box.label}` : box.label, "title"]];
    if (box.path) out.push([box.path, "muted"]);
    out.push([dims(box.shape), "muted"]);
    out.push(["value", "value", id], ["grad", "grad", id]);
    const some = box.parameters.slice(0, box.parameters.length > 4 ? 0 : 4);
    for (const [p, name, shape] of some) out.push([`${name} ${dims(shape)}`, "parameter", p], ["grad", "grad", p]);
    if (box.parameters.length > 4) out.push([`${box.parameters.length} parameters, ${thousands(box.numbers)} numbers`, "muted"]);
    return out;
  }

  function filled(view, [text, kind, id], full) { // a line with its number; full: as it is at the end of the pass
    if (kind === "value") return `value ${view.data.values[id]?.[0] ?? "not kept"}`;
    if (kind !== "grad") return text;
    const at = view.frameOf[id], known = at !== undefined && (full || at < view.step);
    return `${text} ${known ? view.data.frames[at].brief : "–"}`;
  }

  function layout(view) {
    const graph = new dagre.graphlib.Graph({ compound: true }).setGraph({ rankdir: "TB", nodesep: 22, edgesep: 6, ranksep: 34, marginx: 12, marginy: 12 });
    graph.setDefaultEdgeLabel(() => ({}));
    const { tree } = view, seen = tree.sight();
    for (const id of seen) {
      const rows = lines(view, id);
      const w = Math.max(...rows.map(r => width(filled(view, r, true), r[1] === "title"))) + 2 * PAD + 4;
      graph.setNode(id, { width: Math.max(w, 84), height: rows.length * LINE + PAD + 4, rows });
    }
    for (const g of tree.data.groups)
      if (tree.ancestors(g.id).every(a => tree.open.has(a))) {
        graph.setNode(g.id, { cluster: true });
        if (g.parent) graph.setParent(g.id, g.parent);
      }
    for (const id of seen) {
      const parent = tree.boxes.has(id) ? tree.boxes.get(id).group : tree.groups.get(id).parent;
      if (parent) graph.setParent(id, parent);
    }
    for (const box of tree.data.boxes)
      for (const input of box.inputs) {
        const from = tree.standIn(tree.boxes.get(input)), to = tree.standIn(box);
        if (from !== to) graph.setEdge(from, to);
      }
    dagre.layout(graph);
    return graph;
  }

  function curve(points) {
    let d = `M${points[0].x},${points[0].y}`;
    for (let i = 1; i < points.length - 1; i++) {
      const m = i === points.length - 2 ? points[i + 1] : { x: (points[i].x + points[i + 1].x) / 2, y: (points[i].y + points[i + 1].y) / 2 };
      d += ` Q${points[i].x},${points[i].y} ${m.x},${m.y}`;
    }
    return d;
  }

  function drawGraph(view) {
    const graph = (view.graph ??= layout(view)), { width: w, height: h } = graph.graph(), { tree } = view;
    const frame = view.frame, hot = new Set(), current = frame && view.ownerOf(frame.node);
    if (frame) for (const [, , , target] of frame.sends) hot.add(`${view.ownerOf(target)}>${current}`);
    const marker = (id, kind) => svg("marker", { id: view.key + id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse", class: kind }, svg("path", { d: "M0,0L8,4L0,8z" }));
    const scale = Math.max(0.75, Math.min(1, (view.canvas.clientWidth - 18) / w)); // wide ones shrink while legible
    const root = svg("svg", { width: w * scale, height: h * scale, viewBox: `0 0 ${w} ${h}`, role: "group", "aria-label": "graph of the computation, inputs at the top" }, svg("defs", {}, marker("a", "mg-tip"), marker("h", "mg-tip mg-hot")));
    for (const g of tree.data.groups) {
      const at = graph.node(g.id);
      if (!at?.cluster) continue;
      root.append(svg("g", { class: "mg-group", "data-group": g.id },
        svg("rect", { x: at.x - at.width / 2, y: at.y - at.height / 2, width: at.width, height: at.height, rx: 10 })));
    }
    for (const e of graph.edges()) {
      const isHot = hot.has(`${e.v}>${e.w}`);
      root.append(svg("path", { d: curve(graph.edge(e).points), class: isHot ? "mg-edge mg-hot" : "mg-edge", [isHot ? "marker-start" : "marker-end"]: `url(#${view.key}${isHot ? "h" : "a"})` }));
    }
    for (const g of tree.data.groups) { // after the edges, so that these stay legible
      const at = graph.node(g.id), label = g.parent ? g.label.slice(g.parent.length + 1) : g.label;
      if (at?.cluster) root.append(svg("g", { class: "mg-group" }, svg("text", { x: at.x - at.width / 2 + 8, y: at.y - at.height / 2 + 15, tabindex: 0, role: "button", "aria-expanded": "true", "aria-label": `fold ${g.label}`, "data-fold": g.id, onclick: () => view.toggle(g.id) }, `${label} ▾`)));
    }
    for (const id of tree.sight()) {
      const at = graph.node(id), x = at.x - at.width / 2, y = at.y - at.height / 2, box = tree.boxes.get(id);
      const kind = ["mg-box", box ? (box.leaf ? "mg-leaf" : "") : "mg-folded", id === current ? "mg-current" : "", id === view.selected ? "mg-selected" : ""];
      const node = svg("g", { class: kind.filter(Boolean).join(" "), "data-id": id, tabindex: 0, role: "button", "aria-label": at.rows.map(row => filled(view, row, view.mode === "graph")).join(", "), ...(box ? { "aria-pressed": String(id === view.selected) } : { "aria-expanded": "false" }), onclick: () => (box ? view.select(id) : view.toggle(id)) },
        svg("rect", { x, y, width: at.width, height: at.height, rx: 7 }));
      at.rows.forEach((row, i) => node.append(svg("text", { x: x + PAD, y: y + PAD + 8 + i * LINE, class: `mg-${row[1]}`, ...(row[2] ? { [`data-${row[1]}`]: row[2] } : {}) }, filled(view, row, view.mode === "graph"))));
      root.append(node);
    }
    const scroll = view.canvas.scrollTop, left = view.canvas.scrollLeft;
    view.canvas.replaceChildren(root);
    view.canvas.scrollTop = scroll;
    view.canvas.scrollLeft = left;
    if (view.moved && view.mode !== "graph") { // keep the current box in sight, or the loss; a graph is read from its top
      const at = graph.node(current ?? tree.standIn(tree.boxes.get("0"))), c = view.canvas;
      c.scrollTop = at.y * scale - c.clientHeight / 2;
      c.scrollLeft = at.x * scale - c.clientWidth / 2;
    }
    view.moved = false;
  }

  // ---- the panel -------------------------------------------------------------------------------------------------

  function paint(heat) { // minus, zero, plus: blue, neutral, orange
    const canvas = html("canvas", { width: heat.width, height: heat.height, class: "mg-heat" });
    const image = new ImageData(heat.width, heat.height), bytes = atob(heat.data);
    for (let i = 0; i < bytes.length; i++) {
      const t = (bytes.charCodeAt(i) - 128) / 127, [r, g, b] = t < 0 ? [20, 90, 190] : [214, 80, 10], a = Math.min(1, Math.abs(t));
      image.data.set([245 + (r - 245) * a, 245 + (g - 245) * a, 245 + (b - 245) * a, 255], 4 * i);
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
    const scale = Math.max(1, Math.min(8, Math.floor(280 / Math.max(heat.width, heat.height))));
    canvas.style.width = `${heat.width * scale}px`;
    canvas.style.height = `${Math.max(heat.height * scale, 12)}px`;
    return canvas;
  }

  function array(view, title, place, key) {
    const a = view.data.arrays[place], block = html("div", { class: "mg-array", "data-array": key });
    block.append(html("div", { class: "mg-name" }, title, html("span", { class: "mg-muted" }, a.shape.length ? ` ${dims(a.shape)} ${a.type}` : ` ${a.type}`)));
    if (a.rows) block.append(html("table", a.rows.length === 1 ? { class: "mg-row" } : {}, ...a.rows.map(r => html("tr", {}, ...r.map(v => html("td", {}, v))))));
    if (a.heat) block.append(paint(a.heat), html("div", { class: "mg-muted" }, `${a.caption}; blue −${a.heat.top}, orange +${a.heat.top}`));
    if (a.shape.length) block.append(html("div", { class: "mg-muted mg-line" }, a.line));
    return block;
  }

  function stepPanel(view) {
    const f = view.frame;
    if (!f) return [html("p", {}, "The forward pass is done. Each step takes one box and sends the gradient that reached it on to its inputs."),
      html("p", { class: "mg-muted" }, "Arrow keys step, Home and End go to the ends, space plays; a click or Enter on a box shows its arrays.")];
    const out = [html("h3", {}, f.title)];
    if (f.module) out.push(html("div", { class: "mg-muted" }, f.module));
    if (f.formula) out.push(html("pre", { class: "mg-formula" }, f.formula));
    out.push(array(view, f.added ? "arrives" : "dy, the gradient that reached it", f.dy, "dy"));
    if (f.added) {
      const [before, after] = f.added;
      out.push(html("p", {}, `added to ${f.title}.grad, which was ${before === null ? "None" : "as below"} before`));
      if (before !== null) out.push(array(view, `${f.title}.grad before`, before, "before"));
      out.push(array(view, `${f.title}.grad now`, after, "after"));
    }
    f.sends.forEach(([name, to, a]) => out.push(array(view, `d${name} → ${to}`, a, `d${name}`)));
    f.saved.forEach(([name, a]) => out.push(array(view, `saved ${name}`, a, `saved-${name}`)));
    const source = view.data.sources[f.source];
    if (source) out.push(html("div", { class: "mg-muted" }, f.where), html("pre", { class: "mg-source" }, source));
    return out;
  }

  function boxPanel(view, id) {
    const box = view.tree.boxes.get(id), out = [html("h3", {}, box.name ? `${box.name} = ${box.label}` : box.label)];
    if (box.path) out.push(html("div", { class: "mg-muted" }, box.path));
    const show = (node, name, key) => {
      const value = view.data.values[node], at = view.frameOf[node];
      if (value) out.push(array(view, `${name}value`, value[1], `${key}value`));
      else out.push(html("p", { class: "mg-muted" }, `${name}value: not kept by any op. A Stepper of a function keeps all.`));
      if (at !== undefined && (at < view.step || view.mode === "graph")) out.push(array(view, `${name}gradient`, view.data.frames[at].dy, `${key}gradient`));
    };
    show(id, "", "");
    for (const [p, name] of box.parameters.slice(0, 12)) show(p, `${name}: `, `${name}-`);
    if (box.parameters.length > 12) out.push(html("p", { class: "mg-muted" }, `and ${box.parameters.length - 12} more parameters`));
    if (view.mode !== "graph") out.push(html("button", { onclick: () => view.select(null) }, "back to the step"));
    return out;
  }

  // ---- all together ----------------------------------------------------------------------------------------------

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
      this.draw();
    }
    get step() { return this.model.get("step"); }
    get frame() { return this.mode === "graph" ? null : this.data.frames[this.step - 1]; }
    ownerOf(id) { // the box in sight that a node is in, or is a parameter of
      const box = this.tree.boxes.get(id) ?? this.data.boxes.find(b => b.parameters.some(p => p[0] === id));
      return this.tree.standIn(box);
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
      if (held && this.focused() === null) { // it was drawn anew: give its successor the focus, so that keys go on working
        const same = box && [...this.canvas.querySelectorAll("[data-id], [data-fold]")].find(e => e.dataset.id === box.id && e.dataset.fold === box.fold);
        (same ?? this.root).focus({ preventScroll: true });
      }
    }
  }

  return { render: ({ model, el }) => { const view = new View(model, el); return () => view.stop(); } };
})();

export default explorer;
