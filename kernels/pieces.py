"""Element-wise work in pieces that stay in a core's cache, shared among threads.

0.5 * (np.tanh(0.5 * x) + 1) goes over memory four times if x is large. Piece by piece, only x is read from memory and
only y is written to it; and since NumPy lets go of the interpreter's lock while it computes, threads of Python share
the pieces. Elements depend on nothing but themselves, so the bits are those of the whole.
"""

import contextvars
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

PIECE = 1 << 16  # elements (measured: 2^14 costs too many steps of Python, 2^18 leaves the caches)
LEAST = 1 << 17  # elements from which it pays to wake other threads


class Helpers:
    """The threads that share the pieces with the one that asks; started when first needed, anew in a forked process."""

    def __init__(self):
        self.pool = None
        os.register_at_fork(after_in_child=self.forget)

    def forget(self):
        self.pool = None

    def submit(self, fn):
        if self.pool is None:
            self.pool = ThreadPoolExecutor(max(1, (os.cpu_count() or 1) - 1), "pieces")
        return self.pool.submit(fn)


HELPERS = Helpers()


def threads():
    """How many threads share the work: as many as the compiled kernels use, once they are there."""
    runtime = sys.modules.get("kernels.cpu.runtime")
    return runtime.get_num_threads() if runtime is not None else os.cpu_count() or 1


def each_element(fn, *arrays):
    """fn(*arrays), where each element of the result depends on the elements of the arrays in the same place alone.

    Arrays of different shapes, small ones and such whose elements don't lie in order are given to fn as they are.
    """
    first = arrays[0]
    alike = all(a.shape == first.shape and a.flags.c_contiguous for a in arrays)
    if not alike or first.size < LEAST:
        return fn(*arrays)
    return in_pieces(fn, [a.reshape(-1) for a in arrays], PIECE).reshape(first.shape)


def each_row(fn, *arrays):
    """fn(*arrays), where each entry of the result's first axis depends on those entries of the arrays alone."""
    first = arrays[0]
    if first.ndim < 2 or first.size < LEAST or any(len(a) != len(first) for a in arrays):
        return fn(*arrays)
    return in_pieces(fn, arrays, max(1, PIECE * len(first) // first.size))


def in_pieces(fn, arrays, count):
    """fn of all arrays, `count` entries of the first axis at a time."""
    size = len(arrays[0])
    start = fn(*(a[:count] for a in arrays))
    out = np.empty((size, *start.shape[1:]), start.dtype)
    out[:count] = start
    todo = iter(range(count, size, count))  # whoever is ready takes the next: `next` of a range is one step of Python

    def work():
        for begin in todo:
            out[begin : begin + count] = fn(*(a[begin : begin + count] for a in arrays))

    helpers = [HELPERS.submit(bound(work)) for _ in range(threads() - 1)]
    work()
    for helper in helpers:
        helper.result()
    return out


def bound(work):
    """work with the settings of the thread that asks, as np.errstate's are."""
    context = contextvars.copy_context()
    return lambda: context.run(work)
