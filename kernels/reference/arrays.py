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
