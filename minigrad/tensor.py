"""Tensor: an array and the node that made it; and `op`, which makes a differentiable operation of a function.

The operations behind Tensor's operators and methods are in `minigrad.ops.arithmetic` and `minigrad.ops.shape`.
"""

import functools
import importlib
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .autograd import Leaf, Node, backward, backward_steps, recording, watcher
from .device import Device, device_of, get_device
from .guards import argument_names, guards, shared_version
from .leaf import fitting_gradient, leaf_node, set_requires_grad
from .precision import autocasted, is_floating_point, one_type, widest


class Context(NamedTuple):
    """What an op may ask about its surroundings."""

    device: Device
    needs: tuple  # for each positional input: does anyone want its gradient?

    @property
    def kernels(self):
        return self.device.kernels

    @property
    def xp(self):
        return self.device.xp


class Tensor:
    """An array (NumPy or CuPy, channels last for images) that remembers how it was computed.

    data            the array itself
    requires_grad   is a gradient wanted for it, or for something that it was computed from?
    grad            after backward(): the gradient as an array, in leaves and where retain_grad() was called
    """

    __slots__ = ("__weakref__", "data", "node", "version")
    __array_priority__ = 1000  # array + tensor calls Tensor.__radd__

    def __init__(self, data, requires_grad=False, *, node=None, version=None):
        self.data, self.node = data, leaf_node(data.dtype) if requires_grad else node
        self.version = [0] if version is None else version  # a cell shared by all tensors on this memory

    shape = property(lambda self: self.data.shape, doc="the length of each axis")
    ndim = property(lambda self: self.data.ndim, doc="how many axes")
    size = property(lambda self: self.data.size, doc="how many numbers")
    dtype = property(lambda self: self.data.dtype, doc="the type of the numbers, NumPy's")
    device = property(lambda self: device_of(self.data), doc="the Device that the array is on")
    requires_grad = property(lambda t: t.node is not None, set_requires_grad, doc="will backward() reach it? Settable")
    is_leaf = property(lambda self: self.node is None or isinstance(self.node, Leaf), doc="was it made by no op?")
    T = property(lambda self: self.transpose(), doc="all axes in reverse order")

    @property
    def grad(self):
        """The gradient as an array, or None: in leaves, and where retain_grad() was called, after backward()."""
        return None if self.node is None else self.node.grad

    @grad.setter
    def grad(self, value):
        if self.node is not None:
            self.node.grad = None if value is None else fitting_gradient(self, value)
        elif value is not None:
            raise RuntimeError("grad: this tensor does not require a gradient")

    def requires_grad_(self, requires_grad=True):
        """Set requires_grad of a leaf: False freezes it and forgets its gradient. Returns self."""
        self.requires_grad = requires_grad
        return self

    def __repr__(self):
        tail = "" if self.node is None else f", node={self.node.name}" if not self.is_leaf else ", requires_grad=True"
        return f"tensor({np.array2string(self._on_host(), prefix='tensor(', precision=4, separator=', ')}{tail})"

    def __len__(self):
        if not self.shape:
            raise TypeError("len() of a tensor without axes")
        return self.shape[0]

    def __bool__(self):
        return bool(self.item())

    def __float__(self):
        return float(self.item())

    # Arrays in and out

    def _on_host(self):
        """The numbers as a NumPy array (shared memory on the CPU, a copy from the GPU)."""
        return get_device("cpu").asarray(self.data)

    def numpy(self):
        """The numbers as a NumPy array; read-only while gradients may depend on them."""
        array = self._on_host().view()
        array.flags.writeable = array.flags.writeable and self.node is None
        return array

    def item(self):
        """The only number of a one-element tensor, as a Python number."""
        if self.size != 1:
            raise ValueError(f"item: only a tensor of one element has an item; this one has shape {self.shape}")
        return self.data.item()

    def detach(self):
        """The same memory outside the graph."""
        return Tensor(self.data, version=self.version)

    def to(self, device):
        """This tensor on a device ("cpu", "cuda"); itself if it is there. Gradients flow back across."""
        device = get_device(device)
        return self if device is self.device else _ops("shape").copy_to(self, device=device)

    cpu = functools.partialmethod(to, "cpu")
    cuda = functools.partialmethod(to, "cuda")

    # Gradients

    def backward(self, grad=None, retain_graph=False):
        """Compute the gradient of this tensor with respect to every leaf, and add it into their .grad.

        grad: dL/d(this tensor), an array of its shape; it may be left out when this tensor is a single number (then 1).
        retain_graph: keep what the nodes saved, so that backward can run again.
        """
        backward(self._root(), self._seed(grad), retain_graph)

    def backward_steps(self, grad=None, retain_graph=False):
        """The backward pass as a generator: one Step (node, dy, dxs) at a time."""
        return backward_steps(self._root(), self._seed(grad), retain_graph)

    def _root(self):
        if self.node is None:
            raise RuntimeError("backward: this tensor does not depend on any tensor with requires_grad=True")
        return self.node

    def _seed(self, grad):
        if grad is None:
            if self.size != 1:
                raise ValueError(f"backward: a tensor of shape {self.shape} is not a single number; pass its gradient")
            return self.device.xp.ones_like(self.data)
        grad = self.device.xp.asarray(grad.data if isinstance(grad, Tensor) else grad, self.dtype)
        if grad.shape != self.shape:
            raise ValueError(f"backward: grad has shape {grad.shape}, but the tensor has {self.shape}")
        return grad

    def retain_grad(self):
        """Keep the gradient that reaches this tensor in .grad, though it is not a leaf."""
        if self.node is not None and not self.is_leaf:
            self.node.hooks.append(self.node.keep)

    def register_hook(self, hook):
        """Call hook(gradient) when this tensor's gradient is complete; what it returns, if not None, takes its place.

        Returns a function that removes the hook.
        """
        if self.node is None:
            raise RuntimeError("register_hook: this tensor does not require a gradient")
        self.node.hooks.append(hook)
        return functools.partial(self.node.hooks.remove, hook)

    # Writing in place: counted, so that a backward pass that needs the old numbers is refused

    def copy_(self, value):
        """Overwrite all numbers with those of value (tensor, array or number that broadcasts to this shape)."""
        self[...] = value
        return self

    def __setitem__(self, index, value):
        if self.node is not None and recording.get():
            raise RuntimeError("writing in place into a tensor that requires a gradient; use no_grad() or detach()")
        self.data[index] = value.data if isinstance(value, Tensor) else value
        self.version[0] += 1

    # Operators

    def __add__(self, other):
        return _ops("arithmetic").add(self, other)

    def __sub__(self, other):
        return _ops("arithmetic").sub(self, other)

    def __mul__(self, other):
        return _ops("arithmetic").mul(self, other)

    def __truediv__(self, other):
        return _ops("arithmetic").div(self, other)

    def __pow__(self, exponent):
        return _ops("arithmetic").power(self, exponent=exponent)

    def __matmul__(self, other):
        return _ops("arithmetic").matmul(self, other)

    def __radd__(self, other):
        return _ops("arithmetic").add(other, self)

    def __rsub__(self, other):
        return _ops("arithmetic").sub(other, self)

    def __rmul__(self, other):
        return _ops("arithmetic").mul(other, self)

    def __rtruediv__(self, other):
        return _ops("arithmetic").div(other, self)

    def __rmatmul__(self, other):
        return _ops("arithmetic").matmul(other, self)

    def __neg__(self):
        return _ops("arithmetic").neg(self)

    def __getitem__(self, index):
        return _ops("shape").getitem(self, index=index)

    # Methods: the same operations by name

    def sum(self, dim=None, keepdim=False):
        """The sum over an axis, several (a tuple) or all (None)."""
        return _ops("reduction").sum(self, dim=dim, keepdim=keepdim)

    def mean(self, dim=None, keepdim=False):
        """The mean over an axis, several (a tuple) or all (None)."""
        return _ops("reduction").mean(self, dim=dim, keepdim=keepdim)

    def max(self, dim=None, keepdim=False):
        """The largest number over an axis, several (a tuple) or all (None)."""
        return _ops("reduction").max(self, dim=dim, keepdim=keepdim)

    def reshape(self, *shape):
        """The same numbers in another shape (sizes, or one tuple; one size may be -1)."""
        return _ops("shape").reshape(self, shape=shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes):
        """The axes in this order, as NumPy's transpose (in reverse, if none are given)."""
        return _ops("shape").transpose(self, axes=axes or None)

    def flatten(self, start_dim=0):
        """All axes from start_dim on as one."""
        return self.reshape(*self.shape[:start_dim], -1)

    def exp(self):
        """e^x of each number."""
        return _ops("arithmetic").exp(self)

    def log(self):
        """The natural logarithm of each number."""
        return _ops("arithmetic").log(self)

    def sqrt(self):
        """The square root of each number."""
        return _ops("arithmetic").sqrt(self)


