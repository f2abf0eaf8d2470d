"""The pages of text: the book's own, the how-to pages of docs/, the notebooks with their stored outputs."""

import json
import shutil
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent


def write(source):
    """Copy all pages into the folder `source`; a line that says so."""
    for name in ("index.md", "gallery.md", "api.md"):
        shutil.copy(HERE / name, source)
    shutil.copytree(HERE / "static", source / "_static")
    shutil.copytree(ROOT / "docs", source / "docs")
    shutil.copytree(ROOT / "notebooks" / "images", source / "notebooks" / "images")
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    for path in notebooks:
        shutil.copy(path, source / "notebooks" / f"{path.stem}.file")
        (source / "notebooks" / path.name).write_text(json.dumps(with_source(json.loads(path.read_text()), path)))
    return f"{len(notebooks)} notebooks"


def with_source(notebook, path):
    """The notebook with one more cell after its first: where its file is."""
    source = f"*This page is a notebook:* {{download}}`{path.name} <{path.stem}.file>`"
    cell = dict(cell_type="markdown", metadata={}, source=source)
    if notebook.get("nbformat_minor", 0) >= 5:
        cell["id"] = "source-of-page"
    described = [with_description(c) for c in notebook["cells"]]
    return {**notebook, "cells": [described[0], cell, *described[1:]]}


def with_description(cell):
    """The cell with the description of its picture, for who can't see it, under the name that MyST-NB knows."""
    alt = cell["metadata"].get("alt")
    return {**cell, "metadata": {**cell["metadata"], "mystnb": {"image": {"alt": alt}}}} if alt else cell
