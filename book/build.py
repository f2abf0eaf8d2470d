"""python -m book.build FOLDER: the site in FOLDER/html (default build/book)."""

import argparse
import shutil
import sys
from pathlib import Path

from . import api, back_links, gallery, links, pages

CONF = Path(__file__).with_name("conf.py")


def build(folder):
    """Gather the sources under `folder`, run Sphinx, and look at all links. Returns a list of complaints."""
    from sphinx.cmd.build import build_main

    source, html = folder / "source", folder / "html"
    for old in (source, html):
        shutil.rmtree(old, ignore_errors=True)
    source.mkdir(parents=True)
    shutil.copy(CONF, source)
    said = [f(source) for f in (pages.write, api.write, gallery.write)]
    print(*said, sep="\n", flush=True)
    flags = ["-b", "html", "-q", "-W", "--keep-going", "-d", str(folder / "cache"), "-j", "2"]
    if build_main([*flags, str(source), str(html)]):
        return ["Sphinx complained: see above"]
    back_links.mend(html)
    return list(links.broken(html))


def main():
    parser = argparse.ArgumentParser(prog="python -m book.build", description=__doc__.split(": ")[1])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("build/book"))
    folder = parser.parse_args().folder
    complaints = build(folder)
    print(*complaints, sep="\n", file=sys.stderr)
    if not complaints:
        print(f"open {folder / 'html' / 'index.html'}")
    sys.exit(bool(complaints))


if __name__ == "__main__":
    main()