def _ops(family):
    return importlib.import_module(f"minigrad.ops.{family}")


def _cast(t, dtype):
    return _ops("shape").cast(t, dtype=dtype)


def op(fn: Callable | None = None, *, autocast=widest) -> Callable[..., Any]:
    """Make a differentiable operation of fn(ctx, *arrays, **settings) -> (y, backward).

    Positional arguments are tensors (or arrays, numbers or None, which become constants), settings go by keyword.
    backward(dy) returns one gradient for each positional argument, None where there is none. What backward captures
    is what is kept until the backward pass. autocast: what types it wants in mixed precision (precision.py).
    """
    if fn is None:
        return functools.partial(op, autocast=autocast)
    parameters = [p for p in inspect.signature(fn).parameters.values() if p.kind is not p.KEYWORD_ONLY][1:]
    arity = sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters)
    names = [p.name for p in parameters]

    @functools.wraps(fn)
    def call(*inputs, **settings):
        inputs += (None,) * (arity - len(inputs))  # an optional tensor left out is None
        inputs = constants_lifted(fn.__name__, inputs)
        device = common_device(fn.__name__, inputs)
        inputs = autocasted(fn.__name__, inputs, autocast, device, _cast) or one_type(fn.__name__, inputs)
        tracked = recording.get() and any(t is not None and t.node is not None for t in inputs)
        parents = tuple(None if t is None else t.node for t in inputs)
        needs = tuple(p is not None and tracked for p in parents)
        ctx = Context(device, needs)
        y, backward = fn(ctx, *(None if t is None else t.data for t in inputs), **settings)
        y = np.asarray(y) if isinstance(y, np.generic) else y  # NumPy's full reductions give scalars
        out = Tensor(y, version=shared_version(y, inputs))
        if tracked:
            out.node = Node(fn.__name__, parents, backward, fn, settings=settings)
            out.node.guards = guards(out.node, (*zip(argument_names(names, len(inputs)), inputs), ("its output", out)))
        if (watch := watcher.get()) is not None:
            watch(fn, inputs, settings, out)
        return out

    return call


