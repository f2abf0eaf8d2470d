"""Taking down what is computed, so that it can be done again without Python's part: calls on memory that stays.

Before an op on the CPU computes, it asks: which shapes, which layout, cut into which blocks? For one small image that
takes longer than the arithmetic. While a function is recorded, each call of a compiled kernel is taken down with its
arguments, and a replay makes the calls again. So all memory that they work on must stay where it was:

    empty(shape, dtype)    memory for a result, from the recording's own; when an array is dropped, the next one gets
                           its memory, as it will in each replay: nothing is planned but by the lives of arrays
    address(a)             the address of an array, which is kept alive if its memory is not from there
    assign, copied         what is computed beside the kernels, taken down like them
    once(w, fn)            what depends on shapes and weights alone, as packed weights do: computed now, and not again

Where nothing is recorded these are np.empty and the like. What is computed in any other way is computed once, when the
recording is made. Weights are the arrays that no call of the recording writes.
"""

import functools
import threading
from contextlib import contextmanager

import numpy as np

from .arena import Arena, Loan, loan_of, owner, start


class Here(threading.local):
    """The Recording that this thread makes; None where there is none."""

    recording = None


HERE = Here()


def lasting(value):
    """An argument as a recording keeps it: arrays in lent memory as arrays on the memory itself, which is lent on."""
    if type(value) in (tuple, list):
        return type(value)(map(lasting, value))
    if not isinstance(value, np.ndarray) or (loan := loan_of(value)) is None:
        return value
    offset = start(value) - start(loan.block)
    return np.ndarray(value.shape, value.dtype, loan.block, offset, value.strides)


# ---------------------------------------------------------------------------- a recording
class Recording:
    """Calls in order, each a function and its arguments, and the memory that they work on."""

    def __init__(self):
        self.arena, self.calls, self.kept = Arena(), [], []
        self.written = {}  # by id: arrays of other memory that calls write

    def take_down(self, fn, args):
        """One call more."""
        self.calls.append((fn, tuple(map(lasting, args))))

    def run_op(self, fn, inputs, settings):
        """fn(*inputs, **settings), an op's (y, backward), each taken down as one call; nothing where y is a view."""
        whole = Whole(functools.partial(fn, **settings))
        with self.paused():
            y = np.asarray(whole.forward(*inputs))
        there = self.kept_result(y, inputs)
        if there is not y:
            self.take_down(run_again, (whole.forward, (there,), *inputs))
        return there, functools.partial(self.run_backward, whole)

    def run_backward(self, whole, dy):
        """An op's gradients, taken down as one call; those that are views of dy are not computed again."""
        with self.paused():
            dxs = whole.backward(dy)
        there = tuple(self.kept_result(dx, (dy,)) for dx in dxs)
        targets = tuple(None if mine is dx else mine for mine, dx in zip(there, dxs))
        self.take_down(run_again, (whole.backward, targets, dy))
        return there

    def kept_result(self, y, args):
        """A copy of y in the recording's memory; y itself if it is None, or lies where one of the arguments does."""
        if y is None or any(np.may_share_memory(y, a) for a in args if isinstance(a, np.ndarray)):
            return y
        y = np.asarray(y)
        memory, strides = self.arena.empty((y.nbytes,), np.uint8), np.empty_like(y).strides
        there = np.ndarray(y.shape, y.dtype, memory, 0, strides)  # in y's own order of axes
        there[...] = y
        return there

    @contextmanager
    def paused(self):
        """In this block nothing is taken down."""
        HERE.recording = None
        try:
            yield
        finally:
            HERE.recording = self

    def computes(self, a):
        """Is it an array that calls write, and no weight?"""
        return isinstance(mine := owner(a), Loan) or id(mine) in self.written

    def launch(self):
        """Make all calls again, on the numbers that their memory holds now."""
        for fn, args in self.calls:
            fn(*args)

    def close(self):
        """Forget the calls and give the memory back."""
        self.calls, self.kept, self.written, self.arena = [], [], {}, Arena()


class Whole:
    """An op that is called anew in each replay, and its backward pass, which is that of its last forward pass."""

    def __init__(self, fn):
        self.fn, self.last = fn, None

    def forward(self, *inputs):
        y, self.last = self.fn(*inputs)
        return y

    def backward(self, dy):
        assert self.last is not None
        return tuple(self.last(dy))


def run_again(fn, there, *args):
    """fn(*args), whose results are put where those of the first call were; None where they need not be."""
    results = fn(*args)
    for target, y in zip(there, results if isinstance(results, tuple | list) else (results,)):
        if target is not None:
            target[...] = y


def record(fn, inputs=()):
    """Call fn() and take down what it computes: (Recording, what fn returned).

    inputs: arrays whose numbers will be others in a replay
    """
    if HERE.recording is not None:
        raise RuntimeError("a recording can't be made within a recording")
    HERE.recording = recording = Recording()
    try:
        for a in inputs:
            written(a)
        return recording, fn()
    finally:
        HERE.recording = None


# ---------------------------------------------------------------------------- for those who compute
def empty(shape, dtype):
    """np.empty; while something is recorded, in its memory."""
    return np.empty(shape, dtype) if HERE.recording is None else HERE.recording.arena.empty(shape, dtype)


def zeros(shape, dtype=np.float64):
    """np.zeros; while something is recorded, in its memory, and zeros again in each replay."""
    if HERE.recording is None:
        return np.zeros(shape, dtype)
    a = empty(shape, dtype)
    assign(a, 0)
    return a


def address(a):
    """Where an array lies in memory, for a kernel that takes addresses."""
    if HERE.recording is not None and loan_of(a) is None:
        HERE.recording.kept.append(a)
    return start(a)


def written(a):
    """The array, which a kernel will write."""
    if HERE.recording is not None and not isinstance(mine := owner(a), Loan):
        HERE.recording.written[id(mine)] = mine
    return a


def is_weight(a):
    """Is something recorded, by which this array is not written?"""
    return HERE.recording is not None and not HERE.recording.computes(a)


def once(w, fn, *args):
    """fn(*args), which depends on the weight w, or the weights in it, alone: a replay does not do it again."""
    if not all(map(is_weight, w if isinstance(w, tuple) else (w,))):
        return fn(*args)
    with HERE.recording.paused():
        return fn(*args)


def also(fn, *args):
    """Call fn(*args), which computes beside the kernels; a replay calls it, too."""
    if HERE.recording is None:
        return fn(*args)
    HERE.recording.take_down(fn, args)
    with HERE.recording.paused():
        return fn(*args)


def assign(target, values):
    """target[...] = values"""
    also(write, written(target), values)


def write(target, values):
    target[...] = values


def copied(a, dtype=None):
    """A contiguous copy, of another type if wanted."""
    if is_weight(a):
        return np.array(a, dtype, order="C")
    copy = empty(a.shape, dtype or a.dtype)
    assign(copy, a)
    return copy


def added(a, b):
    """a + b"""
    if HERE.recording is None:
        return a + b
    total = empty(a.shape, np.result_type(a, b))
    also(np.add, a, b, total)
    return total


def copy_of(a):
    """a.copy()"""
    return a.copy() if HERE.recording is None else copied(a)


def add_into(a, b):
    """a += b, and a"""
    if HERE.recording is None:
        a += b
    else:
        also(np.add, a, b, a)
    return a


def summed(a):
    """The sum over the first axis."""
    total = empty(a.shape[1:], a.dtype)
    also(np.sum, a, 0, None, total)
    return total


def contiguous(a):
    """a itself if it is contiguous, else a copy."""
    return a if a.flags.c_contiguous else copied(a)
