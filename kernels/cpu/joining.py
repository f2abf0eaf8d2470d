"""Joining feature maps: the output is written once, from first to last, each pixel from all sources."""

import numpy as np

from .layout import deliver
from .llvm import copy_bytes
from .rows import pixels, places, result
from .runtime import parallel, serial
from .tasks import share


@serial
def join_row(r, sources, y):
    """sources: an address, a step from row to row and a width for each, in bytes; y: address and step."""
    target = y[0] + r * y[1]
    for s in range(len(sources)):
        width = sources[s, 2]
        copy_bytes(target, sources[s, 0] + r * sources[s, 1], width)
        target += width


@parallel
def join_rows(sources, y, rows):
    share(join_row, rows, (sources, y))


def concat_forward(xs, out=None):
    """Join along the last axis: (..., C1), (..., C2), ... -> (..., C1 + C2 + ...)"""
    leading, dtype = xs[0].shape[:-1], xs[0].dtype
    if any(x.shape[:-1] != leading or x.dtype != dtype for x in xs):
        listed = ", ".join(f"{x.dtype} {x.shape}" for x in xs)
        raise ValueError(f"concat: types and all axes but the last must agree, got {listed}")
    y = result((*leading, sum(x.shape[-1] for x in xs)), dtype, out)
    views = [pixels(x) for x in xs]
    sources = [(*place, x.shape[-1] * y.itemsize) for x, place in zip(xs, places(*views))]
    join_rows(np.array(sources, np.int64), *places(pixels(y)), y.size // max(y.shape[-1], 1))
    return deliver(y, out)
