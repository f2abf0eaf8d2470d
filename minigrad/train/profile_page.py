"""The page of a profile: a flame graph, part over module over op, and a table of all; one file, without a server."""

import html
import json
from pathlib import Path

from ..explain.page import STATIC, style

OWN = Path(__file__).parent / "static"

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>{style}</style></head>
<body><div id="flame"></div>
<script type="module">
{script}
new Flame({data}, document.getElementById("flame"));
</script></body></html>
"""


def page(spent, title, steps):
    """The HTML of {(part, module, op): [seconds, calls]} of so many steps."""
    data = dict(title=title, steps=steps, root=tree(spent))
    script = "\n".join(p.read_text(encoding="utf-8") for p in (STATIC / "elements.js", OWN / "flame.js"))
    css = style() + (OWN / "flame.css").read_text(encoding="utf-8")
    quoted = json.dumps(data).replace("<", "\\u003c")
    return PAGE.format(title=html.escape(f"minigrad: profile of {title}"), style=css, script=script, data=quoted)


def tree(spent):
    """{name, seconds, calls, children}: a step, its parts, their modules from the outside in, and ops at the ends."""
    root = node("step")
    for (part, module, op), (seconds, calls) in spent.items():
        place = root
        place["seconds"] += seconds
        for name in (part, *filter(None, module.split(".")), *filter(None, [op and f"{op}()"])):
            place = place["children"].setdefault(name, node(name))
            place["seconds"] += seconds
        place["calls"] += calls
    return listed(root)


def node(name):
    return dict(name=name, seconds=0.0, calls=0, children={})


def listed(place):
    return {**place, "children": [listed(child) for child in place["children"].values()]}
