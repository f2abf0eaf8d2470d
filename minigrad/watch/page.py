"""The page: script and style in one text, which asks the server for the runs every few seconds."""

import html
import json
from pathlib import Path

from ..explain.page import STATIC, style

OWN = Path(__file__).parent / "static"

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<link rel="icon" href="data:,"><style>{style}</style></head>
<body><div id="watch"></div>
<script type="module">
{script}
new Watch({name}, document.getElementById("watch"));
</script></body></html>
"""


def page(name):
    """The HTML text for the runs in a directory of this name."""
    script = "\n".join(p.read_text(encoding="utf-8") for p in (STATIC / "elements.js", OWN / "watch.js"))
    css = style() + (OWN / "watch.css").read_text(encoding="utf-8")
    quoted = json.dumps(name).replace("<", "\\u003c")
    return PAGE.format(title=html.escape(f"minigrad: runs in {name}"), style=css, script=script, name=quoted)
