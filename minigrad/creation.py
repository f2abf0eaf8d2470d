"""Tensors out of nothing: zeros, ones, ranges, random numbers; and NumPy arrays as tensors.

Sizes are numbers or one tuple: zeros(2, 3), zeros((2, 3)). All take dtype, device ("cpu", "cuda") and requires_grad by
keyword; floating-point numbers are float32 unless dtype says otherwise, and whole ones int64. Random numbers are drawn
on the host (minigrad.random), so that they are the same on every device.
"""

import numpy as np

from .device import get_device
from .ops.checks import is_whole, whole
from .precision import is_real
from .random import generator
from .tensor import Tensor, tensor


def made(array, dtype, device, requires_grad):
    array = array if dtype is None else array.astype(dtype, copy=False)
    return Tensor(get_device(device).asarray(array), requires_grad)


def shape_of(name, size):
    """Numbers, or one tuple of them, as a shape."""
    size = tuple(size[0]) if len(size) == 1 and isinstance(size[0], tuple | list) else size
    if not all(is_whole(n, 0) for n in size):
        raise ValueError(f"{name}: sizes must be ints >= 0; got {size}")
    return tuple(map(int, size))


def zeros(*size, dtype=np.float32, device="cpu", requires_grad=False):
    """Zeros."""
    return made(np.zeros(shape_of("zeros", size), dtype), None, device, requires_grad)


def ones(*size, dtype=np.float32, device="cpu", requires_grad=False):
    """Ones."""
    return made(np.ones(shape_of("ones", size), dtype), None, device, requires_grad)


def empty(*size, dtype=np.float32, device="cpu", requires_grad=False):
    """Numbers that are not set."""
    return made(np.empty(shape_of("empty", size), dtype), None, device, requires_grad)


def full(size, fill_value, *, dtype=None, device="cpu", requires_grad=False):
    """fill_value everywhere; without dtype a float becomes float32, an int int64 and a bool bool."""
    size = shape_of("full", size if isinstance(size, tuple | list) else (size,))
    dtype = np.float32 if dtype is None and isinstance(fill_value, float) else dtype
    return made(np.full(size, fill_value), dtype, device, requires_grad)


def eye(n, m=None, *, dtype=np.float32, device="cpu", requires_grad=False):
    """(n, m or n): ones on the diagonal, else zeros."""
    m = n if m is None else whole("eye", "m", m, 0)
    return made(np.eye(whole("eye", "n", n, 0), m), dtype, device, requires_grad)


def arange(start, end=None, step=1, *, dtype=None, device="cpu", requires_grad=False):
    """start, start + step, ... below end; arange(n) is 0 to n - 1. Whole numbers if all three are."""
    start, end = (0, start) if end is None else (start, end)
    if step == 0 or (end - start) * step < 0:
        raise ValueError(f"arange: step must lead from start to end; got start {start}, end {end}, step {step}")
    count = int(np.ceil((end - start) / step))
    array = start + step * np.arange(count)
    dtype = np.float32 if dtype is None and array.dtype.kind == "f" else dtype
    return made(array, dtype, device, requires_grad)


def linspace(start, end, steps, *, dtype=np.float32, device="cpu", requires_grad=False):
    """`steps` numbers from start to end, both among them, equally far apart."""
    return made(np.linspace(start, end, whole("linspace", "steps", steps, 0)), dtype, device, requires_grad)


def rand(*size, dtype=np.float32, device="cpu", requires_grad=False):
    """Uniform random numbers in [0, 1)."""
    return drawn("rand", size, generator().random, dtype, device, requires_grad)


def randn(*size, dtype=np.float32, device="cpu", requires_grad=False):
    """Standard normal random numbers."""
    return drawn("randn", size, generator().standard_normal, dtype, device, requires_grad)


def drawn(name, size, draw, dtype, device, requires_grad):
    wide = np.float64 if np.dtype(dtype) == np.float64 else np.float32
    return made(np.asarray(draw(shape_of(name, size), wide)), dtype, device, requires_grad)


def randint(low, high=None, size=(), *, dtype=np.int64, device="cpu"):
    """Random whole numbers from low to high - 1; randint(high, size=...) begins at 0."""
    low, high, size = (0, low, high) if isinstance(high, tuple | list) else (low, high, size)
    low, high = (0, low) if high is None else (low, high)
    if not low < high:
        raise ValueError(f"randint: low must be below high; got {low} and {high}")
    return made(np.asarray(generator().integers(low, high, shape_of("randint", (size,)))), dtype, device, False)


def randperm(n, *, device="cpu"):
    """0 to n - 1 in random order."""
    return made(generator().permutation(whole("randperm", "n", n, 0)), np.int64, device, False)


def like(name, make):
    """make's numbers in the shape, type and place of another tensor."""

    def call(x, *, dtype=None, device=None, requires_grad=False):
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: x must be a tensor; got {type(x).__name__}")
        dtype, device = x.dtype if dtype is None else dtype, x.device if device is None else device
        return make(x.shape, dtype=dtype, device=device, requires_grad=requires_grad)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"{make.__name__} in the shape of x, and in its type and on its device unless told otherwise."
    return call


zeros_like = like("zeros_like", zeros)
ones_like = like("ones_like", ones)
empty_like = like("empty_like", empty)
rand_like = like("rand_like", rand)
randn_like = like("randn_like", randn)


def full_like(x, fill_value, *, dtype=None, device=None, requires_grad=False):
    """fill_value in the shape of x, and in its type and on its device unless told otherwise."""
    dtype, device = x.dtype if dtype is None else dtype, x.device if device is None else device
    return full(x.shape, fill_value, dtype=dtype, device=device, requires_grad=requires_grad)


def from_numpy(array):
    """A tensor on the memory of a NumPy array: each sees what is written into the other. TypeError for others."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected a NumPy array; got {type(array).__name__}")
    return Tensor(array)


def as_tensor(data, dtype=None, device=None):
    """Data as a tensor without a copy where that can be: a tensor itself, NumPy's memory; else as minigrad.tensor."""
    array = from_numpy(data) if isinstance(data, np.ndarray) and is_real(data.dtype) else data
    made = array if isinstance(array, Tensor) else tensor(data, dtype)
    made = made if dtype is None else made.to(dtype)
    return made if device is None else made.to(device)


def is_tensor(value):
    """Is it a Tensor?"""
    return isinstance(value, Tensor)


def beside(make):
    """x.new_zeros(2, 3) and the like: make's numbers in the type and place of x, unless told otherwise."""

    def method(x, *args, dtype=None, device=None, requires_grad=False):
        dtype, device = x.dtype if dtype is None else dtype, x.device if device is None else device
        return make(*args, dtype=dtype, device=device, requires_grad=requires_grad)

    method.__doc__ = f"{make.__name__} in the type and on the device of this tensor, unless told otherwise."
    return method


for new in (zeros, ones, empty, full, tensor):
    setattr(Tensor, f"new_{new.__name__}", beside(new))
