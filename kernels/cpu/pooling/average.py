"""Average pooling, plain and adaptive: both are means over windows, given by where each starts and ends."""

import numpy as np

from ...recording import copied, empty
from ...reference.pool import MANY, adaptive_windows, window_lengths
from ...shapes import window_counts
from ..layout import deliver
from ..rows import pixels, places, result
from ..runtime import parallel, serial
from ..tasks import share
from .taps import weighted_sum

TILE = 256  # channels that one task averages: a global pooling has few windows, and still work for all threads


@serial
def mean_row(t, zero, x, y, size, windows, weights_along):
    """y = the sum over each window of row weight times column weight times x. Arrays: address and step of a pixel.

    size: of x (N, H, W, C); windows: rows (P, 2), columns (Q, 2), the first position of each and the one after its
    last; weights_along: of rows (P,), of columns (Q,)
    """
    (_, height, width, channels), (rows, columns), (row_weights, column_weights) = size, windows, weights_along
    p_count, q_count, tiles = len(rows), len(columns), (channels + TILE - 1) // TILE
    n, p, first = t // tiles // p_count, t // tiles % p_count, t % tiles * TILE
    lanes, offset, top, bottom = min(TILE, channels - first), first * row_weights.itemsize, rows[p, 0], rows[p, 1]
    weights = np.empty(width, row_weights.dtype)
    for q in range(q_count):
        left, count = columns[q, 0], columns[q, 1] - columns[q, 0]
        for k in range(count):
            weights[k] = row_weights[p] * column_weights[q]
        target = y[0] + ((n * p_count + p) * q_count + q) * y[1] + offset
        for h in range(top, max(bottom, top + 1)):  # once even in an empty window, to write its zeros
            source = x[0] + ((n * height + h) * width + left) * x[1] + offset
            weighted_sum(zero, (source, x[1]), weights, target, (count if h < bottom else 0, lanes), h > top)


@parallel
def mean_windows(zero, x, y, size, windows, weights_along):
    tiles = (size[3] + TILE - 1) // TILE
    share(mean_row, size[0] * len(windows[0]) * tiles, (zero, x, y, size, windows, weights_along))


@serial
def share_row(t, zero, y, x, size, holding, weights_along):
    """The transpose of mean_row: x from y. size: of y (N, P, Q, C); holding (H, 2), (W, 2): the windows there."""
    (_, p_count, q_count, channels), (rows, columns), (row_weights, column_weights) = size, holding, weights_along
    height, width = len(rows), len(columns)
    n, h = t // height, t % height
    top, bottom, weights = rows[h, 0], rows[h, 1], np.empty(q_count, row_weights.dtype)
    for w in range(width):
        left, count = columns[w, 0], columns[w, 1] - columns[w, 0]
        target = x[0] + (t * width + w) * x[1]
        for p in range(top, max(bottom, top + 1)):
            for k in range(count):
                weights[k] = row_weights[min(p, p_count - 1)] * column_weights[left + k]
            source = y[0] + ((n * p_count + p) * q_count + left) * y[1]
            weighted_sum(zero, (source, y[1]), weights, target, (count if p < bottom else 0, channels), p > top)


@parallel
def share_windows(zero, y, x, size, holding, weights_along):
    share(share_row, size[0] * len(holding[0]), (zero, y, x, size, holding, weights_along))


def windows_holding(windows, size):
    """(size, 2): the windows, first and one after the last, that hold each of `size` positions."""
    at = np.arange(size)
    return np.stack([np.searchsorted(windows[:, 1], at, "right"), np.searchsorted(windows[:, 0], at, "right")], 1)


def pooling_windows(size, window, stride, padding, count, include_pad):
    """Where each window starts and ends, clipped to the image (count, 2), and 1 / the length it is averaged over."""
    start = np.arange(count) * stride - padding
    lengths = window_lengths(np, size, window, stride, padding, count, include_pad)
    return np.clip(np.stack([start, start + window], 1), 0, size), 1 / lengths


def covering_windows(size, count):
    """The windows of adaptive pooling, in the form of pooling_windows."""
    windows = np.array([(window.start, window.stop) for window in adaptive_windows(size, count)]).reshape(count, 2)
    return windows, 1 / (windows[:, 1] - windows[:, 0])


def longest(windows):
    """The most positions that a window along one axis has."""
    return (windows[:, 1] - windows[:, 0]).max(initial=0)


def forward(x, axes, out):
    """y (N, P, Q, C) from the windows along both axes. Large windows of float32 add up in float64."""
    (n, *_, c), (windows, weights) = x.shape, zip(*axes)
    if x.dtype == np.float32 and longest(windows[0]) * longest(windows[1]) > MANY:
        wide = forward(copied(x, np.float64), axes, None)
        return deliver(copied(wide, x.dtype), out)
    y = result((n, *map(len, windows), c), x.dtype, out)
    arrays, weights = (pixels(x), pixels(y)), tuple(w.astype(x.dtype) for w in weights)
    mean_windows(x.dtype.type(0), *places(*arrays), x.shape, windows, weights)
    return deliver(y, out)


def backward(dy, x_shape, axes):
    """dx (N, H, W, C) from the windows along both axes."""
    windows, weights = zip(*axes)
    dx, holding = empty(x_shape, dy.dtype), tuple(windows_holding(*axis) for axis in zip(windows, x_shape[1:3]))
    arrays, weights = (pixels(dy), pixels(dx)), tuple(w.astype(dy.dtype) for w in weights)
    share_windows(dy.dtype.type(0), *places(*arrays), dy.shape, holding, weights)
    return dx


def avg_pool2d_forward(x, size, stride, padding, ceil_mode, count_include_pad, out=None):
    """Mean of each window; padded positions count in the divisor only with count_include_pad."""
    out_hw = window_counts(x.shape[1:3], size, stride, padding, (1, 1), ceil_mode)
    axes = zip(x.shape[1:3], size, stride, padding, out_hw)
    return forward(x, [pooling_windows(*axis, count_include_pad) for axis in axes], out)


def avg_pool2d_backward(dy, x_shape, size, stride, padding, count_include_pad):
    """dx: each output's gradient is shared equally by the pixels of its window."""
    axes = zip(x_shape[1:3], size, stride, padding, dy.shape[1:3])
    return backward(dy, x_shape, [pooling_windows(*axis, count_include_pad) for axis in axes])


def adaptive_avg_pool2d_forward(x, output_size):
    """Mean over P x Q windows that cover the image, of whatever size that takes. y (N, P, Q, C)."""
    return forward(x, [covering_windows(*axis) for axis in zip(x.shape[1:3], output_size)], None)


def adaptive_avg_pool2d_backward(dy, x_shape):
    """dx: each output's gradient is shared equally by its window (windows may overlap)."""
    return backward(dy, x_shape, [covering_windows(*axis) for axis in zip(x_shape[1:3], dy.shape[1:3])])
