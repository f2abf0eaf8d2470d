"""Every public name says what it is: the pages that `make book` builds have no blanks."""

import functools
import importlib
import inspect

import pytest

from book.api import MODULES, public


def members(cls):
    """(name, its docstring, inherited ones too) of the methods and properties that a class defines."""
    for name, value in vars(cls).items():
        if isinstance(value, functools.partialmethod):  # the other method says it
            continue
        if not name.startswith("_") and (isinstance(value, property) or inspect.isroutine(value)):
            yield name, inspect.getdoc(getattr(cls, name))


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_has_a_docstring(name):
    module, missing, seen = importlib.import_module(name), [], 0
    for text, value in public(module):
        seen += 1
        own = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
        missing += [] if (own or "").strip() else [text]
        if inspect.isclass(value):
            missing += [f"{text}.{member}" for member, doc in members(value) if not (doc or "").strip()]
    assert module.__doc__ and seen
    assert missing == []
