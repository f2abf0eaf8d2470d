"""The function under test, seen as numbers: evaluate it anywhere, run its backward with any incoming gradient."""

import functools
import inspect
from contextlib import contextmanager

import numpy as np

from ..autograd import no_grad, toposort
from ..device import CPU
from ..tensor import Tensor, argument_names, op


def host(array):
    """The array, or what is in the tensor, as a NumPy array."""
    return CPU.asarray(array.data if isinstance(array, Tensor) else array)


class Problem:
    """fn, its inputs, and the leaves by which it is differentiated.

    tensors       {name: Tensor}: a copy of each input, then the parameters themselves
    leaves        those among them that require a gradient
    name, shape   what the op is called in messages; the shape of its output
    """

    def __init__(self, fn, inputs, parameters=None):
        if not callable(fn):
            raise TypeError(f"gradcheck: fn must be a function of tensors; got {type(fn).__name__}")
        inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
        names = input_names(fn, len(inputs))
        for name, t in zip(names, inputs):
            check_tensor(name, t)
        self.fn, self.inputs = fn, tuple(copy_of(t) for t in inputs)
        self.tensors = dict(zip(names, self.inputs))
        self.tensors |= named_parameters(fn, parameters, self.tensors)
        self.leaves = {n: t for n, t in self.tensors.items() if t.requires_grad}
        if not self.leaves:
            raise ValueError(f"gradcheck: none of the inputs ({', '.join(names)}) was made with requires_grad=True")
        with self.moved(self.copies()):  # it may overwrite its inputs
            y = fn(*self.inputs)
        check_output(y)
        self.name, self.shape = name_of(fn, y), y.shape

    def array(self, name):
        """The numbers of an input or a parameter."""
        return host(self.tensors[name])

    def copies(self):
        """A copy of the numbers of every tensor."""
        return {name: self.array(name).copy() for name in self.tensors}

    @contextmanager
    def moved(self, places):
        """Within this block the tensors named in `places` hold those arrays."""
        kept = {name: self.tensors[name].data for name in places}
        try:
            for name, array in places.items():
                self.tensors[name].data = self.tensors[name].device.asarray(array)
            yield
        finally:
            for name, data in kept.items():
                self.tensors[name].data = data

    def value(self, places):
        """The output as a NumPy array, with the leaves in {name: array} at other places."""
        with no_grad(), self.moved(places):
            return host(self.fn(*self.inputs))

    @contextmanager
    def own_gradients(self):
        """Within this block the leaves have no gradient; afterwards the one that they had before."""
        kept = {name: t.grad for name, t in self.leaves.items()}
        try:
            self.take_gradients()
            yield
        finally:
            for name, grad in kept.items():
                self.leaves[name].node.grad = grad

    def take_gradients(self):
        """{name: gradient as a NumPy array, or None if none arrived}; the leaves then have none."""
        grads = {name: None if t.grad is None else host(t.grad) for name, t in self.leaves.items()}
        for t in self.leaves.values():
            t.grad = None
        return grads

    def gradients(self, *dys):
        """What backward() returns for each of these incoming gradients: a list of {name: gradient}."""
        with self.own_gradients():
            y = self.fn(*self.inputs)
            return [self._backward(y, dy) for dy in dys]

    def _backward(self, y, dy):
        with of_any_form(y):
            y.backward(dy.copy(), retain_graph=True)
            return self.take_gradients()


@contextmanager
def of_any_form(y):
    """Within this block a backward pass may send gradients of wrong shapes and types: here they are to be examined."""
    nodes = [(node, node.form) for node in toposort(y.node)]
    for node, _ in nodes:
        node.form = None
    try:
        yield
    finally:
        for node, form in nodes:
            node.form = form


def copy_of(t):
    return Tensor(t.data.copy(), requires_grad=t.requires_grad)


def check_tensor(name, t):
    if not isinstance(t, Tensor):
        raise TypeError(
            f"gradcheck: {name} must be a Tensor; got {type(t).__name__} "
            "(minigrad.tensor(array, requires_grad=True) makes one; bind settings with functools.partial or a lambda)"
        )
    if t.dtype.kind == "f" and t.dtype != np.float64:
        raise TypeError(
            f"gradcheck: {name} is {t.dtype}; its rounding, 1 part in {round(1 / np.finfo(t.dtype).eps):,}, drowns the "
            "difference between two close values of fn; pass float64 (for a module: module.double())"
        )


def check_output(y):
    if not isinstance(y, Tensor):
        raise TypeError(f"gradcheck: fn must return one Tensor; it returned {type(y).__name__}")
    if not y.requires_grad:
        raise ValueError(
            f"gradcheck: the output ({y.dtype}, shape {y.shape}) depends on no input that requires a gradient; was it "
            "computed from .numpy() or .detach(), or within no_grad()?"
        )
    if y.dtype != np.float64:
        raise TypeError(f"gradcheck: the inputs are float64 but the output is {y.dtype}; fn must keep the type")
    if not np.isfinite(host(y)).all():
        index = tuple(map(int, np.argwhere(~np.isfinite(host(y)))[0]))
        raise ValueError(
            f"gradcheck: the output at {list(index)} is {host(y)[index]}; differences need finite values, "
            "so choose inputs where fn is defined"
        )


def positional(fn):
    """fn's positional parameters (inspect.Parameter), without an op's ctx."""
    target = fn.forward if hasattr(fn, "forward") else fn
    try:
        parameters = list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):  # some built-in functions have none
        return []
    if written_op(fn):
        parameters = parameters[1:]  # ctx
    return [p for p in parameters if p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD)]


def innermost(fn):
    """What functools.partial was given, or fn itself."""
    return innermost(fn.func) if isinstance(fn, functools.partial) else fn


def written_op(fn):
    """The function fn(ctx, *arrays, **settings) under @op, or None if fn was not made by @op."""
    fn = innermost(fn)
    return getattr(fn, "__wrapped__", None) if getattr(fn, "__globals__", None) is op.__globals__ else None


def input_names(fn, count):
    """What fn calls its first `count` positional arguments."""
    parameters = positional(fn)
    names = [p.name for p in parameters]
    variable = bool(parameters) and parameters[-1].kind is parameters[-1].VAR_POSITIONAL
    if len(names) < count and not variable:
        names.append("inputs")
    return argument_names(names, count)[:count]


def named_parameters(fn, parameters, taken):
    """{name: Tensor} of the parameters to check: those given (a module or a dict), or those of fn if it is a module."""
    source = fn if parameters is None else parameters
    pairs = source.named_parameters() if hasattr(source, "named_parameters") else dict(parameters or {}).items()
    found = {f"parameter {n}" if n in taken else n: t for n, t in pairs}
    for name, t in found.items():
        check_tensor(name, t)
    return found


def name_of(fn, y):
    """The op's or function's own name; for a lambda the name of the op that made its output."""
    fn = innermost(fn)
    name = getattr(fn, "__name__", type(fn).__name__)
    return y.node.name if name == "<lambda>" else name
