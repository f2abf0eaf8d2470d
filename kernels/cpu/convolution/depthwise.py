"""Depthwise convolution: every channel has its own filter, and no sum runs over channels.

So there is no matrix product in it. Three plain loops over the taps, vectorised by the compiler over the channels,
which the filter needs in its last axis: w (R, S, C). A tap (r, s) ties the output (p, q) to the input
(p stride + r dilation - padding, q stride + s dilation - padding).
"""

import numpy as np

from ...recording import contiguous, empty, summed, zeros
from ..llvm import fma
from ..runtime import parallel, serial
from ..tasks import share

PARTS = 16  # of the output rows, each with its own sums: whatever the number of threads
STRIDE, PADDING, DILATION = range(3)  # rows of the array `how`; its columns are the axes


def applies(w_shape, channels, groups):
    """Whether each channel makes exactly one."""
    return groups == channels == w_shape[0] and groups > 1


@serial
def input_position(p, r, axis, how):
    """Along one axis, the input that output p meets at tap r."""
    return p * how[STRIDE, axis] + r * how[DILATION, axis] - how[PADDING, axis]


@serial
def output_position(h, r, axis, how):
    """Along one axis, the output that meets input h at tap r, or -1."""
    distance = h + how[PADDING, axis] - r * how[DILATION, axis]
    return distance // how[STRIDE, axis] if distance % how[STRIDE, axis] == 0 else -1


@serial
def forward_row(task, x, w, b, low, how, y):
    _, p_size, q_size, channels = y.shape
    n, p = task // p_size, task % p_size
    for q in range(q_size):
        for c in range(channels):
            y[n, p, q, c] = b[c]
        for r in range(w.shape[0]):
            for s in range(w.shape[1]):
                i, j = input_position(p, r, 0, how), input_position(q, s, 1, how)
                if 0 <= i < x.shape[1] and 0 <= j < x.shape[2]:
                    for c in range(channels):
                        y[n, p, q, c] = fma(x[n, i, j, c], w[r, s, c], y[n, p, q, c])
        for c in range(channels):
            y[n, p, q, c] = low if y[n, p, q, c] < low else y[n, p, q, c]  # keeps NaN


@parallel
def forward(x, w, b, low, how, y):
    share(forward_row, y.shape[0] * y.shape[1], (x, w, b, low, how, y))


@serial
def backward_input_row(task, dy, w, how, dx):
    _, h_size, w_size, channels = dx.shape
    n, i = task // h_size, task % h_size
    for j in range(w_size):
        for c in range(channels):
            dx[n, i, j, c] = 0
        for r in range(w.shape[0]):
            for s in range(w.shape[1]):
                p, q = output_position(i, r, 0, how), output_position(j, s, 1, how)
                if 0 <= p < dy.shape[1] and 0 <= q < dy.shape[2]:
                    for c in range(channels):
                        dx[n, i, j, c] = fma(dy[n, p, q, c], w[r, s, c], dx[n, i, j, c])


@parallel
def backward_input(dy, w, how, dx):
    share(backward_input_row, dx.shape[0] * dx.shape[1], (dy, w, how, dx))


@serial
def backward_weight_part(part, dy, x, how, sums):
    """sums (parts, R, S, C): every part adds up its own rows of the output, a row at a time for accuracy."""
    parts, r_size, s_size, channels = sums.shape
    _, p_size, q_size, _ = dy.shape
    rows, row_sum = len(dy) * p_size, np.empty(channels, x.dtype)
    for task in range(rows * part // parts, rows * (part + 1) // parts):
        n, p = task // p_size, task % p_size
        for r in range(r_size):
            i = input_position(p, r, 0, how)
            for s in range(s_size if 0 <= i < x.shape[1] else 0):
                row_sum[:] = 0
                for q in range(q_size):
                    j = input_position(q, s, 1, how)
                    if 0 <= j < x.shape[2]:
                        for c in range(channels):
                            row_sum[c] = fma(dy[n, p, q, c], x[n, i, j, c], row_sum[c])
                for c in range(channels):
                    sums[part, r, s, c] += row_sum[c]


@parallel
def backward_weight(dy, x, how, sums):
    share(backward_weight_part, len(sums), (dy, x, how, sums))


def channels_last_filter(w):
    """(C, R, S, 1) -> (R, S, C)"""
    return contiguous(w[..., 0].transpose(1, 2, 0))


def depthwise_forward(x, w, b, how, relu, y_shape):
    """y (N, P, Q, C); how: stride, padding, dilation"""
    y, low = empty(y_shape, x.dtype), x.dtype.type(0 if relu else -np.inf)
    b = np.zeros(len(w), x.dtype) if b is None else contiguous(b)
    forward(contiguous(x), channels_last_filter(w), b, low, np.array(how), y)
    return y


def depthwise_backward_input(dy, w, how, x_shape):
    """dx (N, H, W, C)"""
    dx = empty(x_shape, dy.dtype)
    backward_input(contiguous(dy), channels_last_filter(w), np.array(how), dx)
    return dx


def depthwise_backward_weight(dy, x, how, w_shape):
    """dw (C, R, S, 1)"""
    k, r_size, s_size, _ = w_shape
    sums = zeros((PARTS, r_size, s_size, k), dy.dtype)
    backward_weight(contiguous(dy), contiguous(x), np.array(how), sums)
    return contiguous(summed(sums).transpose(2, 0, 1))[..., None]
