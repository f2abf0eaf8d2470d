"""The recipes that come with minigrad: TOML files, one for each row of a paper's results.

A file has a `source`, what `differs` from it, whether it needs a `gpu`, how the source `tested` (if otherwise than the
command does), the [settings] that its recipes share, and a table [recipes.NAME] for each: its own settings, and the
error that the source gives.
"""

import hashlib
import json
import tomllib
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from ..command.errors import UsageError

PLACE = Path(__file__).parent
KINDS = "paper", "practical"


@dataclass(frozen=True)
class Recipe:
    """One recipe.

    name      paper/resnet20-cifar10
    source    where settings and figure are from
    settings  {name of a setting of the train command: value}
    error     per cent of the test images that are named wrongly, as the source says; None: it doesn't say
    spread    the standard deviation of the source's `runs` runs; None: it doesn't say
    differs   what the command can't do as the source does, a sentence each
    tested    how the source tested, where the command tests otherwise; the two errors can't be compared then
    gpu       does a run take more than a day on two cores?
    """

    name: str
    source: str
    settings: dict
    error: float | None = None
    spread: float | None = None
    runs: int = 1
    differs: tuple = ()
    tested: str | None = None
    gpu: bool = False

    @property
    def identity(self):
        """The name with a checksum of all that the recipe says, as runs note it: paper/resnet20-cifar10@1f2e3d4c."""
        text = json.dumps(asdict(self), sort_keys=True)
        return f"{self.name}@{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@cache
def all_recipes():
    """{name: Recipe} of all files."""
    files = [(kind, file) for kind in KINDS for file in sorted((PLACE / kind).glob("*.toml"))]
    return {recipe.name: recipe for kind, file in files for recipe in read(kind, file)}


def read(kind, file):
    """The Recipes of a file."""
    shared = tomllib.loads(file.read_text(encoding="utf-8"))
    settings, recipes = shared.pop("settings"), shared.pop("recipes")
    for name, own in recipes.items():
        facts = {**shared, **own, "settings": {**settings, **own["settings"]}}
        yield Recipe(f"{kind}/{name}", **{**facts, "differs": tuple(facts.get("differs", ()))})


def names():
    """The names of all recipes."""
    return list(all_recipes())


def is_named(text):
    """Is this the name of a recipe, perhaps with its checksum?"""
    return text.partition("@")[0] in all_recipes()


def find(text):
    """The Recipe of a name. UsageError for one that there isn't."""
    name = text.partition("@")[0]
    if name not in all_recipes():
        raise UsageError(f"no recipe {text!r}: python -m minigrad.train --list-recipes names them")
    return all_recipes()[name]
