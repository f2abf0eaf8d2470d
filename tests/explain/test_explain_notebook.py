"""What a stored notebook keeps of a stepper: a page that clicks without Python, and a picture where that is dropped."""

import base64
import re

import browser
import pytest

import minigrad as mg
from minigrad import explain

CELL = """\
import minigrad as mg
from minigrad import explain
s = mg.tensor(3.0, requires_grad=True)
explain.Stepper(s * s + s)
"""


def executed(folder):
    """A notebook with CELL, run as `nbconvert --execute` runs it: with the widgets' states."""
    import nbclient
    import nbformat

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    notebook.metadata["kernelspec"] = dict(name="python3", display_name="Python 3", language="python")
    return nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(folder)}}).execute()


def fork():
    s = mg.tensor(3.0, requires_grad=True)
    return explain.Stepper(s * s + s)


@pytest.fixture
def displayed(monkeypatch):
    """What IPython is given to show."""
    display, shown = pytest.importorskip("IPython.display"), []
    monkeypatch.setattr(display, "display", lambda content, raw: shown.append(content))
    return shown


def test_what_is_kept_of_a_stepper(displayed):
    stepper = fork()
    stepper.seek(2)
    stepper._ipython_display_()
    kept = displayed[0]
    assert kept["text/plain"] == str(stepper) and base64.b64decode(kept["image/png"])[:4] == b"\x89PNG"
    untrusted = re.sub(r"<(style|iframe).*?</\1>", "", kept["text/html"], flags=re.S)
    picture = re.search(r'<img class="minigrad-picture" [^>]*src="data:image/png;base64,([^"]*)">', untrusted)
    assert picture and picture[1] == kept["image/png"] and "srcdoc" in kept["text/html"]


def test_the_widget_hides_what_is_kept(displayed):
    pytest.importorskip("anywidget")
    stepper = fork()
    stepper._ipython_display_()
    stepper._ipython_display_()  # twice in a notebook
    pages = [re.search(r'<div class="(minigrad-\w+)">', content["text/html"])[1] for content in displayed[::2]]
    assert stepper.widget.hides == pages and len(set(pages)) == 2
    assert all("text/plain" not in content for content in displayed[1::2])


@pytest.mark.long
@browser.needs("nbclient", "nbconvert", "ipykernel")
def test_a_page_of_nbconvert_clicks(tmp_path):
    import nbconvert

    notebook = executed(tmp_path)
    kinds = [sorted(output["data"]) for output in notebook.cells[0].outputs]
    assert ["image/png", "text/html", "text/plain"] in kinds
    (tmp_path / "page.html").write_text(nbconvert.HTMLExporter().from_notebook_node(notebook)[0], encoding="utf-8")
    with browser.chromium() as chromium:
        page = chromium.new_page(viewport=dict(width=1000, height=900))
        page.goto(f"file://{tmp_path}/page.html", wait_until="domcontentloaded")
        frame = page.frame_locator("iframe.minigrad-frame")
        for step in (1, 2, 3):
            frame.locator(".mg-next").click()
            frame.get_by_text(f"step {step} of 3", exact=True).wait_for()
        assert frame.locator('[data-array="dy"] td').inner_text() == "7"
        assert not page.locator("img.minigrad-picture").is_visible()
        page.evaluate("document.querySelectorAll('style, iframe').forEach(e => e.remove())")
        assert page.locator("img.minigrad-picture").is_visible()
