"""What every reference kernel needs: the array module of an array, and writing a result to `out`."""

import sys


def array_module(array):
    """numpy or cupy, whichever made this array (without importing either)."""
    return sys.modules[type(array).__module__.partition(".")[0]]


def write(y, out):
    """y itself, or y copied into `out` when the caller brought one."""
    if out is None:
        return y
    out[...] = y
    return out


def exact_sum(a, axes, keepdims=False):
    """Sum over axes in float64 (float32 for 16-bit types), in a's type. Whole numbers add up in int64.

    NumPy adds rows one by one where the last axis is not among those summed: in float32, millions of numbers lose
    three digits.
    """
    if a.dtype.kind in "iub":
        return a.sum(axes, dtype="int64", keepdims=keepdims)
    rows = a.flags.c_contiguous and tuple(axes) == tuple(range(a.ndim - len(axes), a.ndim))  # NumPy adds these in pairs
    if a.dtype.itemsize >= 8 or (rows and a.dtype.itemsize == 4):
        return a.sum(axes, keepdims=keepdims)
    wide = "float64" if a.dtype.itemsize == 4 else "float32"
    return a.sum(axes, dtype=wide, keepdims=keepdims).astype(a.dtype)


def exact_mean(a, axes, keepdims=False):
    """Mean over axes: exact_sum / count. NaN of no numbers."""
    total = exact_sum(a, axes, keepdims)
    count = a.size // max(total.size, 1)
    return total / a.dtype.type(count) if count else total + a.dtype.type("nan")
