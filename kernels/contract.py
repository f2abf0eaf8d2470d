"""What a kernel may receive: checked once, before any code that reads memory by its address.

`enforce` puts the check in front of every kernel that a module offers. All arrays of a call are on the module's device
and of one floating-point type that its kernels know, their shapes fit together (rules.py), and what is written may be
written. Anything else is a TypeError or a ValueError that names the kernel, the argument and the rule. Layouts are
free: a kernel copies what does not lie in memory as it wants.
"""

import functools
import inspect

import numpy as np

from .rules import RULES

WIDE = np.dtype("float32"), np.dtype("float64")


def enforce(module, low_types=None):
    """Put the check in front of the kernels in a module's namespace (its `globals()`).

    low_types: None for kernels of the CPU; for those of a GPU, the names of the 16-bit types that they know too.
    """
    for name in RULES:
        module[name] = Checked(module[name], module["__name__"], low_types).wrapped()


class Checked:
    """A kernel behind its check. Most calls pass at a glance; the others are examined, and mostly refused."""

    def __init__(self, kernel, module, low_types=None):
        self.kernel, self.module, self.rule = kernel, module, RULES[kernel.__name__]
        self.on_host, self.low_types = low_types is None, low_types or ()
        self.classes = [np.ndarray] if self.on_host else []  # of arrays that pass; a GPU's is learned from the first
        self.parameters = list(inspect.signature(kernel).parameters)

    def wrapped(self):
        """The kernel as a function with the same signature, which checks and then calls it."""
        kernel, fits, classes, at = self.kernel, self.rule.fits, self.classes, self.parameters.index
        leading = 1 + max(at(name) for name in self.rule.arrays.split())
        written = [at(name) for name in self.rule.writes if name in self.parameters]
        lists = [i for i in written if i < leading]
        most = min((i for i in written if i >= leading), default=len(self.parameters))  # arguments that are only read

        @functools.wraps(kernel)
        def call(*args, **settings):
            if settings or len(args) > most or one_type(args, leading, classes) is False:
                self.examine(args, settings)
            elif lists and not all_writable(args, lists):
                self.examine(args, settings)
            try:
                fit = fits(*args, **settings)
            except (AttributeError, TypeError, ValueError, IndexError) as error:
                self.examine(args, settings)
                raise TypeError(f"{kernel.__name__}: {error}") from None
            if not fit:
                raise ValueError(f"{kernel.__name__}: shapes do not fit together: {self.shapes(args, settings)}")
            return kernel(*args, **settings)

        return call

    def given(self, args, settings):
        """(name, array) of every array among the arguments, also of those in lists."""
        values = {**dict(zip(self.parameters, args)), **settings}
        for name in dict.fromkeys((*self.rule.arrays.split(), *self.rule.writes)):
            value = values.get(name)
            if isinstance(value, list | tuple):
                yield from ((f"{name}[{i}]", each) for i, each in enumerate(value))
            elif value is not None:
                yield name, value

    def shapes(self, args, settings):
        return ", ".join(f"{name} {a.shape}" for name, a in self.given(args, settings))

    def examine(self, args, settings):
        """Refuse arguments that are no arrays of this device, of other types, or not to be written."""
        given = list(self.given(args, settings))
        for name, a in given:
            self.check_array(name, a)
        low = {a.dtype for _, a in given if a.dtype not in WIDE}
        types = {a.dtype for _, a in given if not (low and a.ndim < 2 and a.dtype == np.float32)}
        if len(types) > 1:
            listed = ", ".join(f"{name} {a.dtype}" for name, a in given)
            raise TypeError(f"{self.kernel.__name__}: arrays of one type expected; got {listed}")
        self.classes.extend({type(a) for _, a in given} - set(self.classes))

    def knows(self, dtype):
        return dtype in WIDE or dtype.name in self.low_types or (self.rule.any_type and not dtype.hasobject)

    def check_array(self, name, a):
        kernel, where = self.kernel.__name__, self.module
        if isinstance(a, np.ndarray) is not self.on_host or isinstance(a, np.generic) or not hasattr(a, "strides"):
            kind = f"{type(a).__module__}.{type(a).__qualname__}"
            raise TypeError(f"{kernel}: {name} must be an array on the device of {where}; got {kind}")
        if not self.knows(a.dtype):
            known = ", ".join((*map(str, WIDE), *self.low_types))
            raise TypeError(
                f"{kernel}: {name} is {a.dtype}, but {where} computes in {known}; convert it, "
                f"for instance with .astype(np.float32)"
            )
        if name.partition("[")[0] in self.rule.writes and not getattr(a.flags, "writeable", True):
            raise ValueError(f"{kernel}: {name} would be written, but its memory is read-only; pass a copy")


def one_type(values, count, classes, dtype=None, nested=False):
    """The type of all arrays among the first values, in lists too (None without any); False where that needs a look."""
    for a in values:
        kind = type(a)
        if kind in classes:
            if a.dtype is not dtype:
                if dtype is not None or a.dtype not in WIDE:
                    return False
                dtype = a.dtype
        elif (kind is list or kind is tuple) and not nested:
            dtype = one_type(a, len(a), classes, dtype, nested=True)
            if dtype is False:
                return False
        elif a is not None and (nested or kind is not float):
            return False
        count -= 1
        if not count:
            break
    return dtype


def all_writable(args, places):
    """May the arrays in the lists at these places be written? (Those of a GPU may; what is no array is seen later.)"""
    return all(getattr(getattr(a, "flags", None), "writeable", True) for i in places for a in args[i] or ())
