"""Every public name says what it is: the pages that `make docs` builds have no blanks."""

import functools
import importlib
import inspect
import types

import pytest

MODULES = [
    "minigrad", "minigrad.nn", "minigrad.nn.functional", "minigrad.nn.init", "minigrad.ops", "minigrad.optim",
    "minigrad.optim.lr_scheduler", "minigrad.data", "minigrad.distributed", "minigrad.explain", "minigrad.gradcheck",
    "architectures", "kernels.loops", "kernels.reference", "kernels.cpu", "kernels.cuda",
]  # fmt: skip
OURS = ("minigrad", "architectures", "kernels")


def public(module):
    """(name, what it names) of the functions and classes that a module offers, wherever they were written."""
    for name in dir(module):
        value = getattr(module, name)
        written_by = (getattr(value, "__module__", None) or "").partition(".")[0]
        if (
            not name.startswith("_")
            and not isinstance(value, types.ModuleType)
            and callable(value)
            and written_by in OURS
        ):
            yield name, value


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
    assert module.__doc__ and seen >= 3
    assert missing == []
