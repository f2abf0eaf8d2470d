"""Local response normalisation: a pixel's channels are normalised by their neighbours, in the first-level cache."""

import numpy as np

from ..recording import empty
from .rows import pixels, row
from .runtime import parallel, serial
from .tasks import share


@serial
def inverse_power(d, beta):
    """d^-beta. AlexNet's and GoogLeNet's beta = 0.75 by square roots, ten times faster than a general power."""
    if beta == 0.75:
        root = np.sqrt(d)
        return 1 / (root * np.sqrt(root))
    return d**-beta


@serial
def window_sum(x, size, before, total):
    """total[c] = sum of x[c - before] ... x[c - before + size - 1], of those that exist."""
    channels = x.size
    total[:] = 0
    for i in range(max(-before, 1 - channels), min(size - before, channels)):
        shifted, kept = x[max(i, 0) :], total[max(-i, 0) :]
        for c in range(channels - abs(i)):
            kept[c] += shifted[c]


@serial
def normalise_row(r, x, y, d, channels, size, factors):
    """factors: alpha / size, beta, k"""
    xs, ys, ds, (alpha, beta, k) = row(x, r, channels), row(y, r, channels), row(d, r, channels), factors
    square = np.empty(channels, xs.dtype)
    for c in range(channels):
        square[c] = xs[c] * xs[c]
    window_sum(square, size, size // 2, ds)
    for c in range(channels):
        ds[c] = k + alpha * ds[c]
        ys[c] = xs[c] * inverse_power(ds[c], beta)


@parallel
def normalise(x, y, d, rows, size, factors):
    """rows: (how many, channels)"""
    share(normalise_row, rows[0], (x, y, d, rows[1], size, factors))


@serial
def normalise_row_backward(r, dy, x, d, dx, channels, size, factors):
    """factors: beta, 2 alpha beta / size"""
    dys, xs, (beta, factor) = row(dy, r, channels), row(x, r, channels), factors
    ds, dxs = row(d, r, channels), row(dx, r, channels)
    through, total = np.empty(channels, xs.dtype), np.empty(channels, xs.dtype)
    for c in range(channels):
        dxs[c] = dys[c] * inverse_power(ds[c], beta)
        through[c] = dxs[c] * xs[c] / ds[c]
    window_sum(through, size, (size - 1) - size // 2, total)
    for c in range(channels):
        dxs[c] -= factor * xs[c] * total[c]


@parallel
def normalise_backward(dy, x, d, dx, rows, size, factors):
    """rows: (how many, channels)"""
    share(normalise_row_backward, rows[0], (dy, x, d, dx, rows[1], size, factors))


def pixel_rows(x):
    """(how many pixels, channels)"""
    return x.size // max(x.shape[-1], 1), x.shape[-1]


def local_response_norm_forward(x, size, alpha, beta, k):
    """y = x / d^beta with d = k + (alpha / size) sum of x^2 over `size` neighbouring channels. Returns y, d."""
    y, d = empty(x.shape, x.dtype), empty(x.shape, x.dtype)
    factors = tuple(x.dtype.type(factor) for factor in (alpha / size, beta, k))
    normalise(pixels(x), pixels(y), pixels(d), pixel_rows(x), size, factors)
    return y, d


def local_response_norm_backward(dy, x, d, size, alpha, beta):
    """dx = dy d^-beta - (2 alpha beta / size) x sum over the windows that hold it of dy x d^(-beta-1)"""
    dx = empty(x.shape, x.dtype)
    factors = tuple(x.dtype.type(factor) for factor in (beta, 2 * alpha * beta / size))
    normalise_backward(*(pixels(a) for a in (dy, x, d, dx)), pixel_rows(x), size, factors)
    return dx
