"""Links from a source page back to its entry: Sphinx takes an object that two modules offer to stand on one page."""

import re

from .api import MODULES
from .links import Page

BACK = re.compile(r'<a class="viewcode-back" href="([./]*api/)[\w.]+\.html#([\w.]+)">(.*?)</a>')


def mend(html):
    """Let each such link under the folder `html` lead to a page that has the entry; without one there is no link."""
    pages = {m: Page((html / "api" / f"{m}.html").read_text(encoding="utf-8")).ids for m in MODULES}

    def right(found):
        start, place, text = found.groups()
        own = max((m for m in MODULES if place.startswith(m + ".")), key=len)
        name = place[len(own) :]
        page = next((m for m in (own, *MODULES) if m + name in pages[m]), None)
        return f'<a class="viewcode-back" href="{start}{page}.html#{page}{name}">{text}</a>' if page else ""

    for path in (html / "_modules").rglob("*.html"):
        path.write_text(BACK.sub(right, path.read_text(encoding="utf-8")), encoding="utf-8")
