"""Reverse-mode differentiation over a recorded graph. Knows nodes and arrays; nothing of tensors, devices or layers.

(From the kernels it has the sums and copies of arrays that are taken down where a pass is captured:
kernels/recording.py.)

A forward pass records nodes. Each holds its parents and a `backward` function: from dL/dy to one dL/dx for each
parent. `backward_steps` walks from the loss to the leaves, so that each node runs once, after all gradients that
reach it were summed (the chain rule for a value with several users). It is a generator: exhaust it and it is the
backward pass, pause it and it is a debugger.
"""

import inspect
import sys
from collections import deque
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from kernels.arena import is_lent_alone
from kernels.recording import add_into, added, copy_of

recording: ContextVar[bool] = ContextVar("recording", default=True)
watcher: ContextVar = ContextVar("watcher", default=None)  # called after each op with (fn, inputs, settings, output)


@contextmanager
def set_recording(on):
    """Record the graph, or don't, within this block; restored on leaving it."""
    token = recording.set(on)
    try:
        yield
    finally:
        recording.reset(token)


def no_grad():
    """`with no_grad():` or `@no_grad()`: nothing inside is recorded."""
    return set_recording(False)


def enable_grad():
    """`with enable_grad():` records again inside a no_grad block."""
    return set_recording(True)


def inference_mode(mode=True):
    """torch's name for no_grad(); with mode=False the graph is recorded."""
    return set_recording(not mode)


def is_grad_enabled():
    """Is the graph being recorded here?"""
    return recording.get()


class set_grad_enabled:
    """Record the graph from here on, or don't: `set_grad_enabled(False)`, or `with set_grad_enabled(training):`.

    As a context manager it puts back at the end what was in force when it was called.
    """

    def __init__(self, mode):
        self.token = recording.set(bool(mode))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        recording.reset(self.token)


class Form(NamedTuple):
    """What a gradient has to be like: the array that it belongs to, of which this knows class, shape and type.

    wide: may the gradient have a wider type, for a node that converts it anyway?
    """

    kind: type
    shape: tuple
    dtype: Any
    wide: bool = False

    @classmethod
    def of(cls, array, wide=False):
        return cls(np.ndarray if isinstance(array, np.ndarray) else type(array), array.shape, array.dtype, wide)

    def matches(self, gradient):
        return type(gradient) is self.kind and gradient.shape == self.shape and self.takes(gradient.dtype)

    def takes(self, dtype):
        """Is it the type, or one that this gradient may have, too?"""
        return dtype == self.dtype or (self.wide and dtype.kind == "f" and dtype.itemsize > self.dtype.itemsize)

    def fitted(self, gradient, what):
        """The gradient in this type. `what` sent it to whom, for the error if it is no such array or of another shape.

        TypeError for what is no array of real numbers on the same device, ValueError for another shape.
        """
        gradient = np.asarray(gradient) if isinstance(gradient, np.generic) else gradient
        if not isinstance(gradient, self.kind):
            raise TypeError(
                f"{what} must be an array ({self.kind.__module__}.{self.kind.__name__}); got {gradient!r:.60}"
            )
        if gradient.shape != self.shape:
            raise ValueError(f"{what} must have its shape {self.shape}; got {gradient.shape}")
        if gradient.dtype.kind not in "fiubV":
            raise TypeError(f"{what} must be of type {self.dtype}; got {gradient.dtype}")
        return gradient if self.takes(gradient.dtype) else gradient.astype(self.dtype, copy=False)


class Node:
    """One recorded operation. Edges go to parent *nodes*, so that an edge keeps no array alive."""

    __slots__ = (
        *("__weakref__", "backward", "fn", "form", "grad", "guards"),
        *("hooks", "name", "parents", "retains", "settings"),
    )

    def __init__(self, name, parents, backward, fn=None, guards=(), settings=None, form=None):
        self.name, self.parents, self.backward, self.fn = name, parents, backward, fn
        self.settings = settings or {}  # the keyword arguments of the op, as its caller gave them
        self.guards = guards  # (what, version cell, version seen) of each tensor whose array backward has saved
        self.form = form  # of the array that this node made, and so of its gradient; None: anything goes
        self.hooks = []  # called with the gradient that reached this node; may return another in its place
        self.retains = False  # does it keep the gradient that reached it in .grad?
        self.grad = None  # what reached this node, where that is kept

    def __repr__(self):
        return f"<{type(self).__name__} {self.name}>"

    @property
    def saved(self):
        """What the backward closure kept, by its name in the source."""
        code, cells = getattr(self.backward, "__code__", None), getattr(self.backward, "__closure__", None) or ()
        return {n: c.cell_contents for n, c in zip(code.co_freevars, cells)} if code else {}

    @property
    def saved_arrays(self):
        """(name, array) for each array among what was saved, also those inside lists and tuples."""
        return [(name, array) for name, value in self.saved.items() for array in _arrays_in(value)]

    def run(self, held):
        """The gradients for the parents, from the finished gradient in the box `held`."""
        for what, version, seen in self.guards:
            if version[0] != seen:
                raise RuntimeError(
                    f"{self.name} saved {what} for its backward pass, but {what} was written in place afterwards "
                    f"({version[0] - seen} writes since); write to a copy, or run backward first"
                )
        dxs = self.backward(held[0])
        if not isinstance(dxs, tuple | list):
            raise TypeError(f"{self.name}: backward must return a tuple, one gradient for each input; got {dxs!r:.60}")
        if len(dxs) != len(self.parents):
            raise ValueError(f"{self.name}: backward returned {len(dxs)} gradients for {len(self.parents)} inputs")
        for parent, dx in zip(self.parents, dxs):
            if dx is not None and parent is not None and parent.form is not None and not parent.form.matches(dx):
                return self._fitted(dxs)
        return dxs

    def _fitted(self, dxs):
        """The gradients in the types of the inputs that they belong to."""
        return tuple(
            dx if dx is None or p is None or p.form is None else p.form.fitted(dx, self._gradient_for(i))
            for i, (p, dx) in enumerate(zip(self.parents, dxs))
        )

    def _gradient_for(self, i):
        """Words for the gradient that goes to input i."""
        kinds = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.VAR_POSITIONAL
        names = [p.name for p in inspect.signature(self.fn).parameters.values() if p.kind in kinds] if self.fn else []
        name = f"{names[min(i + 1, len(names) - 1)]} (input {i})" if len(names) > 1 else f"input {i}"
        return f"{self.name}: the gradient that backward returns for {name}"

    def through_hooks(self, held):
        """Let the hooks change the finished gradient in the box `held`, and keep what then is in it if that is asked.

        A hook may remove itself, or others. What it returns must have the gradient's shape; its type is converted.
        """
        for hook in tuple(self.hooks):
            changed = hook(held[0])
            if changed is not None and self.form is not None and not self.form.matches(changed):
                changed = self.form.fitted(changed, f"{self.name}: the gradient that a hook returns")
            held[0] = held[0] if changed is None else changed
        if self.retains:
            self.grad = held[0] if self.grad is None else self.grad + held[0]

    def release(self):
        """Forget the saved arrays; from here on a second backward pass is refused."""
        self.backward, self.parents, self.guards, self.settings = _Released(self.name), (), (), {}


