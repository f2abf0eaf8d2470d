// The graph as SVG. Layout: dagre, which stands before these files.

function layout(view) {
  const graph = new dagre.graphlib.Graph({ compound: true }).setGraph({ rankdir: "TB", nodesep: 22, edgesep: 6, ranksep: 38, marginx: 12, marginy: 12 });
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
    for (const input of new Set(box.inputs)) {
      const from = tree.standIn(tree.boxes.get(input)), to = tree.standIn(box);
      const uses = from === input && to === box.id ? box.inputs.filter(i => i === input).length : 1;
      if (from !== to) graph.setEdge(from, to, { uses }); // a value that is used twice has two lines
    }
  dagre.layout(graph);
  return graph;
}

function curve(points, aside) {
  const [first, ...rest] = points.map(p => ({ x: p.x + aside, y: p.y }));
  let d = `M${first.x},${first.y}`;
  for (let i = 0; i < rest.length - 1; i++) {
    const last = i === rest.length - 2, m = last ? rest[i + 1] : { x: (rest[i].x + rest[i + 1].x) / 2, y: (rest[i].y + rest[i + 1].y) / 2 };
    d += ` Q${rest[i].x},${rest[i].y} ${m.x},${m.y}`;
  }
  return d;
}

function travelling(view) { // {"from>to": [texts]} of the gradients that the current step receives and sends on
  const found = new Map(), frame = view.frame;
  const note = (from, to, text) => found.set(`${from}>${to}`, [...(found.get(`${from}>${to}`) ?? []), text]);
  if (!frame) return found;
  const current = view.ownerOf(frame.node);
  for (const [, , , target, brief] of frame.sends) note(view.ownerOf(target), current, brief);
  if (frame.arrivals.length > 1) for (const [sender, , , brief] of frame.arrivals) note(current, view.ownerOf(sender), brief);
  return found;
}

function drawEdge(view, edge, { points, uses }, hot) { // one line for each use, side by side, with what travels on it
  const texts = hot.get(`${edge.v}>${edge.w}`), out = [];
  for (let k = 0; k < uses; k++) {
    const aside = (k - (uses - 1) / 2) * 16, middle = points[Math.floor(points.length / 2)];
    const left = aside < 0 || (!aside && middle.x < Math.min(points[0].x, points.at(-1).x) - 2); // on the outer side
    const tip = texts ? { "marker-start": `url(#${view.key}h)` } : { "marker-end": `url(#${view.key}a)` };
    out.push(svg("path", { d: curve(points, aside), class: texts ? "mg-edge mg-hot" : "mg-edge", ...tip }));
    if (texts?.[k] && texts.length <= uses) out.push(svg("text", { x: middle.x + aside + (left ? -6 : 6), y: middle.y + 6, class: "mg-sent", "text-anchor": left ? "end" : "start" }, texts[k]));
  }
  return out;
}

function drawBox(view, id, at, current) {
  const x = at.x - at.width / 2, y = at.y - at.height / 2, box = view.tree.boxes.get(id), whole = view.mode === "graph";
  const kind = ["mg-box", box ? (box.leaf ? "mg-leaf" : "") : "mg-folded", id === current ? "mg-current" : "", id === view.selected ? "mg-selected" : ""];
  const said = at.rows.map(row => filled(view, row, whole)).join(", "), state = box ? { "aria-pressed": String(id === view.selected) } : { "aria-expanded": "false" };
  const node = svg("g", { class: kind.filter(Boolean).join(" "), "data-id": id, tabindex: 0, role: "button", "aria-label": said, ...state, onclick: () => (box ? view.select(id) : view.toggle(id)) },
    svg("rect", { x, y, width: at.width, height: at.height, rx: 7 }));
  at.rows.forEach((row, i) => node.append(svg("text", { x: x + PAD, y: y + PAD + 8 + i * LINE, class: `mg-${row[1]}`, ...(row[2] ? { [`data-${row[1]}`]: row[2] } : {}) }, filled(view, row, whole))));
  return node;
}

function drawGraph(view) {
  const graph = (view.graph ??= layout(view)), { width: w, height: h } = graph.graph(), { tree } = view;
  const current = view.frame && view.ownerOf(view.frame.node), hot = travelling(view);
  const marker = (id, kind) => svg("marker", { id: view.key + id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 10, markerHeight: 10, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse", class: kind }, svg("path", { d: "M0,0L8,4L0,8z" }));
  const scale = Math.max(0.75, Math.min(1, (view.canvas.clientWidth - 18) / w)); // wide ones shrink while legible
  const root = svg("svg", { width: w * scale, height: h * scale, viewBox: `0 0 ${w} ${h}`, role: "group", "aria-label": "graph of the computation, inputs at the top" }, svg("defs", {}, marker("a", "mg-tip"), marker("h", "mg-tip mg-hot")));
  const clusters = tree.data.groups.map(g => [g, graph.node(g.id)]).filter(([, at]) => at?.cluster);
  for (const [g, at] of clusters)
    root.append(svg("g", { class: "mg-group", "data-group": g.id }, svg("rect", { x: at.x - at.width / 2, y: at.y - at.height / 2, width: at.width, height: at.height, rx: 10 })));
  const edges = graph.edges().flatMap(e => drawEdge(view, e, graph.edge(e), hot));
  root.append(...edges.filter(e => e.tagName === "path"));
  for (const [g, at] of clusters) { // after the edges, so that these stay legible
    const label = g.parent ? g.label.slice(g.parent.length + 1) : g.label;
    root.append(svg("g", { class: "mg-group" }, svg("text", { x: at.x - at.width / 2 + 8, y: at.y - at.height / 2 + 15, tabindex: 0, role: "button", "aria-expanded": "true", "aria-label": `fold ${g.label}`, "data-fold": g.id, onclick: () => view.toggle(g.id) }, `${label} ▾`)));
  }
  root.append(...tree.sight().map(id => drawBox(view, id, graph.node(id), current)), ...edges.filter(e => e.tagName === "text"));
  const scroll = view.canvas.scrollTop, left = view.canvas.scrollLeft;
  view.canvas.replaceChildren(root);
  view.canvas.scrollTop = scroll;
  view.canvas.scrollLeft = left;
  const seen = view.linked ?? (view.mode !== "graph" ? current ?? tree.standIn(tree.boxes.get("0")) : null); // a graph is read from its top
  if (view.moved && seen !== null) {
    const at = graph.node(seen), c = view.canvas;
    c.scrollTop = at.y * scale - c.clientHeight / 2;
    c.scrollLeft = at.x * scale - c.clientWidth / 2;
  }
  view.moved = false;
  view.linked = null;
}
