"""CUDA graphs of the emulated GPU: while a stream captures, work is noted instead of done, and nothing can be read.

As strict as CUDA about it: reading a number back, waiting, or copying an array from the host is refused and spoils the
capture. As strict as one should be about memory: what is allocated meanwhile must come from a pool of its own, for the
common pool would give it to others, into whose numbers a replay then writes. And what comes from the graph's pool has
held other numbers of the same graph before, in each launch: there it is poisoned where it was allocated.
"""

import contextlib
import threading
import weakref
from typing import ClassVar

import numpy as np


class State(threading.local):
    """notes: the work noted so far, a list, or None where nothing is captured; pool: the allocator in force;

    own_pool: the one that was when the capture began; device: the number of the thread's current GPU;

    poisons: how many of the notes are no launches, but poison memory.
    """

    notes, pool, own_pool, spoiled, device, poisons = None, None, None, False, 0, 0


state = State()


def current_device():
    return state.device


def set_device(number):
    state.device = number


def capturing():
    return state.notes is not None


def refuse_while_capturing(what):
    """RuntimeError within a capture, which can't be used any more then."""
    if capturing():
        state.spoiled = True
        raise RuntimeError(f"{what}: operation not permitted when stream is capturing")


def check_pool():
    if capturing() and state.pool is None:
        raise RuntimeError("memory of the common pool in a graph: use an allocator of its own")


def pool_in_force():
    """The pool whose allocator was chosen, or None for the common one."""
    return state.pool and state.pool.__self__


def is_captured_from(pool):
    """Is this the pool that the graph under way has for its own?"""
    return capturing() and pool is not None and state.own_pool == pool.malloc


def poisoned_in_each_launch(pool, poison_it):
    """Memory of the pool begins or ends to be an array's: if it is the graph's own, each launch poisons it there."""
    if is_captured_from(pool):
        state.notes.append(poison_it)
        state.poisons += 1
    return is_captured_from(pool)


def refuse_to_free(pool):
    """RuntimeError if the graph under way has launches on what the pool would give away."""
    if is_captured_from(pool):
        raise RuntimeError("free_all_blocks: frees memory that the graph under way works on")


def are_watched():
    """Are there graphs, or is one captured? Then memory that is given back is poisoned at once."""
    return capturing() or bool(Graph.alive)


def do(work):
    """Do work() that writes into arrays: now, or at each launch of the graph that is being captured."""
    if capturing():
        state.notes.append(work)
    else:
        work()


def poison(array):
    """Numbers that nobody may look at before the graph is launched. (Whole numbers may be indices, and stay.)"""
    if array.dtype.kind == "f" or array.dtype.name == "bfloat16":
        array.fill(np.nan)


def noted(work, array):
    """Each launch fills the array with the result of work()."""
    state.notes.append(lambda: np.copyto(array, work()))
    poison(array)


class Graph:
    """Noted work, so many launches of kernels (copies and CuPy's own kernels among them)."""

    alive: ClassVar = weakref.WeakSet()

    def __init__(self, notes, launches):
        self.notes, self.launches = notes, launches
        Graph.alive.add(self)

    def launch(self, stream=None):
        refuse_while_capturing("launching a graph")
        for work in self.notes:
            work()


@contextlib.contextmanager
def using_allocator(allocator):
    before, state.pool = state.pool, allocator
    try:
        yield
    finally:
        state.pool = before


def begin():
    state.notes, state.own_pool, state.spoiled, state.poisons = [], state.pool, False, 0


def end():
    notes, state.notes = state.notes, None
    if state.spoiled:
        raise RuntimeError("end_capture: operation failed due to a previous error during capture")
    return Graph(notes, len(notes) - state.poisons)
