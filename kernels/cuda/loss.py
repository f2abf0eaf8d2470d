"""Softmax cross-entropy against a distribution for each row, one warp a row."""

import numpy as np

from .loader import FLOATS, Kernel
from .rows import as_rows, result, row_step

FORWARD = Kernel("loss.cu", "cross_entropy_forward", FLOATS)
BACKWARD = Kernel("loss.cu", "cross_entropy_backward", FLOATS)
ROWS = 4  # in a block


def with_steps(*arrays):
    """Kernel arguments for matrices: the address and the step from row to row of each."""
    return [number for a in map(as_rows, arrays) for number in (a, np.int64(row_step(a)))]


def launch(kernel, shape, dtype, *arguments):
    rows, classes = shape
    if rows and classes:
        kernel((dtype,), (-(-rows // ROWS),), (32, ROWS), rows, classes, *arguments)


def cross_entropy_forward(x, q):
    """Logits x (M, K), target weights q (M, K): the loss -sum_k q log softmax(x) of each row (M,), and softmax(x)."""
    loss, p = result(x, x.shape[:1], x.dtype), result(x, x.shape, x.dtype)
    launch(FORWARD, x.shape, x.dtype, *with_steps(x, q), loss, p)
    return loss, p


def cross_entropy_backward(dloss, p, q):
    """dx = dloss (p sum_k q - q): for a one-hot q the well-known softmax minus target."""
    dx, dloss = result(p, p.shape, p.dtype), dloss.astype(p.dtype, copy=False)
    step = np.int64(dloss.strides[0] // dloss.itemsize)
    launch(BACKWARD, p.shape, p.dtype, dloss, step, *with_steps(p, q), dx)
    return dx
