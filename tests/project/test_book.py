"""The book is built without a network, its links lead somewhere, and a reader can click through it."""

import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import browser
import pytest

from book import api, docstrings, links

ROOT = Path(__file__).parent.parent.parent
MISSING = [m for m in ("sphinx", "myst_nb", "furo", "latex2mathml") if find_spec(m) is None]
needs_sphinx = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (the extra `book`)")


def test_docstrings_keep_their_letters_and_their_tables():
    text = ["Sum of |x| * y_i, see `ops.relu`.", "", "    y = x", "", "x    the input", "y    the output"]
    expected = ["Sum of \\|x\\| \\* y\\_i, see ``ops.relu``.", "", "::", "", "        y = x", ""]
    assert docstrings.convert(text) == [*expected, "::", "", "    x    the input", "    y    the output", ""]


def test_what_a_module_only_uses_is_not_offered():
    from minigrad.nn import functional, init

    assert "conv2d" in dict(api.public(functional)) and "by_position" not in dict(api.public(functional))
    assert "Parameter" not in dict(api.public(init))


def test_dead_links_are_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<p id="here"></p><a href="b.html#there"></a><a href="#here"></a><a href="c.html">'
    )
    (tmp_path / "b.html").write_text('<script src="https://example.org/x.js"></script><a href="https://example.org">')
    assert list(links.broken(tmp_path)) == [
        "a.html: b.html#there: no such place on that page",
        "a.html: c.html: no such file",
        "b.html: https://example.org/x.js: loaded from the network",
    ]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    folder = tmp_path_factory.mktemp("book")
    done = subprocess.run([sys.executable, "-m", "book.build", str(folder)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    return folder / "html"


@pytest.fixture(scope="module")
def address(site):
    """Where the site is served."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as running:
        yield running


@pytest.fixture
def page(chromium, address, request):
    """A page of some width, that must neither complain nor ask anything of another host."""
    page, complaints = chromium.new_page(viewport=dict(width=getattr(request, "param", 1280), height=800)), []
    page.set_default_timeout(30_000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda r: r.url.startswith((address, "data:", "blob:")) or complaints.append(r.url))
    yield page
    page.close()
    assert complaints == []


@pytest.mark.long
@needs_sphinx
def test_links_resolve_and_every_public_name_has_an_entry(site):
    import importlib

    assert list(links.broken(site)) == []
    for name in api.MODULES:
        ids = links.Page((site / "api" / f"{name}.html").read_text()).ids
        entries = [f"{name}.{entry}" for entry, _ in api.public(importlib.import_module(name))]
        assert entries and [e for e in entries if e not in ids] == []


@pytest.mark.long
@needs_sphinx
@browser.needs()
@pytest.mark.parametrize("page", [1280, 390], indirect=True)
def test_pages_are_no_wider_than_the_window(page, address, site):
    for path in (
        "index",
        "gallery",
        "api/minigrad.nn",
        "docs/weights",
        "notebooks/04_batch_norm",
        "notebooks/08_resnet",
    ):
        page.goto(f"{address}/{path}.html")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path


@pytest.mark.long
@needs_sphinx
@browser.needs()
def test_a_reader_clicks_through(page, address):
    page.goto(f"{address}/index.html")
    page.get_by_role("link", name="03 · Convolution").first.click()
    assert "Convolution" in page.title() and page.locator("math").count() > 5 and page.locator("img").count() >= 4
    page.get_by_role("link", name="Next").click()
    assert "Batch norm" in page.title()

    page.goto(f"{address}/api/minigrad.nn.html")
    page.locator('[id="minigrad.nn.Conv2d"] .viewcode-link').click()
    assert "class Conv2d" in page.locator("body").inner_text()

    page.goto(f"{address}/index.html")
    page.get_by_placeholder("Search").first.fill("receptive")
    page.keyboard.press("Enter")
    page.locator("#search-results li a").first.wait_for()


@pytest.mark.long
@needs_sphinx
@browser.needs()
def test_light_and_dark(page, address):
    page.emulate_media(color_scheme="light")
    page.goto(f"{address}/index.html")
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(colour) != light


@pytest.mark.long
@needs_sphinx
@browser.needs()
def test_a_stepper_of_the_gallery_steps(page, address):
    page.goto(f"{address}/gallery.html")
    frames = page.locator("iframe.gallery")
    assert frames.count() == 5
    frame = frames.nth(0).content_frame
    frame.get_by_role("button", name="next").click()
    frame.locator(".mg-counter", has_text="step 1 of").wait_for()
