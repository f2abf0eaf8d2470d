"""Images in another size: nearest neighbour and bilinear interpolation."""

import math

import numpy as np

from ..precision import floats, sums
from ..tensor import op
from .checks import images, pair

MODES = ("nearest", "bilinear")


def output_size(x, size, scale_factor):
    """((P, Q), how far apart pixels of y are in x along each axis, as (numerator, denominator))."""
    if (size is None) == (scale_factor is None):
        raise ValueError(f"interpolate: give either size or scale_factor; got {size} and {scale_factor}")
    hw = x.shape[1:3]
    if size is not None:
        size = pair("interpolate", "size", size, 1)
        return size, tuple(zip(hw, size))
    both = tuple(scale_factor) if isinstance(scale_factor, tuple | list) else (scale_factor, scale_factor)
    if len(both) != 2 or not all(f > 0 and math.floor(n * f) > 0 for f, n in zip(both, hw)):
        raise ValueError(f"interpolate: scale_factor must leave at least one pixel; got {scale_factor!r}, x {x.shape}")
    return tuple(math.floor(n * f) for f, n in zip(both, hw)), tuple((1, f) for f in both)


def places(xp, n, count, scale, mode, align_corners):
    """For `count` pixels along an axis of n: the pixel before each, and the share of the next one."""
    i, (numerator, denominator) = xp.arange(count), scale
    if mode == "nearest":
        before = xp.minimum(i * numerator // denominator, n - 1).astype(xp.int64)
        return before, xp.zeros(count)
    if align_corners:
        at = i * ((n - 1) / max(count - 1, 1))
    else:
        at = ((i + 0.5) * numerator / denominator - 0.5).clip(0, None)
    before = at.astype(xp.int64)
    return before, xp.where(before < n - 1, at - before, 0)


@op(autocast=sums, types=floats)
def interpolate(ctx, x, *, size=None, scale_factor=None, mode="nearest", align_corners=False):
    """y = x at another size, each pixel a mean of those around its place;   dx = dy, shared out by the same weights

        x (N, H, W, C)   size (P, Q), or scale_factor with P = floor(H scale)   ->   y (N, P, Q, C)

    nearest    pixel i shows pixel floor(i H / P)
    bilinear   pixel i lies at (i + 1/2) H / P - 1/2, or with align_corners at i (H - 1) / (P - 1): between two pixels,
               which it mixes by distance; columns likewise

    With scale_factor, 1 / scale stands for H / P. ValueError for another mode, for align_corners with "nearest", or
    unless one of size and scale_factor is given.
    """
    images("interpolate", x)
    if mode not in MODES:
        raise ValueError(f"interpolate: mode must be one of {MODES}; got {mode!r}")
    if align_corners and mode == "nearest":
        raise ValueError("interpolate: align_corners is for mode 'bilinear'; got mode 'nearest'")
    if 0 in x.shape[1:3]:
        raise ValueError(f"interpolate: the image is empty; x {x.shape}")
    xp, x_shape = ctx.xp, x.shape
    hw, scales = output_size(x, size, scale_factor)
    how = [(n, count, scale, mode, align_corners) for n, count, scale in zip(x_shape[1:3], hw, scales)]
    y = mixed(xp, mixed(xp, x, 1, *how[0]), 2, *how[1])

    def backward(dy):
        return (shared_out(xp, shared_out(xp, dy, 2, *how[1]), 1, *how[0]),)

    return y, backward


def mixed(xp, x, axis, *how):
    """The pixels at these places along an axis."""
    before, share = places(xp, *how)
    left = x.take(before, axis)
    if how[3] == "nearest":
        return left
    share = share.astype(x.dtype).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    return left + share * (x.take((before + 1).clip(0, x.shape[axis] - 1), axis) - left)


def shared_out(xp, dy, axis, *how):
    """The gradient of mixed: each pixel of dy goes to the pixels that it was mixed from."""
    lead = (slice(None),) * axis
    dx = xp.zeros((*dy.shape[:axis], how[0], *dy.shape[axis + 1 :]), dy.dtype)
    for j, (i, share) in enumerate(zip(*(a.tolist() for a in places(np, *how)))):
        part = dy[(*lead, j)]
        dx[(*lead, i)] += part * (1 - share)
        if share:
            dx[(*lead, i + 1)] += part * share
    return dx
