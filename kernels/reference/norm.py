"""Batch normalisation (Ioffe & Szegedy 2015, algorithm 1) and local response normalisation (Krizhevsky et al. 2012).

Batch norm works on x (..., C): every axis but the last is the batch, M = x.size / C values for each channel.

    mean, var   over the batch; var is biased (divided by M)
    xhat        = (x - mean) / sqrt(var + eps)
    y           = gamma xhat + beta

and backwards, with dy arriving and mean and var functions of x:

    dbeta       = sum dy
    dgamma      = sum dy xhat
    dx          = gamma / sqrt(var + eps) (dy - (dbeta + xhat dgamma) / M)
"""

from .arrays import array_module, exact_mean, exact_sum, write


def batch_axes(x):
    return tuple(range(x.ndim - 1))


def channel_sum(x):
    """Sum over all axes but the last. (..., C) -> (C,)"""
    return exact_sum(x, batch_axes(x))


def channel_mean_var(x):
    """Mean and biased variance of each channel. (..., C) -> (C,), (C,); zeros for an empty batch."""
    if not x.size:
        return channel_sum(x), channel_sum(x)
    mean = exact_mean(x, batch_axes(x))
    return mean, exact_mean((x - mean) ** 2, batch_axes(x))


def batch_norm_forward(x, gamma, beta, eps, relu=False, out=None):
    """Normalise with the batch's own statistics: y (as x), mean (C,), biased var (C,). With relu, y = max(y, 0)."""
    mean, var = channel_mean_var(x)
    return batch_norm_apply(x, gamma, beta, mean, var, eps, relu, out), mean, var


def batch_norm_apply(x, gamma, beta, mean, var, eps, relu=False, out=None):
    """Normalise with given statistics: y = gamma (x - mean) / sqrt(var + eps) + beta. With relu, y = max(y, 0)."""
    scale = gamma / (var + eps) ** 0.5
    y = x * scale + (beta - mean * scale)
    return write(array_module(x).maximum(y, 0) if relu else y, out)


def through_relu(dy, x, gamma, beta, mean, var, eps):
    """dy where the forward's y was positive, else 0. y is computed again rather than kept."""
    return dy * (batch_norm_apply(x, gamma, beta, mean, var, eps) > 0)


def batch_norm_backward(dy, x, gamma, beta, mean, var, eps, relu=False):
    """dx, dgamma, dbeta when mean and var were computed from x."""
    dx, dgamma, dbeta = batch_norm_apply_backward(dy, x, gamma, beta, mean, var, eps, relu)
    rstd = 1 / (var + eps) ** 0.5
    m = max(x.size // max(x.shape[-1], 1), 1)
    dx -= (gamma * rstd / m) * (dbeta + (x - mean) * (rstd * dgamma))
    return dx, dgamma, dbeta


def batch_norm_apply_backward(dy, x, gamma, beta, mean, var, eps, relu=False):
    """dx, dgamma, dbeta when mean and var are constants (evaluation mode)."""
    if relu:
        dy = through_relu(dy, x, gamma, beta, mean, var, eps)
    rstd = 1 / (var + eps) ** 0.5
    dgamma = channel_sum(dy * (x - mean)) * rstd
    return dy * (gamma * rstd), dgamma, channel_sum(dy)


def through_moments(g, x, mean, slope, offset, out=None):
    """The gradient of x from g, its part that does not flow through x's moments: g + slope (x - mean) + offset."""
    return write((g + (slope * (x - mean) + offset)).astype(g.dtype, copy=False), out)


def moments_line(gamma, var, dgamma, dbeta, eps, count, slope=None, offset=None):
    """The line by which a gradient flows through the moments of `count` values (dense.py): slope, offset, (C,) each.

    They are added into slope and offset where these are given.
    """
    rstd = (var + eps) ** -0.5
    scale = -gamma * rstd / var.dtype.type(count)
    if slope is None:
        return scale * rstd * dgamma, scale * dbeta
    slope += scale * rstd * dgamma
    offset += scale * dbeta
    return slope, offset


def move_statistics(running_mean, running_var, mean, var, momentum, count):
    """running = (1 - momentum) running + momentum batch, in place; var of `count` values is made unbiased.  (C,)"""
    unbiased = var * var.dtype.type(count / (count - 1))
    running_mean[...] = (1 - momentum) * running_mean + momentum * mean
    running_var[...] = (1 - momentum) * running_var + momentum * unbiased


def channel_window_sum(x, size, mirrored=False):
    """Sum over `size` neighbouring channels; at the ends over those that exist. mirrored: the transposed sum."""
    xp = array_module(x)
    before = size // 2 if not mirrored else (size - 1) - size // 2
    padded = xp.pad(x, (*((0, 0),) * (x.ndim - 1), (before, size - 1 - before)))
    return sum(padded[..., i : i + x.shape[-1]] for i in range(size))


def local_response_norm_forward(x, size, alpha, beta, k):
    """y = x / d^beta with d = k + (alpha / size) sum of x^2 over `size` neighbouring channels. Returns y, d."""
    d = k + (alpha / size) * channel_window_sum(x * x, size)
    return x * d**-beta, d


def local_response_norm_backward(dy, x, d, size, alpha, beta):
    """dx = dy d^-beta - (2 alpha beta / size) x sum over the windows that hold it of dy x d^(-beta-1)"""
    through_d = channel_window_sum(dy * x * d ** (-beta - 1), size, mirrored=True)
    return dy * d**-beta - (2 * alpha * beta / size) * x * through_d
