"""Batch normalisation and local response normalisation on the GPU. For x in 16 bits, statistics are float32."""

import numpy as np

from .. import reference
from ..reference.arrays import array_module
from .loader import FLAGS, FLOATS, Kernel
from .rows import THREADS, Columns, compute_type, deliver, element_grid, of_one_launch, result

COMPUTE = ("float", "double")
MOMENTS = Kernel("norm.cu", "moments", FLOATS, FLAGS)
GRADIENT_SUMS = Kernel("norm.cu", "gradient_sums", FLOATS, FLAGS)
NORMALISE = Kernel("norm.cu", "normalise", FLOATS, FLAGS)
NORMALISE_BACKWARD = Kernel("norm.cu", "normalise_backward", FLOATS, FLAGS)
THROUGH_MOMENTS = Kernel("norm.cu", "through_moments", FLOATS, FLAGS)
MOMENTS_LINE = Kernel("norm.cu", "moments_line", COMPUTE)
RESPONSE_NORM = Kernel("norm.cu", "response_norm", FLOATS)
RESPONSE_NORM_BACKWARD = Kernel("norm.cu", "response_norm_backward", FLOATS)


def moments(x, mean, var, total):
    """Fill mean and var, or the sum over rows."""
    c = Columns(x)
    c.launch(MOMENTS, *c.matrix(0), *c.room_for_sums(), mean, var, total)


def channel_sum(x):
    """Sum over all axes but the last. (..., C) -> (C,); float32 for 16-bit types."""
    total = (array_module(x).empty if x.size else array_module(x).zeros)(x.shape[-1], compute_type(x.dtype))
    if x.size:
        moments(x, None, None, total)
    return total


def channel_mean_var(x):
    """Mean and biased variance of each channel. (..., C) -> (C,), (C,); zeros for an empty batch."""
    xp = array_module(x)
    mean, var = ((xp.empty if x.size else xp.zeros)(x.shape[-1], compute_type(x.dtype)) for _ in range(2))
    if x.size:
        moments(x, mean, var, None)
    return mean, var


def batch_norm_forward(x, gamma, beta, eps, relu=False, out=None):
    """Normalise with the batch's own statistics: y (as x), mean (C,), biased var (C,). With relu, y = max(y, 0)."""
    mean, var = channel_mean_var(x)
    return batch_norm_apply(x, gamma, beta, mean, var, eps, relu, out), mean, var


def batch_norm_apply(x, gamma, beta, mean, var, eps, relu=False, out=None):
    """Normalise with given statistics: y = gamma (x - mean) / sqrt(var + eps) + beta. With relu, y = max(y, 0)."""
    y = result(x, x.shape, x.dtype, out)
    if x.size:
        c = Columns(x, y)
        given = c.vectors(gamma, beta, mean, var)
        c.launch(NORMALISE, *c.matrix(0), *given, c.compute.type(eps), int(relu), *c.matrix(1))
    return deliver(y, out)


def backward(dy, x, gamma, beta, mean, var, eps, relu, count, add_to=None, y=None):
    """dx, dgamma, dbeta. count: the pixels that mean and var were computed from; infinite if they are constants.

    add_to: an array in a layout of rows, to which dx is added. y: a fresh array, which gets the forward pass's result.
    """
    dx = result(x, x.shape, x.dtype) if add_to is None else add_to
    if not x.size:
        zero = array_module(x).zeros(x.shape[-1], gamma.dtype)
        return dx, zero, zero.copy()
    c = Columns(dy, x, dx, *([] if y is None else [y]))
    given, eps_ = c.vectors(gamma, beta, mean, var), c.compute.type(eps)
    dgamma, dbeta = c.vector(), c.vector()
    c.launch(
        GRADIENT_SUMS, *c.matrix(0), *c.matrix(1), *given, eps_, int(relu), *c.room_for_sums(), dgamma, dbeta,
        *((None, np.int64(0)) if y is None else c.matrix(3)),
    )  # fmt: skip
    c.launch(
        NORMALISE_BACKWARD, *c.matrix(0), *c.matrix(1), *given, eps_, int(relu), dgamma, dbeta,
        c.compute.type(count), int(add_to is not None), *c.matrix(2),
    )  # fmt: skip
    return dx, dgamma.astype(gamma.dtype, copy=False), dbeta.astype(gamma.dtype, copy=False)


