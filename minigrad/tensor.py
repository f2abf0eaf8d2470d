"""Tensor: an array and the node that made it; and `op`, which makes a differentiable operation of a function.

Nothing here computes. Tensor's operators, and the methods that are operations, are attached in `minigrad.ops.methods`.
"""

import functools
import inspect
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .autograd import Form, Handle, Leaf, Node, backward, backward_steps, recording, watcher
from .context import Context
from .count import Count
from .device import device_of, get_device, refuse_while_capturing
from .fusing import is_written_out
from .guards import argument_names, guards, shared_version
from .leaf import fitting_gradient, leaf_node, replace_data, set_requires_grad
from .precision import as_given, autocasted, is_floating_point, is_real, one_type, plain, widest


class Tensor:
    """An array (NumPy or CuPy, channels last for images) that remembers how it was computed.

    data            the array itself
    requires_grad   is a gradient wanted for it, or for something that it was computed from?
    grad            after backward(): the gradient as an array, in leaves and where retain_grad() was called
    """

    __slots__ = ("__weakref__", "_data", "node", "version")
    __array_priority__ = 1000  # CuPy's array + tensor calls Tensor.__radd__
    __hash__ = object.__hash__  # by identity: == compares numbers

    # What computes is attached by minigrad.ops.methods, and declared here for type checkers
    __add__: Callable[..., Any]
    __sub__: Callable[..., Any]
    __mul__: Callable[..., Any]
    __truediv__: Callable[..., Any]
    __neg__: Callable[..., Any]
    __getitem__: Callable[..., Any]
    cast: Callable[..., Any]
    to: Callable[..., Any]
    sum: Callable[..., Any]
    mean: Callable[..., Any]
    reshape: Callable[..., Any]

    def __init__(self, data, requires_grad=False, *, node=None, version=None):
        data = np.asarray(data) if isinstance(data, np.generic) else plain("Tensor", data)
        if not hasattr(data, "strides"):
            raise TypeError(f"Tensor: data must be an array; got {type(data).__name__}; mg.tensor takes lists, too")
        if not is_real(data.dtype):
            raise TypeError(f"Tensor: data must hold real numbers or booleans; got {data.dtype}")
        self._data = data
        self.node = leaf_node(data) if requires_grad else node
        self.version = [0] if version is None else version  # a cell shared by all tensors on this memory

    data: Any = property(operator.attrgetter("_data"), replace_data, doc="the array, of NumPy or CuPy; may be replaced")
    shape = property(lambda self: self.data.shape, doc="the length of each axis")
    ndim = property(lambda self: self.data.ndim, doc="how many axes")
    size = property(lambda self: Count(self.data), doc="how many numbers; size() and size(dim): as in torch, see Count")
    dtype = property(lambda self: self.data.dtype, doc="the type of the numbers, NumPy's")
    device = property(lambda self: device_of(self.data), doc="the Device that the array is on")
    requires_grad = property(lambda t: t.node is not None, set_requires_grad, doc="will backward() reach it? Settable")
    is_leaf = property(lambda self: self.node is None or isinstance(self.node, Leaf), doc="was it made by no op?")

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

    def __format__(self, spec):
        if not spec:
            return repr(self)
        if self.size != 1:
            raise TypeError(f"format {spec!r}: is for a single number; this tensor has shape {self.shape}")
        return format(self.item(), spec)

    def __len__(self):
        if not self.shape:
            raise TypeError("len() of a tensor without axes")
        return self.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))  # pyright: ignore[reportIndexIssue] (ops/methods.py attaches it)

    def __bool__(self):
        if self.size != 1:
            raise ValueError(f"a tensor of shape {self.shape} is neither true nor false; use .any() or .all()")
        return bool(self.item())

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        return operator.index(self.item())

    def numel(self):
        """How many numbers there are: size, by torch's name."""
        return self.size

    # Arrays in and out

    def _on_host(self):
        """The numbers as a NumPy array (shared memory on the CPU, a copy from the GPU)."""
        refuse_while_capturing("reading a tensor's numbers")
        return get_device("cpu").asarray(self.data)

    def numpy(self):
        """The numbers as a NumPy array; read-only while gradients may depend on them."""
        array = self._on_host().view()
        array.flags.writeable = array.flags.writeable and self.node is None
        return array

    def __array__(self, dtype=None, copy=None):
        """The same for np.asarray, in any type."""
        return np.array(self.numpy(), dtype, copy=copy)

    def item(self):
        """The only number of a one-element tensor, as a Python number."""
        if self.size != 1:
            raise ValueError(f"item: only a tensor of one element has an item; this one has shape {self.shape}")
        refuse_while_capturing("reading a tensor's numbers")
        return self.data.item()

    def detach(self):
        """The same memory outside the graph."""
        return Tensor(self.data, version=self.version)

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
        """Keep the gradient that reaches this tensor, as its hooks leave it, in .grad, though it is not a leaf."""
        if self.node is None:
            raise RuntimeError("retain_grad: this tensor does not require a gradient")
        self.node.retains = not self.is_leaf

    def register_hook(self, hook):
        """Call hook(gradient) when this tensor's gradient is complete; what it returns, if not None, takes its place.

        Returns a Handle, whose remove() takes the hook away again. TypeError for what can't be called.
        """
        if not callable(hook):
            raise TypeError(f"register_hook: hook must be a function; got {type(hook).__name__}")
        if self.node is None:
            raise RuntimeError("register_hook: this tensor does not require a gradient")
        self.node.hooks.append(hook)
        return Handle(functools.partial(self.node.hooks.remove, hook))

    # Writing in place: counted, so that a backward pass that needs the old numbers is refused

    def copy_(self, value):
        """Overwrite all numbers with those of value (tensor, array or number that broadcasts to this shape)."""
        self[...] = value
        return self

    def __setitem__(self, index, value):
        if recording.get() and getattr(value, "node", None) is not None:
            raise RuntimeError("writing in place a value that requires a gradient; use no_grad() or detach()")
        refuse_while_capturing("writing into a tensor")
        self.to_be_written()[index] = value.data if isinstance(value, Tensor) else value

    def to_be_written(self):
        """The array, for who overwrites it at once. RuntimeError where a gradient would come out wrong."""
        if recording.get() and self.node is not None:
            raise RuntimeError("writing in place into a tensor that requires a gradient; use no_grad() or detach()")
        self.version[0] += 1
        return self.data


