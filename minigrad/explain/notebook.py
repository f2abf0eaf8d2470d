"""What a notebook shows of a stepper or a graph, and what is left of it when the notebook is only read.

Three things, of which a reader sees the best that works: the widget, which moves the stepper in Python (while a kernel
runs); the page in a frame, which clicks without one (where the notebook's HTML is trusted, and in nbconvert's pages);
and a picture, where it isn't.
"""

import base64
import html
import importlib.util
import uuid

from .diagram import diagram
from .figure import png
from .graph_drawing import drawing
from .page import page

# A reader that doesn't trust the notebook drops frame and style, and so shows the picture.
STORED = """<style>.minigrad-frame + .minigrad-picture {{display: none}}</style>
<div class="minigrad-{key}"><iframe class="minigrad-frame" title="{title}" srcdoc="{page}" width="100%" height="640"
 style="border:0"></iframe><img class="minigrad-picture" alt="{title}" src="data:image/png;base64,{picture}"></div>"""


def stored(mode, stepper, text, figure, key="page"):
    """{type: content} of what is kept in the notebook: the page in a frame, a picture, and a text."""
    picture = base64.b64encode(png(figure)).decode()
    title = "graph of a computation" if mode == "graph" else "backward pass, step by step"
    frame = html.escape(page(mode, stepper, links=False))
    whole = STORED.format(key=key, title=title, page=frame, picture=picture)
    return {"text/html": whole, "image/png": picture, "text/plain": text}


def picture(stepper):
    """The graph with the gradients of the steps that are taken, as a matplotlib Figure."""
    from .graph_figure import graph_figure

    grads = {step.node: step.dy for step in stepper.steps[: stepper.position]}
    found = diagram(stepper.trace, {step.node: step.dy.shape for step in stepper.steps})
    return graph_figure(drawing(stepper.trace, found["boxes"], found["groups"], grads))


def show(stepper):
    """Show a stepper at the end of a cell: what is kept, and the widget, which hides it as long as it lives."""
    from IPython.display import display

    key = uuid.uuid4().hex
    display(stored("stepper", stepper, str(stepper), picture(stepper), key), raw=True)
    if importlib.util.find_spec("anywidget") is None:
        return
    if stepper.widget is None:
        from .widget import widget

        stepper.widget = widget(stepper)
    stepper.widget.hides = [*stepper.widget.hides, f"minigrad-{key}"]
    content = stepper.widget._repr_mimebundle_()
    content = dict(content[0] if isinstance(content, tuple) else content)
    content.pop("text/plain", None)
    display(content, raw=True)