def constants_lifted(name, inputs):
    """Numbers and arrays among the inputs as tensors of the first tensor's type and device."""
    like = next((t for t in inputs if isinstance(t, Tensor)), None)
    return tuple(t if t is None or isinstance(t, Tensor) else lift(name, t, like) for t in inputs)


def lift(name, value: Any, like):
    """A number or an array as a tensor, on the device and, unless it is of another kind, of the type of `like`."""
    own_type = getattr(value, "dtype", None)
    if own_type is None and not isinstance(value, int | float):
        raise TypeError(f"{name}: expected a tensor, an array or a number; got {type(value).__name__}")
    if like is None:
        return Tensor(np.asarray(value))
    if own_type is None:
        own_type = like.dtype if is_floating_point(like.dtype) else np.result_type(like.dtype, value)
        return Tensor(like.device.xp.asarray(value, own_type))
    alike = own_type.kind == like.dtype.kind or (is_floating_point(own_type) and is_floating_point(like.dtype))
    return Tensor(like.device.xp.asarray(value, like.dtype if alike else None))


def common_device(name, inputs):
    devices = [t.device for t in inputs if t is not None] or [get_device("cpu")]
    if any(d is not devices[0] for d in devices):
        where = ", ".join(d.name for d in devices)
        raise ValueError(f"{name}: inputs are on different devices ({where}); move them with .to(device)")
    return devices[0]


def tensor(data, dtype=None, requires_grad=False, device="cpu"):
    """A tensor with a copy of data (nested lists, numbers, an array, a tensor).

    Python floats become float32; arrays keep their type unless dtype says otherwise.
    """
    array = np.array(data._on_host() if isinstance(data, Tensor) else data)
    if dtype is None and not hasattr(data, "dtype") and array.dtype == np.float64:
        dtype = np.float32
    array = array if dtype is None else array.astype(dtype, copy=False)
    return Tensor(get_device(device).asarray(array), requires_grad)
