"""graph(loss): a picture of the computation with shapes, parameters, values and gradients, without `dot`."""

import sys
from pathlib import Path

from ..command.files import write_atomically
from .diagram import diagram
from .figure import drawn
from .graph_drawing import drawing
from .graph_svg import svg
from .page import page
from .stepper import Stepper
from .trace import variables_of

KINDS = (".svg", ".png", ".pdf", ".html")


class Graph:
    """A picture of what computed a loss, its inputs at the top; of a notebook's cell, what is shown.

    svg               the picture as one text; save(path) writes it to a file .svg, .png or .pdf; plot() is a figure
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
        return svg(self._drawing())

    def _drawing(self):
        return drawing(self.stepper.trace, self.boxes, self.groups, self.grads)

    def plot(self):
        """The picture as a matplotlib Figure."""
        from .graph_figure import graph_figure

        return graph_figure(self._drawing())

    def save(self, path):
        """Write the picture to a file .svg, .png or .pdf, or the page to one .html. ValueError for another kind."""
        kind = Path(path).suffix.lower()
        if kind not in KINDS:
            raise ValueError(f"graph.save: path must end in {', '.join(KINDS[:-1])} or {KINDS[-1]}; got {str(path)!r}")
        texts = {".svg": lambda: self.svg, ".html": self.to_html}
        data = texts[kind]().encode() if kind in texts else drawn(self.plot(), kind[1:])
        write_atomically(Path(path), data)

    def to_html(self, path=None):
        """One HTML text with everything in it, also written to path."""
        return page("graph", self.stepper, path)

    def _repr_mimebundle_(self, **kwargs):
        from .notebook import stored

        return stored("graph", self.stepper, repr(self), self.plot())

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
