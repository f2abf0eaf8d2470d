"""Fully-connected layer: a 1x1 convolution over a column of pixels, one for each row of x."""

from .conv import conv2d_backward_input, conv2d_forward
from .conv_weight import conv2d_backward_weight
from .layout import deliver

ONE_TAP = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}


def as_column(a):
    """(..., C) -> (1, rows, 1, C)"""
    rows = a.size // a.shape[-1] if a.shape[-1] else 0
    return a.reshape(1, rows, 1, a.shape[-1])


def as_filter(w):
    """(K, C) -> (K, 1, 1, C)"""
    return w.reshape(w.shape[0], 1, 1, w.shape[1])


def linear_forward(x, w, b, relu=False, out=None):
    """y (..., K). b may be None. With relu, y = max(y, 0)."""
    y = conv2d_forward(as_column(x), as_filter(w), b, **ONE_TAP, relu=relu)
    return deliver(y.reshape(*x.shape[:-1], w.shape[0]), out)


def linear_backward_input(dy, w, out=None):
    """dx = dy w   (..., C)"""
    column = as_column(dy)
    dx = conv2d_backward_input(column, as_filter(w), (*column.shape[:3], w.shape[1]), **ONE_TAP)
    return deliver(dx.reshape(*dy.shape[:-1], w.shape[1]), out)


def linear_backward_weight(dy, x):
    """dw = dy^T x   (K, C), summed over all rows"""
    k, c = dy.shape[-1], x.shape[-1]
    return conv2d_backward_weight(as_column(dy), as_column(x), (k, 1, 1, c), **ONE_TAP).reshape(k, c)
