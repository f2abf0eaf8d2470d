"""Rectified linear unit, alone and at the end of a residual block: one pass over memory."""

from numba import prange

from .layout import deliver
from .rows import result, row, row_views
from .runtime import parallel


@parallel
def relu_rows(x, y, size):
    zero = x[0].dtype.type(0)
    for r in prange(size[0]):
        xs, ys = row(x, r, size[1]), row(y, r, size[1])
        for i in range(xs.size):
            ys[i] = zero if xs[i] < zero else xs[i]  # in this order NaN stays NaN


@parallel
def relu_backward_rows(dy, y, dx, size):
    zero = y[0].dtype.type(0)
    for r in prange(size[0]):
        dys, ys, dxs = row(dy, r, size[1]), row(y, r, size[1]), row(dx, r, size[1])
        for i in range(dys.size):
            gradient = dys[i]
            dxs[i] = gradient if ys[i] > zero else zero


@parallel
def add_relu_rows(a, b, y, size):
    zero = a[0].dtype.type(0)
    for r in prange(size[0]):
        sa, sb, ys = row(a, r, size[1]), row(b, r, size[1]), row(y, r, size[1])
        for i in range(sa.size):
            total = sa[i] + sb[i]
            ys[i] = zero if total < zero else total


def relu_forward(x, out=None):
    """y = max(x, 0)"""
    y = result(x.shape, x.dtype, out)
    relu_rows(*row_views(x, y))
    return deliver(y, out)


def relu_backward(dy, y, out=None):
    """dx = dy where y > 0, else 0"""
    dx = result(dy.shape, dy.dtype, out)
    relu_backward_rows(*row_views(dy, y, dx))
    return deliver(dx, out)


def add_relu_forward(a, b, out=None):
    """y = max(a + b, 0)"""
    y = result(a.shape, a.dtype, out)
    add_relu_rows(*row_views(a, b, y))
    return deliver(y, out)
