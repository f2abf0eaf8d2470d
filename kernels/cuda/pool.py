"""Pooling on the GPU: one thread for each pixel of the result and 16 bytes of its channels."""

import numpy as np

from ..reference.arrays import array_module, exact_mean
from ..shapes import window_counts
from .loader import FLAGS, FLOATS, Kernel
from .rows import PACK, deliver, element_grid, result

WINNERS = ("unsigned char", "int")
MAX_POOL = Kernel("pool.cu", "max_pool", FLOATS, FLAGS, WINNERS)
MAX_POOL_BACKWARD = Kernel("pool.cu", "max_pool_backward", FLOATS, FLAGS, WINNERS)
AVG_POOL = Kernel("pool.cu", "avg_pool", FLOATS, FLAGS)
AVG_POOL_BACKWARD = Kernel("pool.cu", "avg_pool_backward", FLOATS, FLAGS)
ADAPTIVE_AVG_POOL = Kernel("pool.cu", "adaptive_avg_pool", FLOATS, FLAGS)
ADAPTIVE_AVG_POOL_BACKWARD = Kernel("pool.cu", "adaptive_avg_pool_backward", FLOATS, FLAGS)

MANY = 4096  # pixels from which a mean in float32 loses a digit
WINDOWS = np.dtype([("numbers", np.int32, 15)])  # struct Windows of pool.cu


def windows(x_shape, out_hw, size=(1, 1), stride=(1, 1), padding=(0, 0), dilation=(1, 1), count_include_pad=False):
    return np.array(((*x_shape, *out_hw, *size, *stride, *padding, *dilation, count_include_pad),), WINDOWS)[()]


def launch(kernel, shape, template, made, *arrays):
    """kernel<T, WIDE, ...>(windows, arrays...), a thread for every PACK bytes (or element) of the array `made`."""
    if not made.size:
        return
    arrays = [array_module(made).ascontiguousarray(a) for a in arrays]
    whole = made.shape[-1] * made.itemsize % PACK == 0
    wide = whole and all(a.data.ptr % PACK == 0 for a in arrays if a.dtype == made.dtype)
    grid = element_grid(made.size // (PACK // made.itemsize if wide else 1))
    kernel((made.dtype, wide, *template), grid, (256,), shape, *arrays)


def winner_type(size):
    """(dtype, its C++ name): a byte where it holds every tap's number."""
    return (np.uint8, WINNERS[0]) if size[0] * size[1] <= 256 else (np.int32, WINNERS[1])


def contiguous_result(like, shape, out):
    """The array to write: `out` where it is contiguous, else a fresh one."""
    return result(like, shape, like.dtype, out if out is not None and out.flags.c_contiguous else None)


def max_pool2d_forward(x, size, stride, padding, dilation, ceil_mode, out=None):
    """y, and for each output the number r S + s of the winning tap, the first in scan order when tied (uint8 or int32).

    The padding never wins: it counts as -inf. NaN wins over everything, so that it is not hidden.
    """
    hw = window_counts(x.shape[1:3], size, stride, padding, dilation, ceil_mode)
    y, (dtype, name) = contiguous_result(x, (x.shape[0], *hw, x.shape[3]), out), winner_type(size)
    winner = array_module(x).empty(y.shape, dtype)
    launch(MAX_POOL, windows(x.shape, hw, size, stride, padding, dilation), (name,), y, x, y, winner)
    return deliver(y, out), winner


def max_pool2d_backward(dy, winner, x_shape, size, stride, padding, dilation):
    """dx: each output's gradient goes to the pixel that won."""
    dx = array_module(dy).empty(x_shape, dy.dtype)
    shape, name = windows(x_shape, dy.shape[1:3], size, stride, padding, dilation), winner_type(size)[1]
    launch(MAX_POOL_BACKWARD, shape, (name,), dx, dy, winner, dx)
    return dx


def avg_pool2d_forward(x, size, stride, padding, ceil_mode, count_include_pad, out=None):
    """Mean of each window; padded positions count in the divisor only with count_include_pad."""
    hw = window_counts(x.shape[1:3], size, stride, padding, (1, 1), ceil_mode)
    y = contiguous_result(x, (x.shape[0], *hw, x.shape[3]), out)
    shape = windows(x.shape, hw, size, stride, padding, count_include_pad=count_include_pad)
    launch(AVG_POOL, shape, (), y, x, y)
    return deliver(y, out)


def avg_pool2d_backward(dy, x_shape, size, stride, padding, count_include_pad):
    """dx: each output's gradient is shared equally by the pixels of its window."""
    dx = array_module(dy).empty(x_shape, dy.dtype)
    shape = windows(x_shape, dy.shape[1:3], size, stride, padding, count_include_pad=count_include_pad)
    launch(AVG_POOL_BACKWARD, shape, (), dx, dy, dx)
    return dx


def adaptive_avg_pool2d_forward(x, output_size):
    """Mean over P x Q windows that cover the image, of whatever size that takes. y (N, P, Q, C)."""
    if output_size == (1, 1) and x.shape[1] * x.shape[2] > MANY and x.dtype.name == "float32":
        return exact_mean(x, (1, 2), keepdims=True)
    y = array_module(x).empty((x.shape[0], *output_size, x.shape[3]), x.dtype)
    launch(ADAPTIVE_AVG_POOL, windows(x.shape, output_size), (), y, x, y)
    return y


def adaptive_avg_pool2d_backward(dy, x_shape):
    """dx: each output's gradient is shared equally by its window (windows may overlap)."""
    dx = array_module(dy).empty(x_shape, dy.dtype)
    launch(ADAPTIVE_AVG_POOL_BACKWARD, windows(x_shape, dy.shape[1:3]), (), dx, dy, dx)
    return dx
