"""The page: script and style in one text, which asks the server for the runs every few seconds."""

from pathlib import Path

from ..explain.page import drawn


def page(name):
    """The HTML text for the runs in a directory of this name."""
    return drawn("Watch", f"runs in {name}", name, Path(__file__).parent / "static")
