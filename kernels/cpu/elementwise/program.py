"""From a function written with NumPy to the steps of a program: the function is called once, with symbols for arrays.

A Symbol answers to +, *, np.exp and so on by writing a step down. What it has no word for (a sum, an index, a function
that is not in words.py) raises TypeError, and NumPy itself computes the function.

Registers are numbered: first the inputs, then the result, the constants, and the memory of what is computed between.
"""

from typing import NamedTuple

import numpy as np

from ... import pieces
from ...reference import normal as reference
from .machine import NUMBERS, inputs_of, run

KINDS = np.dtype("float32"), np.dtype("float64")
TRUTHS = {
    *(np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal),
    *(np.bitwise_and, np.bitwise_or),
}  # their results are booleans, which a program has as 1 and 0


class Program(NamedTuple):
    """steps (n, 5): the word's number, the registers of its inputs and of its result; constants: in registers."""

    steps: np.ndarray
    constants: list
    registers: int


class Listing:
    """The steps so far, (word, inputs). An input is the index of a value, or ("constant", number).

    Values are numbered: first the inputs of the function, then the steps' results.
    """

    def __init__(self, dtype, inputs):
        self.dtype, self.inputs, self.steps = dtype, inputs, []

    def add(self, word, given):
        """A Symbol for word(*given). TypeError where the machine can't do it as NumPy does."""
        if word not in NUMBERS or len(given) != inputs_of(word):
            raise TypeError(f"no word for {word}")
        self.steps.append((word, [self.value_of(each) for each in given]))
        return Symbol(self, self.inputs + len(self.steps) - 1)

    def value_of(self, given):
        if isinstance(given, Symbol):
            return given.index
        if not isinstance(given, float | int | np.floating):
            raise TypeError(f"{type(given).__name__} is no number")
        if isinstance(given, np.generic) and np.result_type(given, self.dtype) != self.dtype:
            raise TypeError("NumPy would take a wider type")
        return "constant", float(given)


class Symbol(np.lib.mixins.NDArrayOperatorsMixin):
    """An array that isn't there yet."""

    def __init__(self, listing, index):
        self.listing, self.index, self.dtype = listing, index, listing.dtype

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if method != "__call__" or options:
            return NotImplemented
        if ufunc is np.power and type(inputs[1]) is int and inputs[1] == 2:
            ufunc, inputs = np.multiply, (inputs[0], inputs[0])
        return self.listing.add(ufunc, inputs)

    def __array_function__(self, fn, types, args, options):
        return NotImplemented if options else self.listing.add(fn, args)

    def clip(self, low, high):
        """As NumPy's, for numbers."""
        y = self if low is None else np.maximum(self, low)
        return y if high is None else np.minimum(y, high)

    def astype(self, dtype, copy=True):
        """The same; there is one type."""
        if dtype != self.dtype:
            raise TypeError(f"no word for {dtype}")
        return self


def normal_cdf(x):
    """The reference's, of an array or of a Symbol."""
    return x.listing.add(reference.normal_cdf, (x,)) if isinstance(x, Symbol) else reference.normal_cdf(x)


def traced(fn, dtype, inputs):
    """The Program of a function of so many arrays; None where it has none."""
    listing = Listing(dtype, inputs)
    try:
        y = fn(*(Symbol(listing, i) for i in range(inputs)))
    except (TypeError, AttributeError):
        return None
    last = isinstance(y, Symbol) and y.index == inputs + len(listing.steps) - 1 and y.index >= inputs
    return assembled(listing) if last and listing.steps[-1][0] not in TRUTHS else None


def assembled(listing):
    """The Program of a Listing: values get registers, which are free again after the last step that reads them."""
    inputs, steps = listing.inputs, listing.steps
    constants = list(dict.fromkeys(v for _, values in steps for v in values if isinstance(v, tuple)))
    where = {v: i for i, v in enumerate([*range(inputs), None, *constants])}  # None: the result's place
    lives = {v: s for s, (_, values) in enumerate(steps) for v in values if v not in where}  # until which step
    free, rows = [], []
    for s, (word, values) in enumerate(steps):
        given = [where[v] for v in values]
        free += [where[v] for v in dict.fromkeys(values) if lives.get(v) == s]
        where[inputs + s] = inputs if s == len(steps) - 1 else free.pop() if free else max(where.values()) + 1
        rows.append((NUMBERS[word], *(given + [0, 0])[:3], where[inputs + s]))
    return Program(np.array(rows, np.int64), [value for _, value in constants], max(where.values()) + 1)


def each_element(fn, *arrays):
    """fn(*arrays) of large arrays in one pass by all threads, where each element depends on those in its place alone.

    Results differ from NumPy's in the last places where fn has an exponential or a logarithm in it, and nothing warns
    of overflow or of the logarithm of 0.
    """
    first = arrays[0]
    alike = all(a.shape == first.shape and a.dtype == first.dtype and a.flags.c_contiguous for a in arrays)
    if alike and first.size >= pieces.LEAST and first.dtype in KINDS:
        program = traced(fn, first.dtype, len(arrays))
        if program is not None:
            return run(program, arrays)
    return pieces.each_element(fn, *arrays)
