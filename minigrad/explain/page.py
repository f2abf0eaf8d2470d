"""The stepper and the graph as a widget of a notebook, and as one HTML file. All numbers come from here, as texts."""

import html
import json
from pathlib import Path

from ..command.files import write_atomically
from .arrays import described, magnitude
from .diagram import diagram

STATIC = Path(__file__).parent / "static"
SCRIPTS = "dagre.min.js", "elements.js", "tree.js", "drawing.js", "panel.js", "explorer.js"


class Arrays:
    """Arrays met on the way, each described once."""

    def __init__(self):
        self.seen, self.table = {}, []

    def add(self, array):
        """The place of an array in the table; None stays None."""
        if array is None:
            return None
        if id(array) not in self.seen:
            self.seen[id(array)] = len(self.table), array  # held, so that its id stays its own
            self.table.append(described(array))
        return self.seen[id(array)][0]


def data_of(stepper):
    """All that the page shows: the diagram, a frame for each step, tables of arrays and of sources.

    The stepper goes to the end of the pass for it, and back to where it was.
    """
    position = stepper.position
    stepper.seek(len(stepper))
    steps = list(stepper.steps)
    stepper.seek(position)
    trace, arrays, sources = stepper.trace, Arrays(), {}
    shapes = {step.node: step.dy.shape for step in steps}
    ids = {node: str(i) for i, node in enumerate(trace.order)}
    return {
        **diagram(trace, shapes),
        "frames": [frame(step, ids, arrays, sources) for step in steps],
        "values": {ids[n]: [magnitude(v), arrays.add(v)] for n, v in trace.value.items() if n in ids},
        "arrays": arrays.table,
        "sources": list(sources),
    }


def frame(step, ids, arrays, sources):
    targets = [ids[p] for p, dx in zip(step.node.parents, step.dxs) if p is not None and dx is not None]
    before, after = step.added or (None, None)
    return dict(
        node=ids[step.node],
        title=step.name,
        module=step.module,
        formula=step.formula,
        where=step.where,
        source=sources.setdefault(step.source, len(sources)),
        brief=magnitude(step.dy),
        scalar=step.dy.size == 1,
        fused=step.fused,
        dy=arrays.add(step.dy),
        arrivals=[[ids[a.node], a.op, a.input, magnitude(a.array), arrays.add(a.array)] for a in step.arrivals],
        saved=[[name, step.called(name), arrays.add(a)] for name, a in step.saved],
        sends=[[n, to, arrays.add(a), target, magnitude(a)] for (n, to, a), target in zip(step.sends, targets)],
        added=None if after is None else [arrays.add(before), arrays.add(after)],
    )


def script():
    """The layout library and our own code, as one JavaScript module."""
    return "\n".join((STATIC / name).read_text(encoding="utf-8") for name in SCRIPTS)


def style():
    return (STATIC / "explorer.css").read_text(encoding="utf-8")


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>body{{margin:0}}
{style}</style></head>
<body class="mg-page"><div id="minigrad"></div>
<script type="module">
{script}
const state = {state}, listeners = [];
let theme; // of the notebook around it
try {{ theme = parent.document.body?.dataset.jpThemeLight; }} catch {{ /* a file may not look outside its frame */ }}
if (theme) document.body.dataset.jpThemeLight = theme;
const model = {{
  get: key => state[key],
  set: (key, value) => {{ state[key] = value; listeners.forEach(f => f()); }},
  on: (event, f) => listeners.push(f),
  save_changes() {{}},
}};
explorer.render({{ model, el: document.getElementById("minigrad") }});
if (state.links) document.querySelector(".mg-explorer").focus({{ preventScroll: true }});
</script></body></html>
"""


def page(mode, stepper, path=None, links=True):
    """One HTML text with script, style and numbers in it, written to path if there is one.

    links: its address says where it stands (#step=5&node=w), and it takes the keys at once: not within a notebook.
    """
    state = dict(mode=mode, data=data_of(stepper), step=stepper.position, links=links)
    state = json.dumps(state).replace("<", "\\u003c")
    own_script = script().replace("export default explorer;", "")
    title = f"minigrad: {mode} of {stepper.trace.label(stepper.trace.order[0])}"
    text = PAGE.format(title=html.escape(title), style=style(), script=own_script, state=state)
    if path is not None:
        write_atomically(Path(path), text.encode())
    return text


DRAWN = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<link rel="icon" href="data:,"><style>{style}</style></head>
<body><div id="drawn"></div>
<script type="module">
{script}
new {kind}({data}, document.getElementById("drawn"));
</script></body></html>
"""


def drawn(kind, title, data, folder, scripts=("elements.js",)):
    """The HTML text of a page that the class `kind` of KIND.js draws from data, with KIND.css beside it in a folder.

    scripts: those of the stepper's that it needs. All of it is in the text; nothing is loaded.
    """
    own = [folder / f"{kind.lower()}.{ending}" for ending in ("js", "css")]
    script = "\n".join(p.read_text(encoding="utf-8") for p in (*(STATIC / name for name in scripts), own[0]))
    css = style() + own[1].read_text(encoding="utf-8")
    quoted = json.dumps(data).replace("<", "\\u003c")
    return DRAWN.format(title=html.escape(f"minigrad: {title}"), style=css, script=script, kind=kind, data=quoted)
