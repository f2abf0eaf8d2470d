"""The stepper as a widget: its buttons move the stepper in Python, and the stepper in Python moves what is shown."""

import anywidget
import traitlets

from .page import data_of, script, style


class Explorer(anywidget.AnyWidget):
    """mode ("stepper"), data (see page.data_of), step (how many are taken), hides (CSS classes of stored pages)."""

    _esm, _css = script(), style()
    mode = traitlets.Unicode("stepper").tag(sync=True)
    data = traitlets.Dict().tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)
    hides = traitlets.List(traitlets.Unicode()).tag(sync=True)


def widget(stepper):
    """An Explorer of a stepper, each moving the other."""
    made = Explorer(data=data_of(stepper), step=stepper.position)
    made.observe(lambda change: stepper.seek(change["new"]), "step")
    return made