def op(
    fn: Callable | None = None, *, autocast=widest, types=as_given, written=None, kernels_only=False, wide=False
) -> Callable[..., Any]:
    """Make a differentiable operation of fn(ctx, *arrays, **settings) -> (y, backward).

    Positional arguments are tensors (or arrays, numbers or None, which become constants), settings go by keyword.
    backward(dy) returns one gradient for each positional argument, None where there is none: an array of the input's
    shape, which is converted to its type. What backward captures is what is kept until the backward pass.
    types: which types of numbers fn takes, and which become others; autocast: what it wants in mixed precision (both
    precision.py). written: the composition of plain ops that a fused one stands for, a function of the same arguments,
    which runs in its place within written_out(). kernels_only: forward, fn computes nothing itself of inputs with more
    than one axis but leaves it to kernels, so that a capture can take down those. wide: backward also takes a gradient
    of a wider type than y's, which is then not converted before. TypeError where fn returns anything else than
    (y, backward).
    """
    if fn is None:
        settings = dict(autocast=autocast, types=types, written=written, kernels_only=kernels_only, wide=wide)
        return functools.partial(op, **settings)
    fn.written, fn.kernels_only = written, kernels_only  # pyright: ignore[reportFunctionMemberAccess]
    parameters = [p for p in inspect.signature(fn).parameters.values() if p.kind is not p.KEYWORD_ONLY][1:]
    arity = sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters)
    names = [p.name for p in parameters]

    @functools.wraps(fn)
    def call(*inputs, **settings):
        if written is not None and is_written_out():
            return written(*inputs, **settings)
        inputs += (None,) * (arity - len(inputs))  # an optional tensor left out is None
        settings = {name: plain_number(value) for name, value in settings.items()}
        inputs, device = prepared(fn.__name__, names, inputs, types, autocast)
        tracked = recording.get() and any(t is not None and t.node is not None for t in inputs)
        parents = tuple(None if t is None else t.node for t in inputs)
        needs = tuple(p is not None and tracked for p in parents)
        ctx = Context(device, needs)
        arrays = [None if t is None else t.data for t in inputs]
        y, backward = made(fn.__name__, device.run(fn, ctx, arrays, settings))
        out = Tensor(y, version=shared_version(y, inputs))
        if tracked and is_floating_point(y.dtype):  # integers have no gradient
            out.node = Node(fn.__name__, parents, backward, fn, settings=settings, form=Form.of(y, wide))
            out.node.guards = guards(out.node, (*zip(argument_names(names, len(inputs)), inputs), ("its output", out)))
        if (watch := watcher.get()) is not None:
            watch(fn, inputs, settings, out)
        return out

    return call


