"""Normalising each image, or each row, by itself: the kernels of layer, group and instance norm.

    x (N, P, G, D)   gamma, beta (G, D)   N images (or rows) of P pixels with G groups of D channels

Mean and variance are taken over P and D: of each group in each image. They are summed in float64, so that numbers far
from zero keep their variance.
"""

from .arrays import array_module

OVER = (1, 3)


def group_norm_forward(x, gamma, beta, eps):
    """y = gamma (x - mean) rstd + beta with rstd = 1 / sqrt(var + eps). Returns y, and mean and rstd (N, 1, G, 1)."""
    xp = array_module(x)
    mean = x.mean(OVER, keepdims=True, dtype=xp.float64)
    var = ((x - mean.astype(x.dtype)) ** 2).mean(OVER, keepdims=True, dtype=xp.float64)
    mean, rstd = mean.astype(x.dtype), (1 / xp.sqrt(var + eps)).astype(x.dtype)
    return gamma * ((x - mean) * rstd) + beta, mean, rstd


def group_norm_backward(dy, x, gamma, mean, rstd):
    """dx = rstd (g - (sum g + xhat sum g xhat) / M) with g = gamma dy and M = P D; and dgamma, dbeta (G, D)."""
    xp = array_module(x)
    xhat = (x - mean) * rstd
    g = gamma * dy
    sums = g.mean(OVER, keepdims=True, dtype=xp.float64) + xhat * (g * xhat).mean(OVER, keepdims=True, dtype=xp.float64)
    dx = rstd * (g - sums.astype(dy.dtype))
    return dx, *((v.sum((0, 1), dtype=xp.float64)).astype(dy.dtype) for v in (dy * xhat, dy))
