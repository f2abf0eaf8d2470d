// Elements of HTML and SVG, and numbers as texts. The parts of the page follow: tree.js, drawing.js, panel.js, explorer.js.

const SVG = "http://www.w3.org/2000/svg";
const LINE = 16, PAD = 10, MANY = 24; // pixels; groups are opened while no more boxes than MANY are in sight

function filledIn(e, attributes, children) {
  for (const k in attributes) k.startsWith("on") ? (e[k] = attributes[k]) : e.setAttribute(k, attributes[k]);
  e.append(...children);
  return e;
}

const html = (tag, attributes = {}, ...children) => filledIn(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) => filledIn(document.createElementNS(SVG, tag), attributes, children);

const pen = document.createElement("canvas").getContext("2d");
function width(text, bold) {
  pen.font = `${bold ? "600 13px" : "12px"} system-ui, sans-serif`;
  return pen.measureText(text).width;
}

const dims = shape => (shape.length > 1 ? shape.join(" × ") : shape.length ? `${shape[0]} numbers` : "one number");
const thousands = n => n.toLocaleString("en-US");

const FUSED = "Fused: several ops in one pass over memory. readable=True, given to Stepper or graph with a function, writes them out.";
