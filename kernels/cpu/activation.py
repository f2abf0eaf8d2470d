"""Rectified linear unit, alone and at the end of a residual block: one pass over memory."""

from numba import prange

from .layout import deliver
from .rows import result, row_views
from .runtime import parallel


@parallel
def relu_rows(x, x_step, y, y_step, rows, width):
    zero = x.dtype.type(0)
    for r in prange(rows):
        xs, ys = x[r * x_step : r * x_step + width], y[r * y_step : r * y_step + width]
        for i in range(xs.size):
            ys[i] = zero if xs[i] < zero else xs[i]  # in this order NaN stays NaN


@parallel
def relu_backward_rows(dy, dy_step, y, y_step, dx, dx_step, rows, width):
    zero = y.dtype.type(0)
    for r in prange(rows):
        dys, ys = dy[r * dy_step : r * dy_step + width], y[r * y_step : r * y_step + width]
        dxs = dx[r * dx_step : r * dx_step + width]
        for i in range(dys.size):
            gradient = dys[i]
            dxs[i] = gradient if ys[i] > zero else zero


@parallel
def add_relu_rows(a, a_step, b, b_step, y, y_step, rows, width):
    zero = a.dtype.type(0)
    for r in prange(rows):
        sa, sb = a[r * a_step : r * a_step + width], b[r * b_step : r * b_step + width]
        ys = y[r * y_step : r * y_step + width]
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
