// Which groups are open, what is in sight, what stands in a box, and how a node is named in a link.

class Tree {
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
  owner(id) { // the box of a node, or the one that a parameter is a line of
    return this.boxes.get(id) ?? this.data.boxes.find(b => b.parameters.some(p => p[0] === id));
  }
  called(box) { // the name of a box in a link: its variable's, else its module's, else its op's, if no other box has it
    const alone = name => name && this.data.boxes.filter(b => [b.name, b.path, b.label].includes(name)).length === 1;
    return [box.name, box.path, box.label].find(alone) ?? box.id;
  }
  find(name) { // the box of a name or an id, of a parameter by its dotted path, or the first one in a module
    const full = (b, p) => [b.path, p[1]].filter(Boolean).join(".");
    return this.boxes.get(name) ?? this.data.boxes.find(b => this.called(b) === name || b.parameters.some(p => full(b, p) === name)) ??
      this.data.boxes.find(b => [b.name, b.label, b.path].includes(name) || b.path.startsWith(`${name}.`));
  }
}

function lines(view, id) { // [text, kind, node] of what stands in a box
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
  if (box.fused) out.push(["fused", "fused"]);
  if (box.path) out.push([box.place, "muted"]);
  out.push([dims(box.shape), "muted"]);
  out.push(["value", "value", id], ["grad", "grad", id]);
  const some = box.parameters.slice(0, box.parameters.length > 4 ? 0 : 4);
  for (const [p, name, shape] of some) out.push([`${name} ${dims(shape)}`, "parameter", p], ["grad", "grad", p]);
  if (box.parameters.length > 4) out.push([`${box.parameters.length} parameters, ${thousands(box.numbers)} numbers`, "muted"]);
  return out;
}

function gradient(view, id, full) { // the text of a node's gradient, its sum on the way; full: at the end of the pass
  const at = view.frameOf[id];
  if (at === undefined) return "–";
  const { brief, arrivals, scalar } = view.data.frames[at], known = full || at < view.step;
  if (arrivals.length < 2) return known ? brief : "–";
  const arrived = full ? arrivals : arrivals.filter(a => view.frameOf[a[0]] < view.step);
  const sum = arrived.map(a => a[3]).join(" + ");
  if (!scalar || arrivals.length > 4) return known ? `${brief}, a sum of ${arrivals.length}` : arrived.length ? `${arrived.length} of ${arrivals.length} arrived` : "–";
  if (known) return `${sum} = ${brief}`;
  return arrived.length === arrivals.length ? sum : arrived.length ? `${sum} + …` : "–";
}

function filled(view, [text, kind, id], full) { // a line with its number
  if (kind === "value") return `value ${view.data.values[id]?.[0] ?? "not kept"}`;
  return kind === "grad" ? `${text} ${gradient(view, id, full)}` : text;
}
