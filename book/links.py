"""What of a built site leads nowhere, or loads something from the network."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
NO_LOAD = ("canonical", "next", "prev", "index", "search", "genindex")


class Page(HTMLParser):
    """ids of a page, and (address, is it loaded with the page?) of all that it points to."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.targets = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.targets.append((found["href"], False))
        elif tag in LOADS and found.get(LOADS[tag]):
            self.targets.append((found[LOADS[tag]], found.get("rel") not in NO_LOAD))


def broken(folder):
    """Yield a line for each link whose file or anchor is missing, and for each thing loaded from elsewhere."""
    paths = sorted(Path(folder).rglob("*.html"))
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in paths}
    for path, page in pages.items():
        for address, loaded in page.targets:
            if complaint := wrong(path, address, loaded, pages):
                yield f"{path.relative_to(Path(folder).resolve())}: {address}: {complaint}"


def wrong(path, address, loaded, pages):
    """What is wrong with a link on the page `path`, or None."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return "loaded from the network" if loaded and parts.scheme != "data" else None
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return "no such file"
    known = pages.get(target)
    if parts.fragment and known and unquote(parts.fragment) not in known.ids and target.suffix == ".html":
        return "no such place on that page"
    return None
