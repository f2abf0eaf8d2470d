"""Recipes by name: all settings of a run, where they are from, and the error that should come out."""

from .catalog import Recipe as Recipe
from .catalog import find as find
from .catalog import is_named as is_named
from .catalog import names as names