def prepared(name, names, inputs, types, autocast):
    """(inputs, device): an op's inputs as tensors of one device and of the types that it takes."""
    inputs = constants_lifted(name, inputs)
    device = common_device(name, inputs)
    inputs = types(name, names, inputs, constant)
    cast = Tensor.cast  # pyright: ignore[reportAttributeAccessIssue] (ops/methods.py attaches it)
    return autocasted(name, inputs, autocast, device, cast) or one_type(name, inputs), device


def plain_number(value):
    """NumPy's numbers as Python's, which leave arrays their type, as np.float64 does not; others as they are."""
    return value.item() if isinstance(value, np.generic | np.ndarray) and not value.ndim else value


def made(name, result):
    """What an op returned, (y, backward); y is an array, as NumPy's full reductions are not."""
    if not isinstance(result, tuple) or len(result) != 2 or not callable(result[1]):
        kinds = [type(r).__name__ for r in result] if isinstance(result, tuple) else type(result).__name__
        raise TypeError(f"{name}: an op must return (y, backward), an array and a function; it returned {kinds}")
    y, backward = result
    y = np.asarray(y) if isinstance(y, np.generic) else y
    if not hasattr(y, "strides"):
        raise TypeError(f"{name}: the y that an op returns must be an array; got {type(y).__name__}")
    return y, backward


def constant(t, dtype):
    """A tensor of whole numbers in another type."""
    return Tensor(t.data.astype(dtype))


def constants_lifted(name, inputs):
    """Numbers and arrays among the inputs as tensors of the first tensor's type and device."""
    like = next((t for t in inputs if isinstance(t, Tensor)), None)
    return tuple(t if t is None or isinstance(t, Tensor) else lift(name, t, like) for t in inputs)


def lift(name, value: Any, like):
    """A number or an array as a tensor on the device of `like`.

    A number takes the type of `like` (beside integers a float is float32), and so does a floating-point array beside a
    floating-point tensor. Other arrays keep theirs.
    """
    value = value.item() if isinstance(value, np.generic) else plain(name, value)
    own_type = getattr(value, "dtype", None)
    if own_type is None and not isinstance(value, int | float):
        raise TypeError(f"{name}: expected a tensor, an array or a number; got {type(value).__name__}")
    if like is None:
        return Tensor(np.asarray(value))
    floating = is_floating_point(like.dtype)
    if own_type is None:
        whole = np.float32 if isinstance(value, float) else np.result_type(like.dtype, value)
        return Tensor(like.device.xp.asarray(value, like.dtype if floating else whole))
    return Tensor(like.device.xp.asarray(value, like.dtype if floating and is_floating_point(own_type) else None))


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
    array = np.array(data._on_host() if isinstance(data, Tensor) else plain("tensor", data))
    if not is_real(array.dtype):
        raise TypeError(f"tensor: data must hold real numbers or booleans; got {array.dtype}")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)  # a file's may be swapped
    if dtype is None and not hasattr(data, "dtype") and array.dtype == np.float64:
        dtype = np.float32
    array = array if dtype is None else array.astype(dtype, copy=False)
    return Tensor(get_device(device).asarray(array), requires_grad)
