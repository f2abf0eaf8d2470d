"""Arrays of the emulated GPU: NumPy inside, but as strict as CuPy about where an array lives.

An array takes no part in NumPy calls, and mixes with no NumPy array. Its memory lies between canaries, which every
launch checks, and `empty` is poisoned: integers of one bits, floats of NaN.
"""

import functools
import operator
import os
from types import SimpleNamespace

import numpy as np

from . import graph

ALIGNED = 256  # bytes, as memory of a GPU is
CANARY = 0 if os.environ.get("MINIGRAD_EMULATOR_SANITIZE") == "address" else ALIGNED  # bytes on each side
FILL = 0xFF


class Memory(np.ndarray):
    """The bytes of one allocation, canaries included."""


def allocate(shape, dtype):
    """A poisoned NumPy array between canaries, aligned as memory of a GPU is."""
    graph.check_pool()
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    memory = Memory(size + (2 * CANARY + ALIGNED if CANARY else 0), np.uint8)
    memory.fill(FILL)
    start = CANARY + -memory.ctypes.data % ALIGNED if CANARY else 0  # AddressSanitizer guards exact sizes
    array = np.ndarray(shape, dtype, buffer=memory, offset=start)
    memory.begin, memory.end = start, start + size
    graph.allocated(lambda: memory[start : start + size].fill(FILL))
    return array


def memory_of(array):
    """The allocation that a NumPy array is in, or None."""
    while array is not None and not isinstance(array, Memory):
        array = array.base
    return array


def check_canaries(name, arrays):
    """RuntimeError where a kernel wrote outside an array, naming the distance."""
    for i, array in enumerate(arrays):
        memory = memory_of(array.on_host)
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


def result_of(work):
    """What work() gives, as on_device; while a graph is captured, what each of its launches will have put there."""
    if not graph.capturing():
        return on_device(work())
    with np.errstate(all="ignore"):  # its shape counts, not its numbers
        host = work()
    if host is None:  # it wrote into an array
        graph.do(work)
    if isinstance(host, tuple | list):
        return type(host)(result_of(functools.partial(lambda i: work()[i], i)) for i in range(len(host)))
    device = on_device(host)
    if isinstance(device, ndarray) and memory_of(host if isinstance(host, np.ndarray) else None) is None:
        graph.noted(work, device.on_host)
    return device


def on_host(value):
    """The NumPy array inside. TypeError for an array that is not on the device."""
    if isinstance(value, ndarray):
        return value.on_host
    if isinstance(value, np.ndarray):
        raise TypeError("a NumPy array among arrays of the emulated device; move it there first")
    if isinstance(value, tuple | list):
        return type(value)(on_host(v) for v in value)
    return value


def as_index(index):
    """An index for NumPy; CuPy takes indices from the host, too."""
    if isinstance(index, tuple):
        return tuple(as_index(i) for i in index)
    return index.on_host if isinstance(index, ndarray) else index


def lifted(function):
    """A NumPy function as one of arrays of the device. What it gives for `out` is that array itself."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        def work():
            return function(*on_host(args), **{k: on_host(v) for k, v in kwargs.items()})

        if kwargs.get("out") is None:
            return result_of(work)
        graph.do(work)
        return kwargs["out"]

    if isinstance(function, np.ufunc):
        call.at = lambda a, index, values: graph.do(lambda: function.at(a.on_host, as_index(index), on_host(values)))
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
        return result_of(lambda: self.on_host[as_index(index)])

    def __setitem__(self, index, value):
        on_host(value)  # refuses NumPy arrays
        graph.do(lambda: self.on_host.__setitem__(as_index(index), on_host(value)))

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
        on_host(other)
        graph.do(lambda: function(self.on_host, on_host(other)))
        return self

    return change


give_operators()
