"""ReLU."""

import numpy as np

from ..reference.arrays import write
from .positions import indices


def relu_forward(x, out=None):
    """y = max(x, 0)"""
    y = np.empty_like(x)
    for at in indices(x.shape):
        y[at] = x[at] if x[at] > 0 else 0
    return write(y, out)


def relu_backward(dy, y, out=None):
    """dx = dy where y > 0, else 0"""
    dx = np.empty_like(dy)
    for at in indices(dy.shape):
        dx[at] = dy[at] if y[at] > 0 else 0
    return write(dx, out)


def finished(y, b, relu):
    """y + b for each output channel, where there is a bias; then max(y, 0) if relu."""
    if b is not None:
        for at in indices(y.shape):
            y[at] += b[at[-1]]
    return relu_forward(y) if relu else y
