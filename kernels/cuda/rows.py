"""Arrays as rows, and launches over them: the form in which the memory-bound kernels see their arguments.

A kernel gets the address of an array and the step, in elements, from row to row. A contiguous array is one long row. A
slice of some channels of a wider buffer has a row for each pixel and the buffer's channels as its step; it is not
copied. Any other layout is.
"""

import functools
import math

import numpy as np

from ..reference.arrays import array_module
from .loader import current

THREADS = 256  # in a block
BLOCKS_EACH = 8  # blocks for each multiprocessor: what fits on one
COLUMNS_OF_BLOCKS = 1024  # that columns.cuh counts by itself
MOST_BLOCKS = 1 << 16  # along one axis of the grid; the threads loop over what is left
PACK = 16  # bytes in the widest load
AMPERE, NEWEST = 80, 999  # compute capabilities: the first with TF32 and bfloat16 in tensor cores


def multiprocessors(xp):
    """Of the current GPU; what has none counts as one."""
    return multiprocessors_of(xp, current(xp))


@functools.cache
def multiprocessors_of(xp, device):
    return xp.cuda.Device().attributes["MultiProcessorCount"] if hasattr(xp, "cuda") else 1


def capability(xp):
    """The compute capability of the current GPU: 75 for Turing; what has none counts as the newest."""
    return capability_of(xp, current(xp))


@functools.cache
def capability_of(xp, device):
    return int(getattr(xp.cuda.Device(), "compute_capability", NEWEST)) if hasattr(xp, "cuda") else NEWEST


def compute_type(dtype):
    """Of sums: double for double, else float."""
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)


def row_step(a):
    """Elements from one row (..., C) to the next where all rows are evenly spaced and contiguous, else None."""
    if a.flags.c_contiguous:
        return a.shape[-1] if a.ndim else 1
    channels, itemsize = a.shape[-1], a.itemsize
    if a.strides[-1] != itemsize and channels > 1:
        return None
    step, expected = None, None
    for size, stride in zip(reversed(a.shape[:-1]), reversed(a.strides[:-1])):
        if size == 1:
            continue
        if step is None:
            step = stride
        elif stride != expected:
            return None
        expected = stride * size
    step = channels * itemsize if step is None else step
    return step // itemsize if step % itemsize == 0 and step >= channels * itemsize else None


def as_rows(a):
    """a, or a contiguous copy of it where its layout is not one of rows."""
    return a if row_step(a) is not None else array_module(a).ascontiguousarray(a)


def result(like, shape, dtype, out=None):
    """The array for a kernel to write: `out`, or a fresh one where there is none or its layout is not one of rows."""
    if out is None:
        return array_module(like).empty(shape, dtype)
    if out.shape != tuple(shape) or out.dtype != dtype:
        raise ValueError(f"out: expected {dtype} {tuple(shape)}, got {out.dtype} {out.shape}")
    return out if row_step(out) is not None else array_module(like).empty(shape, dtype)


def deliver(y, out):
    """What the caller gets back: y, copied into `out` where it is not there already."""
    if out is None or y is out:
        return y
    out[...] = y
    return out


def launch_rows(kernel, *arrays, scalars=()):
    """Launch an element-wise kernel<T, WIDE>(rows, width, address, step, address, step, ..., scalars...).

    All arrays have one shape and T's type; the first is the output, in a layout of rows.
    """
    if any(a.shape != arrays[0].shape or a.dtype != arrays[0].dtype for a in arrays):
        listed = ", ".join(f"{a.dtype} {a.shape}" for a in arrays)
        raise ValueError(f"arrays of one shape and type expected, got {listed}")
    if not arrays[0].size:
        return
    arrays = [as_rows(a) for a in arrays]
    steps = [row_step(a) for a in arrays]
    rows, width = 1, arrays[0].size
    if not all(a.flags.c_contiguous for a in arrays):
        width = arrays[0].shape[-1]
        rows = arrays[0].size // width
    wide = rows_are_aligned(arrays, steps if rows > 1 else [])
    pairs = [number for a, step in zip(arrays, steps) for number in (a, np.int64(step))]
    grid, block = grid_of_rows(rows, width, PACK // arrays[0].itemsize if wide else 1)
    kernel((arrays[0].dtype, wide), grid, block, np.int64(rows), np.int64(width), *pairs, *scalars)


def rows_are_aligned(arrays, steps):
    """Whether every row starts at a multiple of PACK bytes."""
    itemsize = arrays[0].itemsize
    return all(a.data.ptr % PACK == 0 for a in arrays) and all(step * itemsize % PACK == 0 for step in steps)


def grid_of_rows(rows, width, per_thread):
    """(grid, block) of two dimensions, x along a row and y over the rows, for per_thread elements a thread."""
    needed = -(-width // per_thread)
    x = min(THREADS, 1 << max(math.ceil(math.log2(needed)), 0))
    y = min(THREADS // x, 1 << math.ceil(math.log2(rows)))
    return (min(-(-needed // x), MOST_BLOCKS), min(-(-rows // y), 65535)), (x, y)


def element_grid(count):
    """The grid of a launch with THREADS in a block whose threads loop over `count` elements."""
    return (max(1, min(-(-count // THREADS), MOST_BLOCKS)),)


class Columns:
    """Arrays (..., C) of one shape as matrices (rows, C), and the launches that run along their columns."""

    def __init__(self, *arrays):
        self.arrays = [as_rows(a) for a in arrays]
        self.steps = [row_step(a) for a in self.arrays]
        first = self.arrays[0]
        self.xp, self.dtype, self.columns = array_module(first), first.dtype, first.shape[-1]
        self.compute = compute_type(self.dtype)  # of sums and statistics
        self.rows = first.size // max(self.columns, 1)
        fits = self.columns * first.itemsize % PACK == 0
        self.wide = fits and rows_are_aligned(self.arrays, self.steps)
        lanes = -(-self.columns // (PACK // first.itemsize if self.wide else 1))
        across = min(32, 1 << (lanes - 1).bit_length())
        self.block = across, THREADS // across
        wanted = BLOCKS_EACH * multiprocessors(self.xp)
        blocks = -(-lanes // across)
        self.grid = blocks, max(1, min(-(-wanted // blocks), -(-self.rows // self.block[1]), 65535))

    def vector(self):
        return self.xp.empty(self.columns, self.compute)

    def vectors(self, *values):
        """(C,) arrays in the compute type."""
        return [self.xp.ascontiguousarray(v.astype(self.compute, copy=False)) for v in values]

    def launch(self, kernel, *arguments):
        """kernel<T, WIDE>(rows, C, arguments...)"""
        kernel((self.dtype, self.wide), self.grid, self.block, np.int64(self.rows), self.columns, *arguments)

    def matrix(self, i):
        """Address and step of array i, as arguments."""
        return self.arrays[i], np.int64(self.steps[i])

    def room_for_sums(self):
        """Arguments: room for the two sums of each channel from each block of rows, and for counts of blocks."""
        blocks = self.grid[0]
        counts = None if blocks <= COLUMNS_OF_BLOCKS else self.xp.zeros(blocks, np.uint32)
        return self.xp.empty((self.grid[1], 2, self.columns), self.compute), counts


def of_one_launch(vectors):
    """Are they of one type that sums have, contiguous, and not empty?"""
    first = vectors[0]
    return first.size and all(
        v.dtype == first.dtype == compute_type(first.dtype) and v.flags.c_contiguous for v in vectors
    )
