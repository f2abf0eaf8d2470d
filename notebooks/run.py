"""Execute the notebooks, and keep their outputs in a form that doesn't change from run to run.

    python notebooks/run.py                  all of them, outputs written into the files
    python notebooks/run.py 03               those whose name starts with 03
    python notebooks/run.py --check [03]     execute without writing; fail where the file holds other outputs

A solution is Python inside <details> of a Markdown cell. After the notebook has run, each solution is executed too,
then what follows the line `# Check` in the code cell above it, which must print "right". Outputs that change from run
to run (timings) are compared only in cells that do not carry the tag "varies", and never digit by digit.
"""

import argparse
import os
import pathlib
import re
import resource
import sys
import time

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent
SOLUTION = re.compile(r"<details>.*?```python\n(.*?)```.*?</details>", re.S)
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?")
COLOUR = re.compile(r"\x1b\[[\d;]*m")
PATHS = (str(ROOT.resolve()), str(pathlib.Path.home()) + os.sep, "/tmp/", "site-packages")


def solutions(notebook):
    """(check, solution) of each exercise, as source code."""
    check = ""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            check = cell.source.partition("# Check\n")[2]
        for code in SOLUTION.findall(cell.source) if cell.cell_type == "markdown" else ():
            yield check, code


def execute(notebook, limit):
    """The notebook with fresh outputs, after its solutions passed their checks; the rest is as it was."""
    fresh = nbformat.from_dict(notebook)
    trials = [nbformat.v4.new_code_cell(f"{code}\n{check}") for check, code in solutions(notebook)]
    kept = len(fresh.cells)
    fresh.cells += trials
    settings = dict(kernel_name="python3", timeout=limit, resources={"metadata": {"path": str(HERE)}})
    NotebookClient(fresh, **settings, extra_arguments=["--log-level=ERROR"]).execute()
    for trial in trials:
        if "right" not in text_of(trial):
            raise AssertionError(f"a solution did not print 'right' when checked:\n{trial.source}\n{text_of(trial)}")
    del fresh.cells[kept:]
    return fresh


def normalise(notebook):
    """Without what differs from run to run or machine to machine: times, versions, the pieces of a printed text."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        cell.metadata["slideshow"] = {"slide_type": slide_type(cell)}
        if cell.cell_type == "code":
            cell.outputs = joined(cell.outputs)
            describe(cell)
    return notebook


def slide_type(cell):
    """Where `jupyter nbconvert --to slides` begins a slide: at a heading, and below it at each text."""
    if cell.cell_type == "code":
        return "skip" if cell.source.startswith(("# On Colab", "import ", "from ")) else "-"
    if "<details>" in cell.source:
        return "notes"  # solutions, which the speaker sees
    return "slide" if cell.source.startswith(("# ", "## ")) else "subslide"


def describe(cell):
    """Put the cell's own description of its picture, `alt` in its metadata, where viewers look for it."""
    for output in cell.outputs:
        if "alt" in cell.metadata and "image/png" in output.get("data", {}):
            output.metadata["image/png"] = {"alt": cell.metadata["alt"]}


def joined(outputs):
    """Consecutive pieces of one stream as one output (how a stream is cut depends on timing). Widgets as their text."""
    result = []
    for output in outputs:
        output.get("metadata", {}).clear()
        widget = output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
        if widget and not output.data:
            continue  # it lives as long as its kernel, and nothing is left of it
        if output.output_type == "stream" and result and result[-1].get("name") == output.name:
            result[-1].text += output.text
        else:
            result.append(output)
    return result


def text_of(cell):
    """All text among a code cell's outputs."""
    return "".join(o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in cell.outputs)


def outline(cell):
    """What of a cell's outputs must stay the same: their kinds, and their text without numbers and spacing."""
    kinds = [sorted(o.get("data", {})) or [o.output_type] for o in cell.outputs]
    text = "" if "varies" in cell.metadata.get("tags", ()) else NUMBER.sub("#", text_of(cell))
    return kinds, "".join(text.split())


def complaints(notebook, before=None):
    """What is wrong with a notebook's outputs; `before`: the same notebook with the outputs that the file holds."""
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        for path in PATHS:
            if path in str(cell.outputs):
                yield f"cell {i}: its output names a path of this machine ({path})"
        if any(o.get("name") == "stderr" for o in cell.outputs):
            yield f"cell {i}: it writes to stderr: {text_of(cell)[:300]}"
        if before is not None and outline(before.cells[i]) != outline(cell):
            yield f"cell {i}: the file holds other outputs; execute it again with `make notebooks`:\n{outline(cell)}"


def seconds():
    """Wall-clock time, and processor time of this process and of the kernels that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.perf_counter(), sum(u.ru_utime + u.ru_stime for u in used)


def run(path, check, limit):
    """Execute one notebook and print how long it took. Returns the number of complaints."""
    before, start = nbformat.read(path, 4), seconds()
    try:
        fresh = normalise(execute(before, limit=600))
    except CellExecutionError as error:
        print(f"{path.name}: {COLOUR.sub('', str(error))}")
        return 1
    wall, cpu = (now - then for now, then in zip(seconds(), start))
    wrong = list(complaints(fresh, before if check else None))
    if min(wall, cpu) > limit:  # on a machine that is busy otherwise, processor time is the fairer one
        wrong.append(f"it took {wall:.0f} s ({cpu:.0f} s of processor time); the limit is {limit} s")
    print(f"{path.name:32} {wall:5.1f} s, {cpu:5.1f} s of processor time", *wrong, sep="\n    ", flush=True)
    if not check and not wrong:
        nbformat.write(fresh, path)
    return len(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=[""], help="notebooks whose names start so (default: all)")
    parser.add_argument("--check", action="store_true", help="execute without writing")
    parser.add_argument("--limit", type=float, default=90, help="seconds for each notebook")
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    paths = sorted(p for p in HERE.glob("*.ipynb") if p.name.startswith(tuple(arguments.names)))
    if not paths:
        parser.error(f"no notebook's name starts with {' or '.join(arguments.names)}")
    sys.exit(sum(run(path, arguments.check, arguments.limit) for path in paths) > 0)


if __name__ == "__main__":
    main()
