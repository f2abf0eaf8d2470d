"""Max pooling. Forward and backward share one table for each axis: which position each tap of each window falls on."""

import numpy as np

from ...recording import empty
from ...shapes import window_counts
from ..layout import deliver
from ..rows import pixels, places, result
from ..runtime import parallel, serial
from ..tasks import share
from .taps import first_largest, sum_where_won


def tap_positions(size, window, stride, padding, dilation, count):
    """(count, window): the input position under each tap of each window along one axis, -1 where that is padding."""
    at = np.arange(count)[:, None] * stride + np.arange(window) * dilation - padding
    return np.where((at >= 0) & (at < size), at, -1)


def tap_windows(size, window, stride, padding, dilation, count):
    """(size, window): the window whose tap falls on each input position along one axis, -1 if there is none."""
    ahead = np.arange(size)[:, None] + padding - np.arange(window) * dilation
    at = ahead // stride
    return np.where((ahead % stride == 0) & (at >= 0) & (at < count), at, -1)


@serial
def max_pool_row(t, low, number, x, y, winner, size, tables):
    """size: of x (N, H, W, C). tables: tap_positions, (P, R) and (Q, S). Arrays: address and step."""
    (_, height, width, channels), (rows, columns) = size, tables
    p_count, (q_count, s_count) = len(rows), columns.shape
    n, p, most = t // p_count, t % p_count, rows.shape[1] * s_count
    taps, numbers = np.empty(most, np.int64), np.empty(most, np.int32)
    for q in range(q_count):
        count = 0
        for r in range(rows.shape[1]):
            for s in range(s_count):
                if rows[p, r] >= 0 and columns[q, s] >= 0:
                    taps[count] = x[0] + ((n * height + rows[p, r]) * width + columns[q, s]) * x[1]
                    numbers[count] = r * s_count + s
                    count += 1
        at = t * q_count + q
        there = y[0] + at * y[1], winner[0] + at * winner[1]
        first_largest(low, number, taps, numbers, there, (count, channels))


@parallel
def max_pool(low, number, x, y, winner, size, tables):
    share(max_pool_row, size[0] * len(tables[0]), (low, number, x, y, winner, size, tables))


@serial
def max_pool_row_backward(t, zero, number, dy, winner, dx, size, tables):
    """size: of dy (N, P, Q, C). tables: tap_windows, (H, R) and (W, S). Arrays as in max_pool_row."""
    (_, p_count, q_count, channels), (rows, columns) = size, tables
    height, (width, s_count) = len(rows), columns.shape
    n, h, taps = t // height, t % height, rows.shape[1] * s_count
    dys, winners, numbers = np.empty(taps, np.int64), np.empty(taps, np.int64), np.empty(taps, np.int32)
    for w in range(width):
        count = 0
        for r in range(rows.shape[1]):
            for s in range(s_count):
                if rows[h, r] >= 0 and columns[w, s] >= 0:
                    at = (n * p_count + rows[h, r]) * q_count + columns[w, s]
                    dys[count], winners[count] = dy[0] + at * dy[1], winner[0] + at * winner[1]
                    numbers[count] = r * s_count + s
                    count += 1
        sum_where_won(zero, number, dys, winners, numbers, count, dx[0] + (t * width + w) * dx[1], channels)


@parallel
def max_pool_backward(zero, number, dy, winner, dx, size, tables):
    share(max_pool_row_backward, size[0] * len(tables[0]), (zero, number, dy, winner, dx, size, tables))


def max_pool2d_forward(x, size, stride, padding, dilation, ceil_mode, out=None):
    """y, and for each output the number r S + s of the winning tap, the first in scan order when tied (uint8 or int32).

    The padding never wins: it counts as -inf. NaN wins over everything, so that it is not hidden.
    """
    n, *hw, c = x.shape
    out_hw = window_counts(hw, size, stride, padding, dilation, ceil_mode)
    y = result((n, *out_hw, c), x.dtype, out)
    winner = empty(y.shape, np.uint8 if size[0] * size[1] <= 256 else np.int32)
    tables = tuple(tap_positions(*axis) for axis in zip(hw, size, stride, padding, dilation, out_hw))
    arrays = pixels(x), pixels(y), pixels(winner)
    max_pool(x.dtype.type(-np.inf), winner.dtype.type(0), *places(*arrays), x.shape, tables)
    return deliver(y, out), winner


def max_pool2d_backward(dy, winner, x_shape, size, stride, padding, dilation):
    """dx: each output's gradient goes to the pixel that won."""
    hw, out_hw, dx = x_shape[1:3], dy.shape[1:3], empty(x_shape, dy.dtype)
    tables = tuple(tap_windows(*axis) for axis in zip(hw, size, stride, padding, dilation, out_hw))
    arrays = pixels(dy), pixels(winner), pixels(dx)
    max_pool_backward(dy.dtype.type(0), winner.dtype.type(0), *places(*arrays), dy.shape, tables)
    return dx
