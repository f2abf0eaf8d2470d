"""Fully-connected layer: matrix products, by NumPy's BLAS but for the forward pass of a small batch.

There the weights w (K, C) are by far the largest matrix, and reading them takes longer than the arithmetic. The engine
of convolution then reads them once, as they are: y^T = w x^T, with the rows of w for pixels and those of x for filters.
"""

import numpy as np

from .gather import gather
from .layout import deliver, result_array, with_contiguous_channels
from .pack import pack_weights

SMALL_BATCH = 32  # measured: from here on BLAS is faster


def as_rows(a):
    """(..., C) -> (rows, C)"""
    rows = a.size // a.shape[-1] if a.shape[-1] else 0
    return a.reshape(rows, a.shape[-1])


def transposed_product(x, w):
    """w x^T   (K, rows)"""
    column = with_contiguous_channels(w)[None, :, None, :]
    result = np.empty((len(w), len(x)), x.dtype)
    filters = pack_weights(x[:, None, None, :], [(0, 0)], 1)
    gather(column, result[None, :, None, :], [(0, 0)], filters, None, False, (1, 1))
    return result


def linear_forward(x, w, b, relu=False, out=None):
    """y (..., K). b may be None. With relu, y = max(y, 0)."""
    rows = as_rows(x)
    product = transposed_product(rows, w).T if 0 < len(rows) < SMALL_BATCH else rows @ w.T
    y = result_array(out if x.ndim == 2 else None, product.shape, x.dtype)
    np.add(product, 0 if b is None else b, out=y)
    if relu:
        np.maximum(y, 0, out=y)
    return deliver(y if x.ndim == 2 else y.reshape(*x.shape[:-1], len(w)), out)


def linear_backward_input(dy, w, out=None):
    """dx = dy w   (..., C)"""
    return deliver((as_rows(dy) @ w).reshape(*dy.shape[:-1], w.shape[1]), out)


def linear_backward_weight(dy, x):
    """dw = dy^T x   (K, C), summed over all rows"""
    return as_rows(dy).T @ as_rows(x)
