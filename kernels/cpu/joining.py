"""Joining feature maps: each source is copied row by row into its channels of the output."""

from numba import prange

from .rows import deliver, pixels, result
from .runtime import parallel


@parallel
def copy_rows(x, x_step, y, y_step, rows, width):
    for r in prange(rows):
        xs, ys = x[r * x_step : r * x_step + width], y[r * y_step : r * y_step + width]
        for i in range(width):
            ys[i] = xs[i]


def concat_forward(xs, out=None):
    """Join along the last axis: (..., C1), (..., C2), ... -> (..., C1 + C2 + ...)"""
    leading = xs[0].shape[:-1]
    if any(x.shape[:-1] != leading for x in xs):
        raise ValueError(f"concat: axes before the last must agree, got {', '.join(str(x.shape) for x in xs)}")
    y = result((*leading, sum(x.shape[-1] for x in xs)), xs[0].dtype, out)
    flat, step = pixels(y)
    start = 0
    for x in xs:
        channels = x.shape[-1]
        copy_rows(*pixels(x), flat[start:], step, x.size // max(channels, 1), channels)
        start += channels
    return deliver(y, out)
