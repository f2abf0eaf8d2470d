"""The fully-connected layer."""

import numpy as np

from ..reference.arrays import write
from .activation import finished
from .positions import indices


def linear_forward(x, w, b, relu=False, out=None):
    """y[m,k] = b[k] + sum over c of x[m,c] w[k,c], for each row m"""
    y = np.zeros((*x.shape[:-1], w.shape[0]), x.dtype)
    for *m, k, c in indices((*x.shape[:-1], *w.shape)):
        y[*m, k] += x[*m, c] * w[k, c]
    return write(finished(y, b, relu), out)


def linear_backward_input(dy, w, out=None):
    """dx[m,c] = sum over k of dy[m,k] w[k,c]"""
    dx = np.zeros((*dy.shape[:-1], w.shape[1]), dy.dtype)
    for *m, k, c in indices((*dy.shape[:-1], *w.shape)):
        dx[*m, c] += dy[*m, k] * w[k, c]
    return write(dx, out)


def linear_backward_weight(dy, x):
    """dw[k,c] = sum over m of dy[m,k] x[m,c]"""
    dw = np.zeros((dy.shape[-1], x.shape[-1]), dy.dtype)
    for *m, k, c in indices((*dy.shape, x.shape[-1])):
        dw[k, c] += dy[*m, k] * x[*m, c]
    return dw
