"""Which arrays the compiled kernels take as they are, and how far apart things lie in memory."""

import numpy as np

from ..recording import assign, copied, empty, written

LINE = 64  # bytes of a cache line


def with_contiguous_channels(a):
    """a itself if the channels of a pixel are contiguous (a channel slice is), else a copy."""
    return a if a.strides[-1] == a.itemsize else copied(a)


def merge_pixels(a):
    """(N, H, W, C) as (1, N H W, 1, C) without a copy, or None where the steps don't allow it."""
    n, h, w, c = a.shape
    image, row, pixel, _ = a.strides
    if (h > 1 and row != w * pixel) or (n > 1 and image != h * w * pixel):
        return None
    return np.lib.stride_tricks.as_strided(a, (1, n * h * w, 1, c), (0, pixel, pixel, a.itemsize))


def single_tap(x, y, stride=(1, 1)):
    """x and y of a 1x1 convolution without padding, with the stride left out; as columns of pixels if steps allow."""
    _, p, q, _ = y.shape
    x = x[:, :: stride[0], :: stride[1]][:, :p, :q]
    columns = merge_pixels(x), merge_pixels(y)
    return (x, y) if any(column is None for column in columns) else columns


def result_array(out, shape, dtype):
    """What the kernel writes: `out` where its channels are contiguous, else a fresh array (deliver copies it)."""
    if out is not None and out.strides[-1] == out.itemsize:
        return written(out)
    return empty(shape, dtype)


def deliver(y, out):
    """What the caller gets back: y, or `out` holding y where the kernel could not write there itself."""
    if out is None or y is out:
        return y
    assign(out, y)
    return out


def round_up(n, step):
    return -(-n // step) * step


def odd_lines(size):
    """At least so many bytes, as an odd number of cache lines: else caches put neighbours in the same place."""
    return (-(-size // LINE) | 1) * LINE
