"""Arrays of the emulated GPU: NumPy inside, but as strict as CuPy about where an array lives.

An array takes no part in NumPy calls, and mixes with no NumPy array. Its memory (memory.py) lies between canaries,
which every launch checks, and `empty` is poisoned: integers of one bits, floats of NaN.
"""

import functools
import operator
from types import SimpleNamespace

import ml_dtypes
import numpy as np

from . import graph
from .memory import FILL, allocate, memory_of, not_owning

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


def check_canaries(name, arrays):
    """RuntimeError where a kernel wrote outside an array, naming the distance."""
    for i, array in enumerate(arrays):
        memory = memory_of(getattr(array, "on_host", array))
        before, after = np.asarray(memory[: memory.begin]), np.asarray(memory[memory.end :])
        if (before != FILL).any() or (after != FILL).any():
            where = [*(np.flatnonzero(before != FILL) - memory.begin), *np.flatnonzero(after != FILL)]
            raise RuntimeError(f"{name}: wrote outside array {i} {array.shape}, at byte {where[0]} from its edge")


def on_device(value):
    """A NumPy result as an array of the device; other results as they are."""
    if isinstance(value, tuple | list):
        return type(value)(on_device(v) for v in value)
    if isinstance(value, np.generic):  # CuPy's reductions give arrays without axes, not scalars
        value = np.asarray(value)
    if not isinstance(value, np.ndarray):
        return value
    if memory_of(value) is None:
        fresh = allocate(value.shape, value.dtype)
        fresh[...] = value
        value = fresh
    return ndarray(value)


def result_of(function, *args, **kwargs):
    """What the function gives, as on_device; in a capture, what each launch of the graph will have put there."""
    if not graph.capturing():
        return on_device(function(*on_host(args), **on_host(kwargs)))
    with np.errstate(all="ignore"):  # its shape counts, not its numbers
        host = function(*on_host(args), **on_host(kwargs))
    return noted(host, later(function, *args, **kwargs))


def noted(host, work):
    """What work() gave, as on_device; each launch of the graph puts there what it gives then."""
    if host is None:  # it wrote into an array
        graph.do(work)
    if isinstance(host, tuple | list):
        return type(host)(noted(each, lambda i=i: work()[i]) for i, each in enumerate(host))
    device = on_device(host)
    if isinstance(device, ndarray) and memory_of(host if isinstance(host, np.ndarray) else None) is None:
        graph.noted(work, not_owning(device.on_host))
    return device


def later(function, *args, **kwargs):
    """function(*args, **kwargs) for a launch of the graph that is captured: of its arrays it knows the addresses."""
    args, kwargs = on_host(args, not_owning), on_host(kwargs, not_owning)
    return lambda: function(*args, **kwargs)


def do(function, *args, **kwargs):
    """Call a function that writes into arrays: now, or in each launch of the graph that is captured."""
    if graph.capturing():
        graph.do(later(function, *args, **kwargs))
    else:
        function(*on_host(args), **on_host(kwargs))


def on_host(value, form=lambda array: array):
    """The NumPy array inside, in this form. TypeError for an array that is not on the device."""
    if isinstance(value, ndarray):
        check_device(value)
        return form(value.on_host)
    if isinstance(value, np.ndarray):
        raise TypeError("a NumPy array among arrays of the emulated device; move it there first")
    if isinstance(value, tuple | list):
        return type(value)(on_host(v, form) for v in value)
    if isinstance(value, dict):
        return {key: on_host(v, form) for key, v in value.items()}
    return value


def check_device(array):
    """RuntimeError where the array is on another GPU than the current one, whose kernels can't read it."""
    if array.device.id != graph.current_device():
        raise RuntimeError(f"an array of GPU {array.device.id} among work of GPU {graph.current_device()}")


def as_index(index):
    """An index for on_host; CuPy takes indices from the host, too."""
    if isinstance(index, tuple):
        return tuple(as_index(i) for i in index)
    return ndarray(index) if isinstance(index, np.ndarray) else index


