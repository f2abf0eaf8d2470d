"""Fully-connected layer: matrix products by cuBLAS, or as a 1x1 convolution on our own kernels where there is none."""

from . import blas, conv
from .bias import add_bias
from .rows import compute_type, deliver

POINTWISE = (1, 1), (0, 0), (1, 1), 1


def as_image(a):
    """(..., C) -> (rows, 1, 1, C)"""
    return blas.as_rows(a)[:, None, None, :]


def linear_forward(x, w, b, relu=False, out=None):
    """y (..., K). b may be None. With relu, y = max(y, 0)."""
    if blas.available(x):
        y = blas.matmul(blas.as_rows(x), w.T)
        add_bias(y, b, relu)
    else:
        y = conv.conv2d_forward(as_image(x), w[:, None, None, :], b, *POINTWISE, relu)
    return deliver(y.reshape(*x.shape[:-1], len(w)), out)


def linear_backward_input(dy, w, out=None):
    """dx = dy w   (..., C)"""
    if blas.available(dy):
        dx = blas.matmul(blas.as_rows(dy), w)
    else:
        image = as_image(dy)
        shape = (*image.shape[:3], w.shape[1])
        dx = conv.conv2d_backward_input(image, w[:, None, None, :], shape, *POINTWISE)
    return deliver(dx.reshape(*dy.shape[:-1], w.shape[1]), out)


def linear_backward_weight(dy, x):
    """dw = dy^T x   (K, C), summed over all rows; float32 for 16-bit types"""
    if blas.available(dy):
        return blas.matmul(blas.as_rows(dy).T, blas.as_rows(x), compute_type(x.dtype))
    shape = (dy.shape[-1], 1, 1, x.shape[-1])
    return conv.conv2d_backward_weight(as_image(dy), as_image(x), shape, *POINTWISE)[:, 0, 0]
