"""What a kernel may receive: checked once, before any code that reads memory by its address.

`enforce` puts the check in front of every kernel that a module offers. All arrays of a call are on the module's device
and of one floating-point type that its kernels know, their shapes fit together (rules.py), and what is written may be
written. Anything else is a TypeError or a ValueError that names the kernel, the argument and the rule. Layouts are
free: a kernel copies what does not lie in memory as it wants.
"""

import functools
import inspect
import re

import numpy as np

from .rules import RULES

WIDE = np.dtype("float32"), np.dtype("float64")

CALL = """
def {name}({parameters}):
    try:
        right = {right}
    except (AttributeError, TypeError, ValueError, IndexError):
        right = False
    if not right:
        examine(({given},), {{}})
    return kernel({given})
"""


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
        self.parameters = list(inspect.signature(kernel).parameters)
        self.words: dict = {"array": np.ndarray if self.on_host else None, "known": WIDE, "fits": self.rule.fits}

    def wrapped(self):
        """The kernel as a function with the same signature, which checks and then calls it.

        The function is written out for this kernel: a loop over the arguments would take longer than the check.
        """
        signature = inspect.signature(self.kernel)
        words: dict = self.words | {
            "kernel": self.kernel,
            "examine": self.examine,
            "alike": alike,
            "all_writable": all_writable,
        }
        words |= {f"default_{p.name}": p.default for p in signature.parameters.values()}
        source = CALL.format(
            name=self.kernel.__name__,
            parameters=", ".join(map(in_words, signature.parameters.values())),
            given=", ".join(self.parameters),
            right=self.at_a_glance(),
        )
        exec(source, words)
        self.words = words
        return functools.wraps(self.kernel)(words[self.kernel.__name__])

    def at_a_glance(self):
        """The test, in Python, that is true if all is right, and that is seen without a look at each array."""
        marked = self.rule.arrays.split()
        names = [name.rstrip("?*") for name in marked]
        first = f"{names[0]}[0]" if "*" in marked[0] else names[0]
        written = [name for name in self.rule.writes if name in self.parameters]
        tests = [f"(first_type := {first}.dtype) in known", *map(test_of_array, marked)]
        tests += [f"all_writable({n})" if n in names else test_of_array(f"{n}?!") for n in written]
        return f"{' and '.join(tests)} and fits({', '.join(self.parameters)})"

    def given(self, args, settings):
        """(name, array) of every array among the arguments, also of those in lists."""
        values = {**dict(zip(self.parameters, args)), **settings}
        for name in dict.fromkeys((*re.findall(r"\w+", self.rule.arrays), *self.rule.writes)):
            value = values.get(name)
            if isinstance(value, list | tuple):
                yield from ((f"{name}[{i}]", each) for i, each in enumerate(value))
            elif value is not None:
                yield name, value

    def examine(self, args, settings):
        """Refuse arguments that are no arrays of this device, of other types, not to be written, or that don't fit."""
        given = list(self.given(args, settings))
        for name, a in given:
            self.check_array(name, a)
        low = {a.dtype for _, a in given if a.dtype not in WIDE}
        types = {a.dtype for _, a in given if not (low and a.ndim < 2 and a.dtype == np.float32)}
        if len(types) > 1:
            listed = ", ".join(f"{name} {a.dtype}" for name, a in given)
            raise TypeError(f"{self.kernel.__name__}: arrays of one type expected; got {listed}")
        self.check_shapes(args, settings)
        self.words["array"] = self.words["array"] or type(given[0][1])  # of this GPU's arrays: learned from the first

    def check_shapes(self, args, settings):
        try:
            fit = self.rule.fits(*args, **settings)
        except (AttributeError, TypeError, ValueError, IndexError) as error:
            raise TypeError(f"{self.kernel.__name__}: {error}") from None
        if not fit:
            shapes = ", ".join(f"{name} {a.shape}" for name, a in self.given(args, settings))
            raise ValueError(f"{self.kernel.__name__}: shapes do not fit together: {shapes}")

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


def in_words(parameter):
    """A parameter as it stands in the list of a function's parameters."""
    return parameter.name + (f"=default_{parameter.name}" if parameter.default is not parameter.empty else "")


def test_of_array(marked):
    """The test, in Python, of an argument named in a Rule, beside the type of the first array."""
    name = marked.rstrip("?*!")
    test = (
        f"alike({name}, array, first_type)"
        if "*" in marked
        else f"type({name}) is array and {name}.dtype is first_type"
    )
    test += f" and all_writable([{name}])" if "!" in marked else ""
    return f"({name} is None or {test})" if "?" in marked else test


def alike(arrays, kind, dtype):
    """Are all of this class and this type? (That they are equal is not enough to be sure at a glance.)"""
    for a in arrays:
        if type(a) is not kind or a.dtype is not dtype:
            return False
    return True


def all_writable(arrays):
    """May all be written? (Those of a GPU may; None is none.)"""
    return all(getattr(getattr(a, "flags", None), "writeable", True) for a in arrays or ())