def batch_norm_backward(dy, x, gamma, beta, mean, var, eps, relu=False):
    """dx, dgamma, dbeta when mean and var were computed from x."""
    return backward(dy, x, gamma, beta, mean, var, eps, relu, max(x.size // max(x.shape[-1], 1), 1))


def batch_norm_apply_backward(dy, x, gamma, beta, mean, var, eps, relu=False):
    """dx, dgamma, dbeta when mean and var are constants (evaluation mode)."""
    return backward(dy, x, gamma, beta, mean, var, eps, relu, np.inf)


def through_moments(g, x, mean, slope, offset, out=None):
    """The gradient of x from g, its part that does not flow through x's moments: g + slope (x - mean) + offset."""
    y = result(g, g.shape, g.dtype, out)
    if g.size:
        c = Columns(g, x, y)
        c.launch(THROUGH_MOMENTS, *c.matrix(0), *c.matrix(1), *c.vectors(mean, slope, offset), *c.matrix(2))
    return deliver(y, out)


def moments_line(gamma, var, dgamma, dbeta, eps, count, slope=None, offset=None):
    """The line by which a gradient flows through the moments of `count` values (dense.py): slope, offset, (C,) each.

    They are added into slope and offset where these are given.
    """
    vectors = gamma, var, dgamma, dbeta, *(() if slope is None else (slope, offset))
    if not of_one_launch(vectors):
        return reference.moments_line(gamma, var, dgamma, dbeta, eps, count, slope, offset)
    number, add = var.dtype.type, slope is not None
    if not add:
        slope, offset = (array_module(var).empty(var.shape, var.dtype) for _ in range(2))
    launch_vectors(MOMENTS_LINE, gamma, var, number(eps), dgamma, dbeta, number(count), slope, offset, int(add))
    return slope, offset


def launch_vectors(kernel, *arguments):
    """kernel<C>(columns, arguments...), a thread for each number of the first argument."""
    first = arguments[0]
    kernel((first.dtype,), (-(-first.size // THREADS),), (THREADS,), first.size, *arguments)


def local_response_norm_forward(x, size, alpha, beta, k):
    """y = x / d^beta with d = k + (alpha / size) sum of x^2 over `size` neighbouring channels. Returns y, d."""
    xp, number = array_module(x), compute_type(x.dtype).type
    x, y, d = xp.ascontiguousarray(x), xp.empty(x.shape, x.dtype), xp.empty(x.shape, x.dtype)
    if x.size:
        settings = size, number(alpha / size), number(beta), number(k)
        RESPONSE_NORM((x.dtype,), element_grid(x.size), (THREADS,), np.int64(x.size), x.shape[-1], x, *settings, y, d)
    return y, d


def local_response_norm_backward(dy, x, d, size, alpha, beta):
    """dx = dy d^-beta - (2 alpha beta / size) x sum over the windows that hold it of dy x d^(-beta-1)"""
    xp, number = array_module(x), compute_type(x.dtype).type
    dy, x, d = (xp.ascontiguousarray(a) for a in (dy, x, d))
    dx = xp.empty(x.shape, x.dtype)
    if x.size:
        settings = size, number(alpha / size), number(beta)
        shape = np.int64(x.size), x.shape[-1]
        RESPONSE_NORM_BACKWARD((x.dtype,), element_grid(x.size), (THREADS,), *shape, dy, x, d, *settings, dx)
    return dx
