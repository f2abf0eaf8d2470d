"""The notebooks run, hold the outputs of that run, and have the parts that the reader is promised."""

import ast
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).parent.parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
TOOLS = ("nbclient", "ipykernel", "anywidget")
MISSING = [t for t in TOOLS if importlib.util.find_spec(t) is None]

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def cells(path, kind):
    return [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == kind]


def source(cell):
    return "".join(cell["source"])


def prose(path):
    return "\n\n".join(source(c) for c in cells(path, "markdown"))


def test_there_are_notebooks_and_they_are_listed():
    listed = re.findall(r"\((\d\d_\w+\.ipynb)\)", (FOLDER / "README.md").read_text())
    assert listed and listed == [p.name for p in NOTEBOOKS]


@pytest.mark.long
@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (the extra `notebooks`)")
@each_notebook
def test_notebook_runs_and_holds_its_outputs(path):
    """Within 180 s beside other tests, without errors or warnings; every solution passes the check of its exercise."""
    command = [sys.executable, str(FOLDER / "run.py"), "--check", "--limit", "180", path.name]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]


@each_notebook
def test_notebook_states_its_goal_and_sets_exercises(path):
    text = prose(path)
    assert text.startswith("# ") and "**Goal.**" in text and "\n## Exercises" in text
    exercises = re.findall(r"^\*\*Exercise \d · (?:easy|medium|hard)\.\*\* ", text, re.M)
    solutions = re.findall("<details>", text)
    assert len(exercises) == len(solutions) >= 2
    assert sum("# Check\n" in source(c) for c in cells(path, "code")) == len(exercises)
    assert "assert" in "".join(source(c) for c in cells(path, "code"))


@each_notebook
def test_a_check_says_what_is_wrong(path):
    checks = [source(c).partition("# Check\n")[2] for c in cells(path, "code")]
    asserts = [n for check in checks for n in ast.walk(ast.parse(check)) if isinstance(n, ast.Assert)]
    assert asserts and [ast.unparse(a.test) for a in asserts if a.msg is None] == []


@each_notebook
def test_cells_are_short(path):
    """A cell with its output fits on a screen, and on a slide."""
    assert [source(c)[:60] for c in cells(path, "code") if len(source(c).splitlines()) > 25] == []


@each_notebook
def test_notebook_is_cut_into_slides(path):
    """Each heading begins a slide, or one below it; solutions are the speaker's, installing is nobody's."""
    notebook = json.loads(path.read_text())["cells"]
    kinds = [c["metadata"]["slideshow"]["slide_type"] for c in notebook]
    for cell, kind in zip(notebook, kinds):
        assert "\n## " not in source(cell) and "\n### " not in source(cell)
        assert (kind == "slide") == (cell["cell_type"] == "markdown" and source(cell).startswith(("# ", "## ")))
        assert (kind == "notes") == ("<details>" in source(cell))
    assert kinds[:3] == ["slide", "skip", "skip"] and kinds.count("slide") > 4 and "subslide" in kinds


@each_notebook
@pytest.mark.skipif(importlib.util.find_spec("nbconvert") is None, reason="not installed: nbconvert")
def test_slides_can_be_made(path):
    from nbconvert import SlidesExporter

    page, _ = SlidesExporter().from_filename(str(path))
    headings = len(re.findall("^## ", prose(path), re.M))
    assert page.count("<section><section>") == headings + 1
    assert page.count('<aside class="notes">') == prose(path).count("<details>")


@each_notebook
def test_teachers_find_notes_on_it(path):
    notes = (FOLDER.parent / "docs" / "teaching.md").read_text().split("\n## ")
    own = next(n for n in notes if n.startswith(path.name[:2]))
    assert all(f"**{word}.**" in own for word in ("Aim", "Time", "Mistakes", "Ask"))


@each_notebook
def test_notebook_is_small_and_of_no_particular_machine(path):
    text = path.read_text()
    assert len(text) < 1_000_000  # a stepper that clicks without a kernel is up to half of it
    assert not re.search(r"/(home|root|tmp|Users)/|site-packages|execution_state|iopub", text)
    assert all(c["execution_count"] == i + 1 for i, c in enumerate(cells(path, "code"))), "make notebooks"


@each_notebook
def test_every_picture_is_described_for_those_who_cannot_see_it(path):
    pictures = [c for c in cells(path, "code") if any("image/png" in o.get("data", {}) for o in c["outputs"])]
    assert [source(c)[:60] for c in pictures if len(c["metadata"].get("alt", "")) < 20] == []
    assert "![](" not in prose(path)


WITHOUT_NUMBA = """
import json, sys
sys.modules["numba"] = None  # as if it were not installed
import matplotlib
from IPython.core.interactiveshell import InteractiveShell
matplotlib.use("agg")
shell = InteractiveShell.instance(colors="NoColor")
for cell in json.load(open(sys.argv[1]))["cells"]:
    if cell["cell_type"] == "code" and not shell.run_cell("".join(cell["source"]), store_history=True).success:
        sys.exit("failed: " + "".join(cell["source"]))
"""


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("IPython") is None, reason="not installed: IPython")
@pytest.mark.parametrize("path", NOTEBOOKS[:2], ids=lambda p: p.stem)
def test_the_first_notebooks_run_without_numba(path):
    """As in a browser's Python: on the reference kernels, and one line says so."""
    command = [sys.executable, "-c", WITHOUT_NUMBA, path.name]
    environment = os.environ | {"PYTHONPATH": str(FOLDER.parent)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=FOLDER, env=environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert (done.stdout + done.stderr).count("numba is not installed, so the reference kernels run") == 1


def test_the_cuda_kernels_in_python_compute_what_numpy_does():
    """Those of notebook 11, in Numba's simulator."""
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1"}
    command = [sys.executable, str(FOLDER / "cuda_in_python.py")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    relu, channel_sum = (float(n) for n in re.findall(r"at most (\S+)", done.stdout))
    assert relu == 0 and channel_sum < 1e-4
