"""checkpoint: forget a part of the forward pass and run it again in backward (Chen et al. 2016: memory for time)."""

from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from .autograd import Form, Node, backward, enable_grad, no_grad, recording, watcher
from .precision import autocast, autocast_type
from .tensor import Tensor

_tape: ContextVar = ContextVar("tape", default=None)


class Tape:
    """The random seeds that a piece of forward pass drew, to be drawn again when it is recomputed."""

    def __init__(self, outer):
        self.outer, self.values, self.replay = outer, [], None

    def running(self, replay=False):
        self.replay = iter(self.values) if replay else None
        return drawing_from(self)

    def draw(self, make, dtype):
        """make(), which is kept, or what was kept the first time."""
        if self.replay is not None:
            return next(self.replay)
        self.values.append(_draw(make, dtype, self.outer))
        return self.values[-1]


@contextmanager
def drawing_from(source):
    """Within this block seeds, and other numbers of one forward pass, come from source.draw(make, dtype)."""
    token = _tape.set(source)
    try:
        yield
    finally:
        _tape.reset(token)


def draw(make, dtype: type = np.uint64):
    """make(), or what it returned the first time if a checkpointed piece is being recomputed.

    dtype: of an array that holds such a number, where a pass is captured and its numbers change (train/graph.py).
    """
    return _draw(make, dtype, _tape.get())


def _draw(make, dtype, tape):
    return make() if tape is None else tape.draw(make, dtype)


def recomputing():
    """Is this a second run of a checkpointed piece? Then side effects (running statistics) must not happen again."""
    tape = _tape.get()
    while tape is not None and tape.replay is None:
        tape = tape.outer
    return tape is not None


def checkpoint(fn, *inputs):
    """fn(*inputs), keeping only the inputs; backward runs fn again to get what its ops save.

    fn takes and returns tensors (one result). Gradients of parameters used inside fn arrive as usual, random numbers
    are the same in both runs, and batch norm updates its running statistics once. The result requires a gradient if an
    input or a parameter does. TypeError for anything else than
    tensors; backward is a RuntimeError if an input was written in place in between.
    """
    _check("takes", *inputs)
    if not recording.get():
        return fn(*inputs)
    tape, low = Tape(_tape.get()), autocast_type()
    wanted = [t for t in inputs if t.node is not None]  # and what fn's ops meet beside the inputs
    with no_grad(), tape.running(), _noting(wanted):
        y = fn(*inputs)
    _check("returns", y)
    if not wanted:
        return y

    def recompute_and_backward(dy):
        fresh = [Tensor(t.data, requires_grad=t.node is not None) for t in inputs]
        with enable_grad(), autocast(low), tape.running(replay=True):
            again = fn(*fresh)
        if again.node is not None:
            backward(again.node, dy)
        return tuple(t.grad for t in fresh)

    guards = [(f"input {i}", t.version, t.version[0]) for i, t in enumerate(inputs)]
    parents = tuple(t.node for t in inputs)
    node = Node("checkpoint", parents, recompute_and_backward, checkpoint, guards, form=Form.of(y.data))
    return Tensor(y.data, node=node, version=y.version)


@contextmanager
def _noting(wanted):
    """Within this block, tensors that require a gradient are added to the list when an op takes them."""
    others = watcher.get()

    def watch(fn, inputs, settings, out):
        wanted.extend(t for t in inputs if t is not None and t.node is not None)
        if others is not None:
            others(fn, inputs, settings, out)

    token = watcher.set(watch)
    try:
        yield
    finally:
        watcher.reset(token)


def _check(verb, *values):
    for value in values:
        if not isinstance(value, Tensor):
            raise TypeError(f"checkpoint: fn {verb} tensors; got {type(value).__name__}")
