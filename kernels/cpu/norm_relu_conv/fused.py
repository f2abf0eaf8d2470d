"""norm - ReLU - conv as one kernel (see kernels/reference/dense.py): which way to compute it."""

import sys

import numpy as np

from ...recording import as_a_whole, is_weight
from ...reference.dense import composed_backward, composed_forward
from ..convolution import winograd
from ..convolution.gather import BLOCK_PIXELS
from ..norm import pixel_count, scale_and_shift, silently
from . import pointwise
from . import winograd as fused_winograd

KERNELS = sys.modules[__package__.rpartition(".")[0]]  # of which the composition is made where nothing fused exists


def engine_for(x, w):
    """The module with the fused kernels for this convolution; None if there is none, or it is slower."""
    if x.size and w.shape[1:3] == (1, 1):
        return pointwise
    if x.size and w.shape[1:3] == (3, 3) and x.dtype == np.float32 and winograd.MODE != "0":
        return fused_winograd if winograd.MODE == "1" or winograd.has_enough_patches(x.shape) else None
    return None


def likely_mean(gamma, beta, w):
    """Roughly the mean of y, from which sums of squares lose little: what it would be if xhat were normal.

    The mean of max(gamma n + beta, 0) is approximated by (beta + sqrt(beta^2 + 2 gamma^2 / pi)) / 2, which is right at
    beta = 0 and far from it.
    """
    z = (beta + np.sqrt(beta * beta + (2 / np.pi) * gamma * gamma)) / 2
    pivot = (w.sum((1, 2)) * z).sum(1)  # in one order: that of a BLAS depends on its threads
    return np.where(np.isfinite(pivot), pivot, 0).astype(w.dtype)


def norm_relu_conv_forward(x, gamma, beta, mean, var, eps, w, moments=False, out=None):
    """y = conv2d(relu(batch_norm(x)), w); with moments also y's mean and biased var, else None, None."""
    way = forward if all(map(is_weight, (gamma, beta, mean, var, w))) else forward_as_a_whole
    return way(x, gamma, beta, mean, var, eps, w, moments, out)


@silently
def forward(x, gamma, beta, mean, var, eps, w, moments, out):
    """norm_relu_conv_forward"""
    engine = engine_for(x, w) if pixel_count(x) > BLOCK_PIXELS else None  # one block: the convolution need not pack w
    if engine is None:
        return composed_forward(KERNELS, x, gamma, beta, mean, var, eps, w, moments, out)
    terms = np.array(scale_and_shift(gamma, beta, mean, var, eps), x.dtype)
    pivot = likely_mean(gamma, beta, w) if moments else np.zeros(len(w), w.dtype)
    y, sums = engine.forward(x, terms, w, pivot, out)
    if not moments:
        return y, None, None
    away, square = sums / pixel_count(x)
    return y, (pivot + away).astype(x.dtype), np.maximum(square - away * away, 0).astype(x.dtype)


forward_as_a_whole = as_a_whole(forward)


@as_a_whole
@silently
def norm_relu_conv_backward(dy, line, x, gamma, beta, mean, var, eps, w, add_to=None):
    """dx (its direct part alone), dgamma, dbeta, dw. With add_to, dx is added into that array.

    line: None, or (y, mean, slope, offset) if dy too is a direct part alone: what through_moments takes.
    """
    engine = engine_for(x, w)
    if engine is None:
        return composed_backward(KERNELS, dy, line, x, gamma, beta, mean, var, eps, w, add_to)
    terms = np.array([*scale_and_shift(gamma, beta, mean, var, eps), mean], x.dtype)
    dx, (dbeta, dgamma), dw = engine.backward(dy, line, x, terms, w, add_to)
    if add_to is not None and dx is not add_to:
        add_to += dx
        dx = add_to
    return dx, (dgamma / np.sqrt(var + np.float64(eps))).astype(x.dtype), dbeta.astype(x.dtype), dw
