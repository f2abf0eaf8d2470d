"""Arrays as rows: the one form in which the memory-bound kernels see their arguments.

A kernel gets a flat array and a step, and reads row r as flat[r * step : r * step + width]. A contiguous array has the
step C; a slice of some channels of a wider buffer has the buffer's C as its step, and is not copied. One flat layout
also means one compiled version of each kernel for each type.
"""

import math

import numpy as np

BLOCK = 4096  # elements in a row of an element-wise operation: long against the cost of a row, short enough to share


class Memory:
    """Names the memory of `owner` to NumPy anew, as `size` elements in a row that Numba may type as writable.

    A read-only input would otherwise cost a second compilation of every kernel. No kernel writes its inputs.
    """

    def __init__(self, owner, size):
        self.owner = owner
        address = owner.__array_interface__["data"][0]
        description = {"version": 3, "shape": (size,), "typestr": owner.dtype.str, "data": (address, False)}
        self.__array_interface__ = description


def as_matrix(a):
    """a (..., C) as (pixels, C) with contiguous channels, without a copy; None if its layout doesn't allow that."""
    channels = a.shape[-1]
    try:
        m = np.reshape(a, (math.prod(a.shape[:-1]), channels), copy=False)
    except ValueError:
        return None
    step, rest = divmod(m.strides[0], m.itemsize)
    return m if (channels <= 1 or m.strides[1] == m.itemsize) and step >= channels and not rest else None


def pixels(a):
    """The memory of a (..., C) as a flat array, and the step from pixel to pixel. Copies layouts that have none."""
    if not a.flags.c_contiguous:
        m = as_matrix(a)
        if m is not None and m.size:
            step = m.strides[0] // m.itemsize
            return np.asarray(Memory(m, (len(m) - 1) * step + m.shape[1])), step
        a = np.ascontiguousarray(a)
    channels = a.shape[-1] if a.ndim else 1
    return (a.reshape(-1) if a.flags.writeable else np.asarray(Memory(a, a.size))), channels


def addresses(*arrays):
    """Of each (flat, step) that pixels gave: the address and the step in bytes. The caller keeps the arrays alive."""
    return [number for flat, step in arrays for number in (flat.ctypes.data, step * flat.itemsize)]


def row_views(*arrays, block=BLOCK):
    """Kernel arguments for arrays of one shape: flat, step of each, then the number of rows and their width.

    If all are contiguous a row is `block` elements, whatever the shape (the last row may be shorter); else a pixel.
    """
    shape = arrays[0].shape
    if any(a.shape != shape for a in arrays):
        raise ValueError(f"arrays of one shape expected, got {', '.join(str(a.shape) for a in arrays)}")
    views = [view for a in arrays for view in pixels(a)]
    size = arrays[0].size
    if all(a.flags.c_contiguous for a in arrays):
        views[1::2] = [block] * len(arrays)
        return *views, -(-size // block), block
    return *views, size // max(shape[-1], 1), shape[-1]


def result(shape, dtype, out):
    """The array for a kernel to write: `out`, or a fresh one if there is none or its layout is not one of rows."""
    if out is None:
        return np.empty(shape, dtype)
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"out: expected {dtype} {shape}, got {out.dtype} {out.shape}")
    return out if out.flags.c_contiguous or as_matrix(out) is not None else np.empty(shape, dtype)
