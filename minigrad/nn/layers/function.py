"""A function of nn.functional as a layer: its settings are given once, its tensors in each call."""

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

from ..module import Module


class Function(Module):
    """Base of layers that only apply a function. Subclasses name it; what has a default there is a setting here."""

    function: ClassVar[Callable[..., Any]]

    def __init_subclass__(cls):
        shown = inspect.signature(cls.function).parameters.values()
        cls.__signature__ = inspect.Signature([p for p in shown if p.default is not p.empty])

    def __init__(self, *args, **settings):
        bound = type(self).__signature__.bind(*args, **settings)
        bound.apply_defaults()
        vars(self).update(bound.arguments)

    def forward(self, *tensors):
        """The function of these tensors, with the settings of this layer."""
        return type(self).function(*tensors, **{name: vars(self)[name] for name in type(self).__signature__.parameters})

    def extra_repr(self):
        """The settings that are not the usual ones."""
        usual = type(self).__signature__.parameters.items()
        return ", ".join(f"{n}={vars(self)[n]!r}" for n, p in usual if vars(self)[n] is not p.default)