WITHOUT_BFLOAT16 = "where", "clip", "round", "around"  # CuPy's have no loop for it, and take it as float32


def in_float32(function):
    """The function with float32 in bfloat16's place."""

    def wide(value):
        return value.astype(np.float32) if getattr(value, "dtype", None) == BFLOAT16 else value

    return lambda *args, **kwargs: function(*map(wide, args), **{key: wide(value) for key, value in kwargs.items()})


def lifted(function):
    """A NumPy function as one of arrays of the device. What it gives for `out` is that array itself."""
    if function.__name__ in WITHOUT_BFLOAT16:
        function = functools.wraps(function)(in_float32(function))

    @functools.wraps(function)
    def call(*args, **kwargs):
        if kwargs.get("out") is None:
            return result_of(function, *args, **kwargs)
        do(function, *args, **kwargs)
        return kwargs["out"]

    if isinstance(function, np.ufunc):
        call.at = lambda a, index, values: do(function.at, a, as_index(index), values)
    return call


class ndarray:
    """An array of the emulated device. get() copies it to the host."""

    __array_ufunc__ = None  # NumPy arrays and scalars leave operators to this class

    def __init__(self, array):
        self.on_host = array

    shape = property(lambda self: self.on_host.shape)
    dtype = property(lambda self: self.on_host.dtype)
    ndim = property(lambda self: self.on_host.ndim)
    size = property(lambda self: self.on_host.size)
    itemsize = property(lambda self: self.on_host.itemsize)
    nbytes = property(lambda self: self.on_host.nbytes)
    strides = property(lambda self: self.on_host.strides)
    flags = property(lambda self: self.on_host.flags)
    T = property(lambda self: on_device(self.on_host.T))
    data = property(lambda self: SimpleNamespace(ptr=self.on_host.ctypes.data))
    base = property(lambda self: memory_of(self.on_host))

    @property
    def device(self):
        return SimpleNamespace(id=getattr(memory_of(self.on_host), "gpu", 0))

    def copy(self, order="C"):
        """On the current GPU, as CuPy's."""
        if self.device.id == graph.current_device():
            return result_of(np.copy, self)
        return on_device(self.on_host.copy())

    def get(self):
        graph.refuse_while_capturing("copying an array to the host")
        return self.on_host.copy()

    def set(self, array, stream):
        """Copy from the host, when the stream comes to it."""
        stream.work.append(lambda: np.copyto(self.on_host, array))

    def item(self):
        graph.refuse_while_capturing("reading a number")
        return self.on_host.item()

    def __array__(self, *args, **kwargs):
        raise TypeError("an array of the emulated device does not become a NumPy array by itself; use .get()")

    def __repr__(self):
        return f"emulated {self.on_host!r}"

    def __len__(self):
        return len(self.on_host)

    def __bool__(self):
        return bool(self.item())

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __getitem__(self, index):
        if isinstance(index, ndarray) and index.dtype == bool:
            graph.refuse_while_capturing("counting a mask")
        return result_of(operator.getitem, self, as_index(index))

    def __setitem__(self, index, value):
        do(operator.setitem, self, as_index(index), value)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __getattr__(self, name):
        method = getattr(np.ndarray, name)
        if not callable(method) or name.startswith("__"):
            raise AttributeError(name)
        return functools.partial(lifted(method), self)


def give_operators():
    """ndarray's operators: NumPy's, between arrays of the device and numbers."""
    for name in "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split():
        function = getattr(operator, f"__{name}__")
        setattr(ndarray, f"__{name}__", lifted(function))
        setattr(ndarray, f"__r{name}__", reflected(lifted(function)))
        setattr(ndarray, f"__i{name}__", in_place(getattr(operator, f"__i{name}__")))
    for name in ("lt", "le", "gt", "ge", "eq", "ne", "neg", "abs", "invert"):
        setattr(ndarray, f"__{name}__", lifted(getattr(operator, f"__{name}__")))


def reflected(function):
    return lambda self, other: function(other, self)


def in_place(function):
    def change(self, other):
        do(function, self, other)
        return self

    return change


give_operators()
