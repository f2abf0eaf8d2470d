"""Which op made the first NaN or infinity, forward or backward, and which ones only passed it on.

An op *produced* it if all numbers that it was given are finite. If one of them was not, and no op before it computed
that one, the op *received* it: a weight, the data, a running statistic, or a sum of gradients that overflowed.
"""

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..autograd import Node
from ..device import device_of, get_device
from ..nn import unfused
from ..precision import is_floating_point
from ..tensor import Tensor
from .watch import Place, Places, gradients_apart, input_names, watching


class Range(NamedTuple):
    """What an array holds: its name and shape, its lowest and highest finite number, how many are not finite."""

    name: str
    shape: tuple
    low: float
    high: float
    bad: int

    def __str__(self):
        span = "nothing finite" if np.isnan(self.low) else f"from {self.low:.4g} to {self.high:.4g}"
        return f"{self.name} {self.shape} {span}" + (f", {self.bad} not finite" if self.bad else "")


@dataclass
class NonFinite:
    """The first non-finite number of a run; str() says it in words.

    op, place     the op, and where it was called: place.module (dotted path), place.line (file.py:line)
    phase         "forward" or "backward"
    role          "produced": from finite numbers; "received": it was given one that no op computed
    what          the array that holds it: "its output", "the gradient of x", or what was received
    shape, index, value, count   that array's shape, the first place and number that is not finite, how many there are
    inputs        a Range for each array that the op was given (backward: dy and what it saved)
    passed_on     the ops, in order, that were given non-finite numbers after that and gave some
    also_produced the ops that later made further ones from finite numbers
    """

    op: str
    place: Place
    phase: str
    role: str
    what: str
    shape: tuple
    index: tuple
    value: float
    count: int
    inputs: tuple = ()
    passed_on: list = field(default_factory=list)
    also_produced: list = field(default_factory=list)

    def __str__(self):
        line = f" ({self.place.line})" if self.place.line else ""
        where = f"{self.op}{' of ' + self.place.module if self.place.module else ''} in the {self.phase} pass{line}"
        verb = "produced" if self.role == "produced" else "was given"
        size = f"{self.count} of {int(np.prod(self.shape))} numbers not finite"
        first = f"{where}: {verb} {self.value:g} at index {self.index} of {self.what} {self.shape} ({size})"
        lines = [first, *(f"  {given}" for given in self.inputs)]
        lines += [f"passed on by: {', '.join(self.passed_on)}"] if self.passed_on else []
        lines += [f"produced later by: {', '.join(self.also_produced)}"] if self.also_produced else []
        return "\n".join(lines)


class AnomalyError(FloatingPointError):
    """A number is not finite. finding: the NonFinite that says where."""

    def __init__(self, finding):
        super().__init__(str(finding))
        self.finding = finding


def find_nan(fn):
    """Run fn() and, if it returns a tensor with a gradient, its backward pass; the NonFinite found first, or None.

    Works on whatever fn does with tensors: a net and its loss, or one expression. Gradients of leaves are left as they
    were, unless fn itself calls backward(). NumPy's warnings about overflow and the like are silent in between.
    """
    detector = Detector()
    with unfused(), watching(detector), np.errstate(all="ignore"):
        y = fn()
        if isinstance(y, Tensor) and y.node is not None:
            with gradients_apart(y):
                y.backward(y.device.xp.ones_like(y.data))
    return detector.first


@contextmanager
def detect_anomaly():
    """Within this block the first op that gives a NaN or an infinity, forward or backward, raises AnomalyError.

    As torch.autograd.detect_anomaly; what was recorded within the block is also checked when its backward pass runs
    later. Every op is followed by a look at all that it computed: use it to find a fault, not to train.
    """
    with unfused(), watching(Detector(stop=True)), np.errstate(all="ignore"):
        yield


class Detector:
    """A watcher that looks at the output of each op, and at what its backward gives. stop: raise at the first find."""

    def __init__(self, stop=False):
        self.stop, self.first, self.places = stop, None, Places()

    def __call__(self, fn, inputs, settings, out):
        name, place = fn.__name__, self.places.here()
        if not finite(out.data):
            given = {**dict(zip(input_names(fn, len(inputs)), inputs)), **settings}
            self.note(name, place, "forward", list(arrays_of(given)), {"its output": out.data})
        if out.node is not None:
            out.node.backward = self.looking_backward(name, place, fn, out.node)

    def looking_backward(self, name, place, fn, node):
        """The node's backward, followed by a look at what it gives."""
        original = Node(name, node.parents, node.backward)

        def backward(dy):
            dxs = original.backward(dy)
            if not all(finite(dx) for dx in dxs):
                names = input_names(fn, len(dxs))
                results = {f"the gradient of {n}": dx for n, dx in zip(names, dxs)}
                self.note(name, place, "backward", [("dy", dy), *original.saved_arrays], results)
            return dxs

        return backward

    def note(self, name, place, phase, given, results):
        """Record that an op gave non-finite numbers, and whether it was the one that made them."""
        bad = next(((what, array) for what, array in given if not finite(array)), None)
        if self.first is not None:
            known = self.first.passed_on if bad else self.first.also_produced
            known.append(f"{name} ({phase}{', ' + place.module if place.module else ''})")
            return
        what, array = bad or next((what, array) for what, array in results.items() if not finite(array))
        role = "received" if bad else "produced"
        self.first = NonFinite(name, place, phase, role, what, array.shape, *first_in(array), ranges(given))
        if self.stop:
            raise AnomalyError(self.first)


def arrays_of(given):
    """(name, array) of the tensors among inputs and settings, also those in lists, as running statistics."""
    for name, value in given.items():
        if isinstance(value, list | tuple):
            yield from arrays_of({f"{name}[{i}]": v for i, v in enumerate(value)})
        elif isinstance(value, Tensor):
            yield name, value.data


def finite(array):
    """Are all numbers finite? None, and whole numbers, are."""
    return array is None or not is_floating_point(array.dtype) or bool(device_of(array).xp.isfinite(array).all())


def first_in(array):
    """(index, value, count) of what is not finite in it."""
    array = get_device("cpu").asarray(array)
    bad = ~np.isfinite(array)
    index = tuple(int(i) for i in np.unravel_index(bad.argmax(), array.shape))
    return index, float(array[index]), int(bad.sum())


def ranges(given):
    """A Range for each of the (name, array) pairs, numbers alone left out."""
    return tuple(range_of(name, get_device("cpu").asarray(array)) for name, array in given if array.ndim)


def range_of(name, array):
    good = array[np.isfinite(array)]
    low, high = (float(good.min()), float(good.max())) if good.size else (np.nan, np.nan)
    return Range(name, array.shape, low, high, array.size - good.size)
