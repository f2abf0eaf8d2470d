"""Adaptive max pooling, channels last.   x (N, H, W, C)   ->   y (N, P, Q, C)"""

from .arrays import array_module
from .pool import adaptive_windows


def adaptive_max_pool2d_forward(x, output_size):
    """The largest of each of P x Q windows that cover the image, and its place h W + w, the first when tied (int32)."""
    xp, (n, h, w, c), (p, q) = array_module(x), x.shape, output_size
    y, winner = xp.empty((n, p, q, c), x.dtype), xp.empty((n, p, q, c), xp.int32)
    for i, rows in enumerate(adaptive_windows(h, p)):
        for j, columns in enumerate(adaptive_windows(w, q)):
            width = columns.stop - columns.start
            window = x[:, rows, columns].reshape(n, -1, c)
            first = window.argmax(1)
            y[:, i, j] = window.max(1)
            winner[:, i, j] = (rows.start + first // width) * w + columns.start + first % width
    return y, winner


def adaptive_max_pool2d_backward(dy, winner, x_shape):
    """dx: each output's gradient goes to the pixel that won, window by window."""
    xp, (n, h, w, c) = array_module(dy), x_shape
    dx = xp.zeros((n, h * w, c), dy.dtype)
    images, channels = xp.arange(n)[:, None], xp.arange(c)
    for i in range(dy.shape[1]):
        for j in range(dy.shape[2]):
            dx[images, winner[:, i, j], channels] += dy[:, i, j]
    return dx.reshape(x_shape)
