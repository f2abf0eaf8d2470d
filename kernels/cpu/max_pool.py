"""Max pooling. Forward and backward share one table for each axis: which position each tap of each window falls on."""

import numpy as np
from numba import prange

from ..shapes import window_counts
from .rows import deliver, pixels, result
from .runtime import parallel, serial


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
def keep_larger(x, tap, y, winner):
    """Let the pixel x take the place of y where it is larger, or is the first NaN."""
    number = winner.dtype.type(tap)
    for c in range(y.size):
        better = not (x[c] <= y[c]) and y[c] == y[c]
        y[c] = x[c] if better else y[c]
        winner[c] = number if better else winner[c]


@parallel
def max_pool(x, x_step, y, y_step, winner, channels, height, width, rows, columns):
    """rows (P, R) and columns (Q, S) are tap_positions. winner is contiguous."""
    p_count, q_count, s_count = len(rows), len(columns), columns.shape[1]
    lowest = x.dtype.type(-np.inf)
    for t in prange(len(winner) // max(q_count * channels, 1)):
        n, p = t // p_count, t % p_count
        for q in range(q_count):
            at = t * q_count + q
            best, number = y[at * y_step :][:channels], winner[at * channels :][:channels]
            best[:] = lowest
            number[:] = 0
            for r in range(rows.shape[1]):
                for s in range(s_count):
                    if rows[p, r] >= 0 and columns[q, s] >= 0:
                        pixel = (n * height + rows[p, r]) * width + columns[q, s]
                        keep_larger(x[pixel * x_step :][:channels], r * s_count + s, best, number)


@serial
def add_if_winner(dy, winner, tap, dx):
    number, zero = winner.dtype.type(tap), dy.dtype.type(0)
    for c in range(dx.size):
        dx[c] += dy[c] if winner[c] == number else zero


@parallel
def max_pool_backward(dy, dy_step, winner, dx, channels, p_count, q_count, rows, columns):
    """rows (H, R) and columns (W, S) are tap_windows. winner and dx are contiguous."""
    height, width, s_count = len(rows), len(columns), columns.shape[1]
    for t in prange(len(dx) // max(width * channels, 1)):
        n, h = t // height, t % height
        for w in range(width):
            total = dx[(t * width + w) * channels :][:channels]
            total[:] = 0
            for r in range(rows.shape[1]):
                for s in range(s_count):
                    if rows[h, r] >= 0 and columns[w, s] >= 0:
                        at = (n * p_count + rows[h, r]) * q_count + columns[w, s]
                        won = winner[at * channels :][:channels]
                        add_if_winner(dy[at * dy_step :][:channels], won, r * s_count + s, total)


def max_pool2d_forward(x, size, stride, padding, dilation, ceil_mode, out=None):
    """y, and for each output the number r S + s of the winning tap, the first in scan order when tied (uint8 or int32).

    The padding never wins: it counts as -inf. NaN wins over everything, so that it is not hidden.
    """
    (n, *hw, c) = x.shape
    out_hw = window_counts(hw, size, stride, padding, dilation, ceil_mode)
    y = result((n, *out_hw, c), x.dtype, out)
    winner = np.empty(y.shape, np.uint8 if size[0] * size[1] <= 256 else np.int32)
    tables = [tap_positions(*axis) for axis in zip(hw, size, stride, padding, dilation, out_hw)]
    max_pool(*pixels(x), *pixels(y), winner.reshape(-1), c, *hw, *tables)
    return deliver(y, out), winner


def max_pool2d_backward(dy, winner, x_shape, size, stride, padding, dilation):
    """dx: each output's gradient goes to the pixel that won."""
    dx, out_hw = np.empty(x_shape, dy.dtype), dy.shape[1:3]
    tables = [tap_windows(*axis) for axis in zip(x_shape[1:3], size, stride, padding, dilation, out_hw)]
    max_pool_backward(*pixels(dy), pixels(winner)[0], dx.reshape(-1), x_shape[3], *out_hw, *tables)
    return dx
