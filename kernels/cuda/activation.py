"""Rectified linear unit, alone and at the end of a residual block."""

from .loader import FLAGS, FLOATS, Kernel
from .rows import deliver, launch_rows, result

RELU_FORWARD = Kernel("activation.cu", "relu_forward", FLOATS, FLAGS)
RELU_BACKWARD = Kernel("activation.cu", "relu_backward", FLOATS, FLAGS)
ADD_RELU_FORWARD = Kernel("activation.cu", "add_relu_forward", FLOATS, FLAGS)


def relu_forward(x, out=None):
    """y = max(x, 0)"""
    y = result(x, x.shape, x.dtype, out)
    launch_rows(RELU_FORWARD, y, x)
    return deliver(y, out)


def relu_backward(dy, y, out=None):
    """dx = dy where y > 0, else 0"""
    dx = result(dy, dy.shape, dy.dtype, out)
    launch_rows(RELU_BACKWARD, dx, dy, y)
    return deliver(dx, out)


def add_relu_forward(a, b, out=None):
    """y = max(a + b, 0)"""
    y = result(a, a.shape, a.dtype, out)
    launch_rows(ADD_RELU_FORWARD, y, a, b)
    return deliver(y, out)
