"""API pages of every public name: python .ci/docs.py FOLDER (pip install -e ".[dev]" first)."""

import sys
from pathlib import Path

import pdoc

from minigrad import explain

PACKAGES = "minigrad", "architectures", "kernels.reference", "kernels.cpu", "kernels.cuda"

if __name__ == "__main__":
    for name in explain.__all__:  # made on demand; pdoc lists what is there
        setattr(explain, name, getattr(explain, name))
    pdoc.render.configure(docformat="markdown")
    pdoc.pdoc(*PACKAGES, output_directory=Path(sys.argv[1]))
