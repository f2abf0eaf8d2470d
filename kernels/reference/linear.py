"""Fully-connected layer: y = x w^T + b.   x (..., C)   w (K, C)   b (K,)   y (..., K)"""

from .arrays import array_module, write


def rows(a):
    """(..., C) -> (rows, C)."""
    return a.reshape(-1, a.shape[-1])


def linear_forward(x, w, b, relu=False, out=None):
    """y (..., K). b may be None. With relu, y = max(y, 0)."""
    y = (rows(x) @ w.T).reshape(*x.shape[:-1], w.shape[0])
    y = y if b is None else y + b
    return write(array_module(x).maximum(y, 0) if relu else y, out)


def linear_backward_input(dy, w, out=None):
    """dx = dy w   (..., C)"""
    return write((rows(dy) @ w).reshape(*dy.shape[:-1], w.shape[1]), out)


def linear_backward_weight(dy, x):
    """dw = dy^T x   (K, C), summed over all rows"""
    return rows(dy).T @ rows(x)
