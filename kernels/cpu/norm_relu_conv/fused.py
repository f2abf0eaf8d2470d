"""norm - ReLU - conv as one kernel (see kernels/reference/dense.py): which way to compute it."""

import sys

import numpy as np

from ...recording import add_into, empty, once, zeros
from ...reference.dense import composed_backward, composed_forward
from ..convolution import winograd
from ..convolution.gather import BLOCK_PIXELS
from ..norm import join_gradients, join_moments, pixel_count, scales_and_shifts
from ..runtime import parallel, serial
from ..tasks import share
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


@serial
def likely_mean(k, w, z, pivot):
    """w (K, taps, C)"""
    total = 0.0
    for tap in range(w.shape[1]):
        for c in range(w.shape[2]):
            total += w[k, tap, c] * z[c]
    pivot[k] = total if abs(total) < np.inf else 0.0


@parallel
def likely_means(gamma, beta, w, pivot):
    """pivot (K,): roughly the mean of y, from which sums of squares lose little: what it would be if xhat were normal.

    The mean of max(gamma n + beta, 0) is approximated by (beta + sqrt(beta^2 + 2 gamma^2 / pi)) / 2, which is right at
    beta = 0 and far from it.
    """
    z = np.empty(len(gamma))
    for c in range(len(gamma)):
        z[c] = (beta[c] + np.sqrt(beta[c] * beta[c] + (2 / np.pi) * gamma[c] * gamma[c])) / 2
    share(likely_mean, len(pivot), (w, z, pivot))


def terms_of(gamma, beta, mean, var, eps, rows):
    """(rows, C): scale, shift and, of three rows, mean."""
    terms = empty((rows, len(gamma)), gamma.dtype)
    scales_and_shifts(gamma, beta, mean, var, float(eps), terms)
    return terms


def norm_relu_conv_forward(x, gamma, beta, mean, var, eps, w, moments=False, out=None):
    """y = conv2d(relu(batch_norm(x)), w); with moments also y's mean and biased var, else None, None."""
    engine = engine_for(x, w) if pixel_count(x) > BLOCK_PIXELS else None  # one block: the convolution need not pack w
    if engine is None:
        return composed_forward(KERNELS, x, gamma, beta, mean, var, eps, w, moments, out)
    terms = once((gamma, beta, mean, var), terms_of, gamma, beta, mean, var, eps, 2)
    pivot = zeros((len(w),), w.dtype)
    if moments:
        likely_means(gamma, beta, w.reshape(len(w), -1, w.shape[3]), pivot)
    y, sums = engine.forward(x, terms, w, pivot, out)
    if not moments:
        return y, None, None
    of_y = empty((len(w),), x.dtype), empty((len(w),), x.dtype)
    join_moments(sums, pivot, pixel_count(x), *of_y)
    return y, *of_y


def norm_relu_conv_backward(dy, line, x, gamma, beta, mean, var, eps, w, add_to=None):
    """dx (its direct part alone), dgamma, dbeta, dw. With add_to, dx is added into that array.

    line: None, or (y, mean, slope, offset) if dy too is a direct part alone: what through_moments takes.
    """
    engine = engine_for(x, w)
    if engine is None:
        dx, *grads = composed_backward(KERNELS, dy, line, x, gamma, beta, mean, var, eps, w, None)
        return dx if add_to is None else add_into(add_to, dx), *grads
    terms = terms_of(gamma, beta, mean, var, eps, 3)
    dgamma, dbeta = empty(gamma.shape, x.dtype), empty(beta.shape, x.dtype)
    dx, sums, dw = engine.backward(dy, line, x, terms, w, add_to)
    join_gradients(sums, gamma, var, float(eps), 1.0, dgamma, dbeta, np.empty((2, 0), x.dtype))
    dx = dx if add_to is None or dx is add_to else add_into(add_to, dx)
    return dx, dgamma, dbeta, dw
