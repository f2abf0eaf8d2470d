"""Dropout with the reference's counter-based mask, computed where it is used: no mask is ever stored."""

import numpy as np

from ..reference.dropout import MASK32, mix32
from .loader import FLAGS, FLOATS, Kernel, compute_scalar
from .rows import deliver, launch_rows, result

DROPOUT = Kernel("dropout.cu", "dropout", FLOATS, FLAGS)


def dropout_forward(x, p, seed, out=None):
    """Zero each element with probability p, scale the rest by 1 / (1 - p). Applied to dy it is the backward pass."""
    y = result(x, x.shape, x.dtype, out)
    if p >= 1:
        y[...] = 0
    else:
        keys = (np.uint32(mix32(half & MASK32)) for half in (seed, seed >> 32))
        scalars = *keys, np.uint32(int(p * 2**32)), compute_scalar(x.dtype, 1 / (1 - p))
        launch_rows(DROPOUT, y, x, scalars=scalars)
    return deliver(y, out)
