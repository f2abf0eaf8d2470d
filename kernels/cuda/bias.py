"""Bias and ReLU in one pass, for layers that are matrix products of cuBLAS."""

from ..reference.arrays import array_module
from .loader import FLAGS, FLOATS, Kernel
from .rows import Columns

ADD_BIAS = Kernel("bias.cu", "add_bias", FLOATS, FLAGS)


def add_bias(y, b, relu):
    """y (rows, C) + b, and max(that, 0) with relu, in place."""
    if y.size and (b is not None or relu):
        b = None if b is None else array_module(b).ascontiguousarray(b, y.dtype)
        columns = Columns(y, *([] if b is None else [b[None]]))  # how wide a load may be depends on both
        columns.launch(ADD_BIAS, b, int(relu), y)
