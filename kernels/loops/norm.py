"""Sums over a channel, and batch normalisation."""

import numpy as np

from ..reference.arrays import write
from .activation import relu_backward, relu_forward
from .positions import indices


def channel_sum(x):
    """db[c] = sum over all values of channel c"""
    total = np.zeros(x.shape[-1], x.dtype)
    for *m, c in indices(x.shape):
        total[c] += x[*m, c]
    return total


def channel_mean_var(x):
    """mean[c] = 1/M sum x,   var[c] = 1/M sum (x - mean)^2   over the M values of channel c"""
    m = x.size // x.shape[-1]
    mean, var = channel_sum(x) / x.dtype.type(m), np.zeros(x.shape[-1], x.dtype)
    for at in indices(x.shape):
        var[at[-1]] += (x[at] - mean[at[-1]]) ** 2
    return mean, var / x.dtype.type(m)


def batch_norm_forward(x, gamma, beta, eps, relu=False, out=None):
    """y = gamma xhat + beta,   xhat = (x - mean) / sqrt(var + eps)   with the batch's own mean and var"""
    mean, var = channel_mean_var(x)
    return batch_norm_apply(x, gamma, beta, mean, var, eps, relu, out), mean, var


def batch_norm_apply(x, gamma, beta, mean, var, eps, relu=False, out=None):
    """The same with given statistics."""
    y = np.empty_like(x)
    for *m, c in indices(x.shape):
        xhat = (x[*m, c] - mean[c]) / (var[c] + eps) ** 0.5
        y[*m, c] = gamma[c] * xhat + beta[c]
    return write(relu_forward(y) if relu else y, out)


def batch_norm_backward(dy, x, gamma, beta, mean, var, eps, relu=False):
    """dx = gamma / sqrt(var + eps) (dy - (dbeta + xhat dgamma) / M):   mean and var depend on x"""
    plain, dgamma, dbeta = batch_norm_apply_backward(dy, x, gamma, beta, mean, var, eps, relu)
    dx, count = np.empty_like(x), x.size // x.shape[-1]
    for *m, c in indices(x.shape):
        rstd = 1 / (var[c] + eps) ** 0.5
        xhat = (x[*m, c] - mean[c]) * rstd
        dx[*m, c] = plain[*m, c] - gamma[c] * rstd * (dbeta[c] + xhat * dgamma[c]) / count
    return dx, dgamma, dbeta


def batch_norm_apply_backward(dy, x, gamma, beta, mean, var, eps, relu=False):
    """dbeta = sum dy,   dgamma = sum dy xhat,   dx = gamma / sqrt(var + eps) dy:   mean and var are constants"""
    if relu:
        dy = relu_backward(dy, batch_norm_apply(x, gamma, beta, mean, var, eps))
    dx, dgamma, dbeta = np.empty_like(x), np.zeros_like(gamma), channel_sum(dy)
    for *m, c in indices(x.shape):
        rstd = 1 / (var[c] + eps) ** 0.5
        dgamma[c] += dy[*m, c] * (x[*m, c] - mean[c]) * rstd
        dx[*m, c] = gamma[c] * rstd * dy[*m, c]
    return dx, dgamma, dbeta
