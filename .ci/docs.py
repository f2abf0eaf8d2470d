"""API pages of every public name: python .ci/docs.py FOLDER (pip install -e ".[dev]" first)."""

import sys
from pathlib import Path

import pdoc

PACKAGES = "minigrad", "architectures", "kernels.loops", "kernels.reference", "kernels.cpu", "kernels.cuda"

if __name__ == "__main__":
    pdoc.render.configure(docformat="markdown")
    pdoc.pdoc(*PACKAGES, output_directory=Path(sys.argv[1]))
