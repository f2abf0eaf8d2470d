"""What a notebook shows of a stepper: the widget, or the page in a frame where anywidget is missing."""

import html
import importlib.util

from .page import page


def bundle(stepper, **kwargs):
    """{type: content} of a stepper, and metadata of it: what IPython asks of an object (_repr_mimebundle_)."""
    if importlib.util.find_spec("anywidget") is None:
        frame = html.escape(page("stepper", stepper))
        return {"text/html": f'<iframe srcdoc="{frame}" width="100%" height="640" frameborder="0"></iframe>'}
    if stepper.widget is None:
        from .widget import widget

        stepper.widget = widget(stepper)
    content = stepper.widget._repr_mimebundle_(**kwargs)
    content, metadata = content if isinstance(content, tuple) else (content, {})
    return {**content, "text/plain": str(stepper)}, metadata
