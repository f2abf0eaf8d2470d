"""Max and average pooling."""

import numpy as np

from ..reference.arrays import write
from ..reference.pool import window_areas
from ..shapes import window_counts
from .positions import indices, inside, pixel


def max_pool2d_forward(x, size, stride, padding, dilation, ceil_mode, out=None):
    """y[n,p,q,c] = the largest x[n,i,j,c] of the window, and the number r S + s of the tap that had it.

    The first wins when tied, the padding never; NaN wins over everything.
    """
    out_hw = window_counts(x.shape[1:3], size, stride, padding, dilation, ceil_mode)
    y = np.full((x.shape[0], *out_hw, x.shape[3]), -np.inf, x.dtype)
    winner = np.zeros(y.shape, np.uint8 if size[0] * size[1] <= 256 else np.int32)
    for n, p, q, c, r, s in indices((*y.shape, *size)):
        i, j = pixel(p, q, r, s, stride, padding, dilation)
        best = y[n, p, q, c]
        if inside(i, j, x.shape[1:3]) and not np.isnan(best) and not x[n, i, j, c] <= best:  # (NaN <= 1 is false)
            y[n, p, q, c], winner[n, p, q, c] = x[n, i, j, c], r * size[1] + s
    return write(y, out), winner


def max_pool2d_backward(dy, winner, x_shape, size, stride, padding, dilation):
    """dx[n,i,j,c] = sum of dy[n,p,q,c] over the windows in which pixel i, j won"""
    dx = np.zeros(x_shape, dy.dtype)
    for n, p, q, c in indices(dy.shape):
        r, s = divmod(int(winner[n, p, q, c]), size[1])
        i, j = pixel(p, q, r, s, stride, padding, dilation)
        if inside(i, j, x_shape[1:3]):
            dx[n, i, j, c] += dy[n, p, q, c]
    return dx


def avg_pool2d_forward(x, size, stride, padding, ceil_mode, count_include_pad, out=None):
    """y[n,p,q,c] = 1/area sum over the window of x[n,i,j,c]   (area: with count_include_pad its padding counts, too)"""
    out_hw = window_counts(x.shape[1:3], size, stride, padding, (1, 1), ceil_mode)
    area = window_areas(np, x.shape[1:3], size, stride, padding, out_hw, count_include_pad)
    y = np.zeros((x.shape[0], *out_hw, x.shape[3]), x.dtype)
    for n, p, q, c, r, s in indices((*y.shape, *size)):
        i, j = pixel(p, q, r, s, stride, padding, (1, 1))
        if inside(i, j, x.shape[1:3]):
            y[n, p, q, c] += x[n, i, j, c] / area[p, q, 0]
    return write(y, out)


def avg_pool2d_backward(dy, x_shape, size, stride, padding, count_include_pad):
    """dx[n,i,j,c] = sum of dy[n,p,q,c] / area over the windows that hold pixel i, j"""
    area = window_areas(np, x_shape[1:3], size, stride, padding, dy.shape[1:3], count_include_pad)
    dx = np.zeros(x_shape, dy.dtype)
    for n, p, q, c, r, s in indices((*dy.shape, *size)):
        i, j = pixel(p, q, r, s, stride, padding, (1, 1))
        if inside(i, j, x_shape[1:3]):
            dx[n, i, j, c] += dy[n, p, q, c] / area[p, q, 0]
    return dx
