"""Arrays as rows: the one form in which the memory-bound kernels see their arguments.

A kernel gets a flat array and a step, and reads row r as flat[r * step : r * step + width]. A contiguous array has the
step C; a slice of some channels of a wider buffer has the buffer's C as its step, and is not copied. One flat layout
also means one compiled version of each kernel for each type.
"""

import math
from typing import NamedTuple

import numpy as np

from ..recording import address, contiguous, empty, written
from .runtime import serial

BLOCK = 4096  # elements in a row of an element-wise operation: long against the cost of a row, short enough to share


class Rows(NamedTuple):
    """Rows somewhere in memory: the address of the first one, and the bytes from each to the next."""

    at: int
    step: int


class Memory:
    """Names the memory of `owner` to NumPy anew, as `size` elements in a row that Numba may type as writable.

    A read-only input would otherwise cost a second compilation of every kernel. No kernel writes its inputs.
    """

    def __init__(self, owner, size):
        self.owner = owner
        place = owner.__array_interface__["data"][0], False
        description = {"version": 3, "shape": (size,), "typestr": owner.dtype.str, "data": place}
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
    a = np.asarray(a)  # a NumPy scalar's memory lives no longer than a look at it
    if not a.flags.c_contiguous:
        m = as_matrix(a)
        if m is not None and m.size:
            step = m.strides[0] // m.itemsize
            return np.asarray(Memory(m, (len(m) - 1) * step + m.shape[1])), step
        a = contiguous(a)
    channels = a.shape[-1] if a.ndim else 1
    return (a.reshape(-1) if a.flags.writeable else np.asarray(Memory(a, a.size))), channels


def places(*arrays):
    """Of each (flat, step) that pixels gave: Rows, as a plain tuple. The caller keeps the arrays alive.

    (Numba takes 0.2 us to look at a plain tuple in a call from Python, and ten times as long at a NamedTuple. So
    kernels get plain ones and name them.)
    """
    return [(address(flat), step * flat.itemsize) for flat, step in arrays]


def row_views(*arrays, block=BLOCK):
    """Kernel arguments for arrays of one shape: (flat, step) of each, then (number of rows, their width).

    If all are contiguous a row is `block` elements, whatever the shape (the last row may be shorter); else a pixel.
    """
    shape = arrays[0].shape
    if any(a.shape != shape for a in arrays):
        raise ValueError(f"arrays of one shape expected, got {', '.join(str(a.shape) for a in arrays)}")
    views, size = [pixels(a) for a in arrays], arrays[0].size
    if all(a.flags.c_contiguous for a in arrays):
        return *((flat, block) for flat, _ in views), (-(-size // block), block)
    return *views, (size // max(shape[-1], 1), shape[-1])


@serial
def rows_of(matrix):
    """The Rows of a matrix (rows, columns) whose columns are contiguous."""
    return Rows(at=np.int64(matrix.ctypes.data), step=np.int64(matrix.strides[0]))


@serial
def moved(rows, down, right):
    """The same Rows, from so many rows further down and bytes further right on."""
    return Rows(at=rows.at + down * rows.step + right, step=rows.step)


@serial
def row(a, r, width):
    """Row r of a = (flat, step), or as much of it as there is."""
    return a[0][r * a[1] : r * a[1] + width]


def result(shape, dtype, out):
    """The array for a kernel to write: `out`, or a fresh one if there is none or its layout is not one of rows."""
    if out is None:
        return empty(shape, dtype)
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"out: expected {dtype} {shape}, got {out.dtype} {out.shape}")
    return written(out) if out.flags.c_contiguous or as_matrix(out) is not None else empty(shape, dtype)
