// What stands beside the graph: the arrays of a step or of a box, as numbers or heat maps.

function paint(heat) { // minus, zero, plus: blue, neutral, orange, as in every picture of minigrad.explain
  const canvas = html("canvas", { width: heat.width, height: heat.height, class: "mg-heat", role: "img", "aria-label": `heat map from −${heat.top} to +${heat.top}` });
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

function legend(top) {
  return html("div", { class: "mg-legend mg-muted" }, `−${top}`, html("span", { class: "mg-scale" }), `+${top}`);
}

function array(view, title, place, key) {
  const a = view.data.arrays[place], block = html("div", { class: "mg-array", "data-array": key });
  block.append(html("div", { class: "mg-name" }, title, html("span", { class: "mg-muted" }, a.shape.length ? ` ${dims(a.shape)} ${a.type}` : ` ${a.type}`)));
  if (a.rows) block.append(html("table", a.rows.length === 1 ? { class: "mg-row" } : {}, ...a.rows.map(r => html("tr", {}, ...r.map(v => html("td", {}, v))))));
  if (a.heat) block.append(paint(a.heat), legend(a.heat.top), html("div", { class: "mg-muted" }, a.caption));
  if (a.shape.length) block.append(html("div", { class: "mg-muted mg-line" }, a.line));
  return block;
}

function arrivals(view, f) { // the gradients that the one of this step is the sum of
  if (f.arrivals.length < 2) return [];
  const sum = f.scalar && f.arrivals.length <= 12 ? `: ${f.arrivals.map(a => a[3]).join(" + ")} = ${f.brief}` : "";
  const out = [html("p", { class: "mg-sum" }, `It is used ${f.arrivals.length} times, and each use sends a gradient; they add up${sum}`)];
  const each = f.arrivals.map(([, op, input, , a], i) => array(view, `from ${op}, its d${input}`, a, `arrival-${i}`));
  return [...out, f.scalar ? "" : html("details", {}, html("summary", {}, `the ${f.arrivals.length} gradients`), ...each)];
}

function few(blocks, what) { // many are folded
  return blocks.length > 8 ? [html("details", {}, html("summary", {}, `${blocks.length} ${what}`), ...blocks)] : blocks;
}

function leafPanel(view, f) {
  const [before, after] = f.added, out = [html("p", {}, `added to ${f.title}.grad, which was ${before === null ? "None" : "as below"} before`)];
  if (before !== null) out.push(array(view, `${f.title}.grad before`, before, "before"));
  return [...out, array(view, `${f.title}.grad now`, after, "after")];
}

function stepPanel(view) {
  const f = view.frame;
  if (!f) return [html("p", {}, "The forward pass is done. Each step takes one box and sends the gradient that reached it on to its inputs."),
    html("p", { class: "mg-muted" }, "Arrow keys step, Home and End go to the ends, space plays; a click or Enter on a box shows its arrays.")];
  const out = [html("h3", {}, f.title)];
  if (f.module) out.push(html("div", { class: "mg-muted" }, f.module));
  if (f.fused) out.push(html("div", { class: "mg-muted" }, FUSED));
  if (f.formula) out.push(html("pre", { class: "mg-formula" }, f.formula));
  out.push(array(view, f.added ? "arrives" : "dy, the gradient that reached it", f.dy, "dy"), ...arrivals(view, f));
  if (f.added) out.push(...leafPanel(view, f));
  out.push(...few(f.sends.map(([name, to, a]) => array(view, `d${name} → ${to}`, a, `d${name}`)), "gradients are sent on"));
  const saved = f.saved.map(([name, called, a]) => array(view, `saved ${called}`, a, `saved-${name}`));
  out.push(...few(saved, "arrays were saved by the forward pass"));
  const source = view.data.sources[f.source];
  if (source) out.push(html("div", { class: "mg-muted" }, f.where), html("pre", { class: "mg-source" }, source));
  return out;
}

function boxPanel(view, id) {
  const box = view.tree.boxes.get(id), out = [html("h3", {}, box.name ? `${box.name} = ${box.label}` : box.label)];
  if (box.path) out.push(html("div", { class: "mg-muted" }, box.place));
  if (box.fused) out.push(html("div", { class: "mg-muted" }, FUSED));
  const show = (node, name, key) => {
    const value = view.data.values[node], at = view.frameOf[node];
    if (value) out.push(array(view, `${name}value`, value[1], `${key}value`));
    else out.push(html("p", { class: "mg-muted" }, `${name}value: not kept by any op. A Stepper of a function keeps all.`));
    if (at !== undefined && (at < view.step || view.mode === "graph")) out.push(array(view, `${name}gradient`, view.data.frames[at].dy, `${key}gradient`), ...arrivals(view, view.data.frames[at]));
  };
  show(id, "", "");
  for (const [p, name] of box.parameters.slice(0, 12)) show(p, `${name}: `, `${name}-`);
  if (box.parameters.length > 12) out.push(html("p", { class: "mg-muted" }, `and ${box.parameters.length - 12} more parameters`));
  const f = view.data.frames[view.frameOf[id]];
  if (f && f.formula) out.push(html("pre", { class: "mg-formula" }, f.formula));
  if (f && view.data.sources[f.source]) out.push(html("div", { class: "mg-muted" }, f.where), html("pre", { class: "mg-source" }, view.data.sources[f.source]));
  if (view.mode !== "graph") out.push(html("button", { onclick: () => view.select(null) }, "back to the step"));
  return out;
}
