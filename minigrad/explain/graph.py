"""graph(loss): a picture of the computation with shapes, parameters, values and gradients, in one SVG without `dot`."""

import html
import sys
from pathlib import Path

from .arrays import magnitude
from .diagram import diagram, folded
from .layered import layered
from .page import page
from .stepper import Stepper
from .trace import variables_of

LINE, PAD = 16, 10
STYLE = """
.paper{fill:#fff}.box{fill:#f6f8fa;stroke:#8c959f}.leaf{fill:#e7f3ff}.fold{stroke-dasharray:5 3}
.edge{fill:none;stroke:#57606a;stroke-width:1.3}.tip{fill:#57606a}
text{font:12px "DejaVu Sans",Verdana,sans-serif;fill:#1b1f24}
text.title{font-weight:600;font-size:13px}text.muted{fill:#57606a}text.grad{fill:#bc4c00}
@media (prefers-color-scheme:dark){.paper{fill:#14181d}.box{fill:#20262d;stroke:#6b7580}.leaf{fill:#15304a}
.edge{stroke:#a0a9b4}.tip{fill:#a0a9b4}text{fill:#e6eaef}text.muted{fill:#a0a9b4}text.grad{fill:#ff9a4d}}
"""


class Graph:
    """A picture of what computed a loss, its inputs at the top; of a notebook's cell, what is shown.

    svg               the picture as one text; save(path) writes it to a file .svg
    to_html(path)     a page on which modules fold and unfold, and a click on a box shows its arrays
    boxes, groups     what is drawn (see diagram)
    """

    def __init__(self, loss, model, variables, readable=False):
        self.stepper = Stepper(loss, model, variables, readable)
        self.stepper.run()
        steps = self.stepper.steps
        self.grads = {step.node: step.dy for step in steps}
        self.stepper.seek(0)
        found = diagram(self.stepper.trace, {node: dy.shape for node, dy in self.grads.items()})
        self.boxes, self.groups = found["boxes"], found["groups"]

    @property
    def svg(self):
        """The picture as one text."""
        order = self.stepper.trace.order
        shown = folded(self.boxes, self.groups)
        texts = {b["id"]: list(self._lines(b, order)) for b in shown}
        sizes = {i: (max(map(text_width, lines)) + 2 * PAD, len(lines) * LINE + PAD + 4) for i, lines in texts.items()}
        at, edges, size = layered(sizes, {b["id"]: b["inputs"] for b in shown})
        parts = [edge_svg(points) for points in edges.values()]
        parts += [box_svg(at[b["id"]], sizes[b["id"]], texts[b["id"]], b) for b in shown]
        return picture(parts, size)

    def _lines(self, box, order):
        """(text, kind) of what stands in a box."""
        yield f"{box['name']} = {box['label']}" if box["name"] else box["label"], "title"
        if box.get("folded"):
            yield f"{box['folded']} ops, folded", "muted"
            if box["numbers"]:
                yield f"{box['numbers']:,} parameters", "muted"
            return
        if box["path"]:
            yield box["path"], "muted"
        yield dims(box["shape"]), "muted"
        node, trace = order[int(box["id"])], self.stepper.trace
        if node in trace.value:
            yield f"value {magnitude(trace.value[node])}", "value"
        yield from self._gradient(node)
        few = box["parameters"] if len(box["parameters"]) <= 4 else []
        for i, name, shape in few:
            yield f"{name} {dims(shape)}", "value"
            yield from self._gradient(order[int(i)])
        if box["numbers"]:
            yield f"{box['numbers']:,} parameters", "muted"

    def _gradient(self, node):
        if node in self.grads:
            yield f"grad {magnitude(self.grads[node])}", "grad"

    def save(self, path):
        """Write the picture to a file .svg, or the page to one .html. ValueError for another kind of file."""
        kind = Path(path).suffix.lower()
        if kind not in ("", ".svg", ".html"):
            raise ValueError(f"graph.save: path must end in .svg or .html; got {str(path)!r} (a browser prints either)")
        text = self.to_html() if kind == ".html" else self.svg
        Path(path).write_text(text, encoding="utf-8")

    def to_html(self, path=None):
        """One HTML text with everything in it, also written to path."""
        return page("graph", self.stepper, path)

    def _repr_svg_(self):
        return self.svg

    def __repr__(self):
        numbers = sum(b["numbers"] for b in self.boxes)
        return f"<Graph of {len(self.stepper.trace.order)} nodes, {numbers:,} parameters>"


def graph(loss, model=None, readable=False):
    """The Graph of what computed a loss (a tensor of one number, or a function that computes it; see Stepper).

    The backward pass is run for the gradients' statistics; the leaves' .grad stay as they are. "rms" is the root of the
    mean square, the size of a typical number. Values that no op has kept are left out, unless loss is a function.
    readable: write fused ops out, see Stepper.
    """
    return Graph(loss, model, variables_of(sys._getframe(1)), readable)


def dims(shape):
    return " × ".join(map(str, shape)) if len(shape) > 1 else f"{shape[0]} numbers" if shape else "one number"


def text_width(line):
    text, kind = line
    return len(text) * (8.6 if kind == "title" else 7.3)


def edge_svg(points):
    (x, y), *rest = points
    d = f"M{x:.1f},{y:.1f}"
    for (x0, y0), (x1, y1) in zip(points, rest):
        middle = (y0 + y1) / 2
        d += f"C{x0:.1f},{middle:.1f} {x1:.1f},{middle:.1f} {x1:.1f},{y1:.1f}"
    return f'<path class="edge" d="{d}" marker-end="url(#tip)"/>'


def box_svg(centre, size, lines, box):
    (cx, cy), (w, h) = centre, size
    x, y = cx - w / 2, cy - h / 2
    kind = "box leaf" if box["leaf"] else "box fold" if box.get("folded") else "box"
    texts = (
        f'<text class="{kind}" x="{x + PAD:.1f}" y="{y + PAD + 8 + i * LINE:.1f}">{html.escape(text)}</text>'
        for i, (text, kind) in enumerate(lines)
    )
    rect = f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="7"/>'
    return f"<g data-id='{box['id']}'>{rect}{''.join(texts)}</g>"


def picture(parts, size):
    w, h = (round(n) for n in size)
    marker = (
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="tip" d="M0,0L8,4L0,8z"/></marker>'
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}">'
    paper = f'<rect class="paper" width="{w}" height="{h}"/>'
    return f"{head}<style>{STYLE}</style><defs>{marker}</defs>{paper}{''.join(parts)}</svg>"
