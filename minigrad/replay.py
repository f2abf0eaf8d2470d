"""A net's evaluation captured once and replayed: a list of launches on memory that stays, without Python's part.

On the CPU it is a recording of calls of compiled kernels (kernels/recording.py), on a GPU a CUDA graph. What depends
on the weights alone, as packed weights do, is computed when the capture is made.
"""

import threading
import warnings

from .autograd import no_grad, watcher
from .device import CPU, get_num_threads
from .fusing import is_written_out
from .nn.folding import fusing
from .nn.hooks import is_observed
from .precision import autocast_type
from .tensor import Tensor

MOST = 4  # shapes whose captures are kept


def capture(net):
    """A net's evaluation made quicker for many calls with inputs of the same shapes: y = capture(net)(x).

    net   a Module in evaluation mode, which returns a tensor or a tuple of tensors
    ->    a function of the same tensors. Its results have no gradient, and are bit for bit those of the net.

    The first call of a shape runs as always, the second is captured, the further ones replay it. Weights that were
    assigned, loaded or trained since are seen, and the capture is made anew; numbers written into a weight's array
    (`p.data[...] = `) are not: call reset() then. What can't be replayed runs as always, with a warning that says why,
    once: training mode, hooks, tensors read by Python (`if y.max() > 0`), random numbers. A capture is compared with
    the net on other numbers before it is used. It keeps packed weights, which may be 4 times as large as the filters,
    and the memory of one evaluation, for each of the last 4 shapes.
    """
    return Captured(net)


def warn(why):
    warnings.warn(f"capture: the net runs without a replay: {why}", stacklevel=5)


class Captured:
    """What `capture` returns.

    why: the reason for which calls run without a replay, None where there is none; say: called with it, once
    """

    def __init__(self, net, say=warn):
        self.net, self.say, self.plans, self.why = net, say, {}, None

    def __reduce__(self):
        return Captured, (self.net, self.say)

    def __call__(self, *inputs):
        if (why := obstacle(inputs)) is not None:
            return self.as_always(inputs, why)
        key = surroundings(inputs)
        plan = self.plans.get(key)
        if plan is None or not plan.state.lasts():
            self.keep(key, NoPlan(self.net, tried=False))
            return self.as_always(inputs, self.plans[key].state.obstacle())
        if isinstance(plan, NoPlan) and not plan.tried:
            plan = self.made(key, inputs)
        return plan(inputs) if isinstance(plan, Plan) else self.as_always(inputs)

    def made(self, key, inputs):
        """The Plan for these inputs, kept for further calls; a NoPlan where there can be none."""
        try:
            self.keep(key, Plan(self.net, inputs))
        except (RuntimeError, MemoryError, TypeError) as error:
            self.tell(str(error))
            self.keep(key, NoPlan(self.net, tried=True))
        return self.plans[key]

    def as_always(self, inputs, why=None):
        """The net itself."""
        if why is not None:
            self.tell(why)
        with no_grad():
            return self.net(*inputs)

    def tell(self, why):
        """Say a reason, once."""
        if why != self.why:
            self.say(why)
        self.why = why

    def keep(self, key, plan):
        self.plans.pop(key, None)
        self.plans[key] = plan
        for old in list(self.plans)[:-MOST]:
            del self.plans[old]

    def reset(self):
        """Forget all captures, and give their memory back."""
        self.plans.clear()


def surroundings(inputs):
    """On what a capture depends besides the net: it is for these alone."""
    kernels = inputs[0].device.kernels
    threads = get_num_threads() if getattr(kernels, "recordable", False) else None
    return tuple((t.shape, t.dtype, t.device.name) for t in inputs), kernels, autocast_type(), threads


def obstacle(inputs):
    """Why these calls can't be replayed, before one is tried; None if nothing speaks against it."""
    if not inputs or not all(isinstance(t, Tensor) for t in inputs):
        return "its inputs must be tensors"
    if watcher.get() is not None or is_written_out() or not fusing.get():
        return "somebody looks at each op"
    return None


class State:
    """The modules and weights of a net as they are now, and whether they still are."""

    def __init__(self, net):
        modules = list(net.modules())
        self.attributes = [(m, settings_of(m)) for m in modules]
        self.tensors = [*net.parameters(), *net.buffers()]
        self.arrays, self.versions = arrays_of(self.tensors), versions_of(self.tensors)
        self.training = any(m.training for m in modules)
        self.observed = any(is_observed(m) for m in modules)

    def obstacle(self):
        """Why such a net can't be replayed; None if nothing speaks against it."""
        return "it is in training mode" if self.training else "hooks look at its modules" if self.observed else None

    def stands(self):
        """Was no attribute of a module set since, and no weight's array replaced?"""
        try:
            same = all(settings_of(m) == before for m, before in self.attributes)
            return same and arrays_of(self.tensors) == self.arrays
        except (RuntimeError, ValueError, TypeError):  # what is not the same object can't be compared, either
            return False

    def lasts(self):
        """And was no weight written?"""
        return self.stands() and versions_of(self.tensors) == self.versions


def settings_of(module):
    """A module's attributes, without those that its random numbers are drawn from."""
    own, drawn = vars(module), module.drawn_from
    return [own[name] for name in own if name not in drawn] if drawn else list(own.values())


def arrays_of(tensors):
    return [t.data for t in tensors]


def versions_of(tensors):
    return [t.version[0] for t in tensors]


class NoPlan:
    """What stands in the place of a Plan while the net is as it is. tried: could none be made?"""

    def __init__(self, net, tried):
        self.state, self.tried = State(net), tried


class Plan:
    """The captured evaluation for inputs of some shapes: where they go, what is launched, and where results come from.

    RuntimeError, with the reason, where the net can't be replayed.
    """

    def __init__(self, net, inputs):
        self.state = State(net)
        if (why := self.state.obstacle()) is not None:
            raise RuntimeError(why)
        self.device, self.lock = inputs[0].device, threading.Lock()
        self.inputs = tuple(Tensor(t.data.copy()) for t in inputs)
        arrays = [t.data for t in self.inputs]
        with no_grad():
            self.graph, self.outputs = self.device.capture(lambda: net(*self.inputs), arrays)
        self.compare(net, inputs)

    def __call__(self, inputs):
        """What the net gives for these inputs. Threads that call it at once wait for each other."""
        with self.lock:
            for mine, given in zip(self.inputs, inputs):
                mine.data[...] = given.data
            self.graph.launch()
            results = tuple(Tensor(t.data.copy()) for t in as_tuple(self.outputs))
        return results if isinstance(self.outputs, tuple) else results[0]

    def compare(self, net, inputs):
        """RuntimeError unless a replay on other numbers gives what the net does."""
        others = [Tensor(other_numbers(t.data)) for t in inputs]
        got = self(others)
        with no_grad():
            wanted = net(*others)
        if not all(same_bits(self.device, *pair) for pair in zip(as_tuple(got), as_tuple(wanted), strict=True)):
            raise RuntimeError("a replay gives other numbers: something is random, or computed outside of ops")


def other_numbers(a):
    """Numbers like those of an array: the same in the opposite order, and half as large if they are no integers."""
    turned = a[(slice(None, None, -1),) * a.ndim]
    return turned * a.dtype.type(0.5) if a.dtype.kind == "f" else turned.copy()


def as_tuple(outputs):
    return outputs if isinstance(outputs, tuple) else (outputs,)


def same_bits(device, a, b):
    """Are two tensors of one shape and type the same, bit for bit?"""
    a, b = (CPU.asarray(t.data) for t in (a, b))
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
