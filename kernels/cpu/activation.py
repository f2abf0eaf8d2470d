"""Rectified linear unit, alone and at the end of a residual block: one pass over memory."""

from .layout import deliver
from .rows import result, row, row_views
from .runtime import parallel, serial
from .tasks import share


@serial
def relu_row(r, x, y, width):
    xs, ys, zero = row(x, r, width), row(y, r, width), x[0].dtype.type(0)
    for i in range(xs.size):
        ys[i] = zero if xs[i] < zero else xs[i]  # in this order NaN stays NaN


@parallel
def relu_rows(x, y, size):
    share(relu_row, size[0], (x, y, size[1]))


@serial
def relu_backward_row(r, dy, y, dx, width):
    dys, ys, dxs, zero = row(dy, r, width), row(y, r, width), row(dx, r, width), y[0].dtype.type(0)
    for i in range(dys.size):
        gradient = dys[i]
        dxs[i] = gradient if ys[i] > zero else zero


@parallel
def relu_backward_rows(dy, y, dx, size):
    share(relu_backward_row, size[0], (dy, y, dx, size[1]))


@serial
def add_relu_row(r, a, b, y, width):
    sa, sb, ys, zero = row(a, r, width), row(b, r, width), row(y, r, width), a[0].dtype.type(0)
    for i in range(sa.size):
        total = sa[i] + sb[i]
        ys[i] = zero if total < zero else total


@parallel
def add_relu_rows(a, b, y, size):
    share(add_relu_row, size[0], (a, b, y, size[1]))


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
