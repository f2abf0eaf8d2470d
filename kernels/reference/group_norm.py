"""Normalising each image, or each row, by itself: the kernels of layer, group and instance norm.

    x (N, P, G, D)   gamma, beta (G, D)   N images (or rows) of P pixels with G groups of D channels

Mean and variance are taken over P and D: of each group in each image. They are summed in float64, so that numbers far
from zero keep their variance.
"""

from .arrays import array_module

OVER = (1, 3)


def mean_of(a):
    """The mean over P and D, in a's type."""
    return a.mean(OVER, keepdims=True, dtype="float64").astype(a.dtype)


def centred(x, mean):
    """x - mean, less what rounding the mean has left."""
    c = x - mean
    return c - mean_of(c)


def group_norm_forward(x, gamma, beta, eps):
    """y = gamma (x - mean) rstd + beta with rstd = 1 / sqrt(var + eps). Returns y, and mean and rstd (N, 1, G, 1)."""
    xp = array_module(x)
    mean = mean_of(x)
    c = centred(x, mean)
    rstd = 1 / xp.sqrt(mean_of(c * c) + x.dtype.type(eps))
    return gamma * (c * rstd) + beta, mean, rstd


def group_norm_backward(dy, x, gamma, mean, rstd):
    """dx = rstd (g - mean of g - xhat mean of g xhat) with g = gamma dy; and dgamma, dbeta (G, D)."""
    xhat = centred(x, mean) * rstd
    g = gamma * dy
    dx = rstd * (centred(g, mean_of(g)) - xhat * mean_of(g * xhat))
    return dx, *(v.sum((0, 1), dtype="float64").astype(dy.dtype) for v in (dy * xhat, dy))
