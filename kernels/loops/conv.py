"""Convolution: one loop over all its products, forwards and for both gradients."""

import numpy as np

from ..reference.arrays import write
from ..shapes import window_counts
from .activation import finished
from .positions import indices, inside, pixel


def terms(x_shape, w_shape, out_hw, stride, padding, dilation, groups):
    """(n, p, q, k), (n, i, j, channel), (k, r, s, c) of every product of a convolution: y += x w."""
    filters, depth = w_shape[0] // groups, w_shape[3]
    for n, p, q, k, r, s, c in indices((x_shape[0], *out_hw, *w_shape)):
        i, j = pixel(p, q, r, s, stride, padding, dilation)
        if inside(i, j, x_shape[1:3]):
            yield (n, p, q, k), (n, i, j, k // filters * depth + c), (k, r, s, c)


def conv2d_forward(x, w, b, stride, padding, dilation, groups, relu=False, out=None):
    """y[n,p,q,k] = b[k] + sum over r, s, c of x[n,i,j,c] w[k,r,s,c]   (i, j: see pixel)"""
    out_hw = window_counts(x.shape[1:3], w.shape[1:3], stride, padding, dilation)
    y = np.zeros((x.shape[0], *out_hw, w.shape[0]), x.dtype)
    for at_y, at_x, at_w in terms(x.shape, w.shape, out_hw, stride, padding, dilation, groups):
        y[at_y] += x[at_x] * w[at_w]
    return write(finished(y, b, relu), out)


def conv2d_backward_input(dy, w, x_shape, stride, padding, dilation, groups, out=None):
    """dx[n,i,j,c] = sum over the p, q, r, s that lead to i, j, and over k, of dy[n,p,q,k] w[k,r,s,c]"""
    dx = np.zeros(x_shape, dy.dtype)
    for at_y, at_x, at_w in terms(x_shape, w.shape, dy.shape[1:3], stride, padding, dilation, groups):
        dx[at_x] += dy[at_y] * w[at_w]
    return write(dx, out)


def conv2d_backward_weight(dy, x, w_shape, stride, padding, dilation, groups):
    """dw[k,r,s,c] = sum over n, p, q of dy[n,p,q,k] x[n,i,j,c]"""
    dw = np.zeros(w_shape, dy.dtype)
    for at_y, at_x, at_w in terms(x.shape, w_shape, dy.shape[1:3], stride, padding, dilation, groups):
        dw[at_w] += dy[at_y] * x[at_x]
    return dw