class Handle:
    """What registering a hook returns: remove(), or calling it, takes the hook away; a second time does nothing."""

    def __init__(self, take_away):
        self.take_away = take_away

    def remove(self):
        """Call the hook no more."""
        if self.take_away is not None:
            self.take_away()
        self.take_away = None

    __call__ = remove


def _arrays_in(value):
    if isinstance(value, list | tuple):
        for v in value:
            yield from _arrays_in(v)
    elif hasattr(value, "strides"):
        yield value


class _Released:
    """Stands where a node's backward was."""

    __slots__ = ("name",)

    def __init__(self, name):
        self.name = name

    def __call__(self, dy):
        raise RuntimeError(
            f"{self.name}: backward already ran and its saved arrays are gone; "
            "run the forward pass again, or keep them with backward(retain_graph=True)"
        )


class Leaf(Node):
    """Where a gradient comes to rest: running it is to keep what arrived."""

    __slots__ = ()

    def __init__(self, name="leaf", form=None):
        super().__init__(name, (), None, form=form)

    def run(self, held):
        if self.grad is None:
            self.grad = held[0] if _alone(held) else copy_of(held[0])
        else:
            self.grad += held[0]  # ours alone, or the caller's own choice
        return ()

    def release(self):
        pass


class Step(NamedTuple):
    """One step of the backward pass: the node, the gradient that reached it, the gradients that it sends on."""

    node: Node
    dy: object
    dxs: tuple


def toposort(root):
    """Nodes from root to leaves, each after all that use it (Kahn's algorithm; no recursion, so any depth)."""
    users, stack = {}, [root]
    while stack:
        node = stack.pop()
        if node in users:
            users[node] += 1
        else:
            users[node] = 1
            stack.extend(p for p in node.parents if p is not None)
    ready = [root]
    while ready:
        node = ready.pop()
        parents = node.parents
        yield node
        for p in parents:
            if p is not None:
                users[p] -= 1
                if users[p] == 0:
                    ready.append(p)


def backward_steps(root, dy, retain_graph=False):
    """Run the backward pass one node at a time, yielding each Step. Exhaust it to run the whole pass."""
    # Careful: _alone counts references. A further name for a gradient here (g = held[0]), or one kept over the yield,
    # makes every sum a copy; a name too few makes it overwrite an array that somebody else holds (test_graph.py).
    grads = {root: [dy]}  # each gradient in a box of its own: see _alone
    for node in toposort(root):
        if node not in grads:  # its users sent it nothing
            continue
        held = grads.pop(node)
        if node.hooks or node.retains:
            node.through_hooks(held)
        dxs = node.run(held)
        for parent, dx in zip(node.parents, dxs):
            if parent is not None and dx is not None:
                grads[parent] = [_add(grads[parent], dx) if parent in grads else dx]
        dx = None
        yield Step(node, held[0], dxs)
        held = dxs = None  # so that the next steps can tell which arrays nobody else holds
        if not retain_graph:
            node.release()


def backward(root, dy, retain_graph=False):
    """The whole backward pass: gradients come to rest in the leaves."""
    deque(backward_steps(root, dy, retain_graph), maxlen=0)


def _references(box):
    return sys.getrefcount(box[0])


_NOBODY_ELSE = _references([object()])


def _alone(box):
    """Does nobody but the box hold this array or its memory? Then, and only then, it may be written.

    An array that a closure saved, that went to two parents, that a debugger looks at or that is a view of another is
    held elsewhere, and is copied rather than added into.
    """
    array = box[0]
    own = not isinstance(getattr(array, "base", None), type(array)) or is_lent_alone(array)
    return own and _references(box) == _NOBODY_ELSE + 1  # here it is `array`, too


def _add(held, dx):
    """held + dx, in place where that harms nobody."""
    if _alone(held) and held[0].dtype == dx.dtype:
        return add_into(held[0], dx)
    return added(held[0], dx)
