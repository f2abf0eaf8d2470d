"""Dropout with the reference's counter-based mask, computed where it is used: no mask is ever stored."""

import numpy as np

from .loader import FLAGS, FLOATS, Kernel, compute_scalar
from .rows import deliver, launch_rows, result

MASK64 = 2**64 - 1
DROPOUT = Kernel("dropout.cu", "dropout", FLOATS, FLAGS)


def dropout_forward(x, p, seed, out=None):
    """Zero each element with probability p, scale the rest by 1 / (1 - p). Applied to dy it is the backward pass.

    seed: a number, or an array that holds one (uint64), which is read when the kernel runs.
    """
    y = result(x, x.shape, x.dtype, out)
    if p >= 1:
        y[...] = 0
    else:
        number = isinstance(seed, int | np.integer)
        seeds = (np.uint64(int(seed) & MASK64), None) if number else (np.uint64(0), seed)
        scalars = *seeds, np.uint32(int(p * 2**32)), compute_scalar(x.dtype, 1 / (1 - p))
        launch_rows(DROPOUT, y, x, scalars=scalars)
    return deliver(y, out)
