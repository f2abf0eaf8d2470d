"""The kernels as plain loops over single numbers: one line of arithmetic each, with the equation that it computes.

The first of three tiers of an op. The second, kernels.reference, says the same in array code; the third, kernels.cpu
and kernels.cuda, is compiled. All have the same functions with the same arguments, and tests compare them, so that a
whole net can run on any tier, to be stepped through in a debugger:

    from minigrad.explain import loops
    with minigrad.use_kernels(loops): ...           # these loops; what is not written here is the reference
    with minigrad.use_kernels("reference"): ...     # array code

A loop takes a microsecond or so a turn: use tiny images. Letters: N batch, H W input size, C input channels, K output
channels, R S filter size, P Q output size, G groups. stride, padding, dilation, size: (vertical, horizontal) pairs.
"""

from itertools import product

import numpy as np

from kernels.reference import *  # noqa: F403
from kernels.reference.arrays import write
from kernels.reference.pool import window_areas
from kernels.shapes import window_counts


def indices(shape):
    """All indices of an array of this shape, the last axis fastest."""
    return product(*map(range, shape))


def inside(i, j, hw):
    """Is (i, j) a pixel of the image, rather than of the padding?"""
    return 0 <= i < hw[0] and 0 <= j < hw[1]


def pixel(p, q, r, s, stride, padding, dilation):
    """i = p stride + r dilation - padding,   j = q stride + s dilation - padding"""
    return p * stride[0] + r * dilation[0] - padding[0], q * stride[1] + s * dilation[1] - padding[1]


def relu_forward(x, out=None):
    """y = max(x, 0)"""
    y = np.empty_like(x)
    for at in indices(x.shape):
        y[at] = x[at] if x[at] > 0 else 0
    return write(y, out)


def relu_backward(dy, y, out=None):
    """dx = dy where y > 0, else 0"""
    dx = np.empty_like(dy)
    for at in indices(dy.shape):
        dx[at] = dy[at] if y[at] > 0 else 0
    return write(dx, out)


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


def finished(y, b, relu):
    """y + b for each output channel, where there is a bias; then max(y, 0) if relu."""
    if b is not None:
        for at in indices(y.shape):
            y[at] += b[at[-1]]
    return relu_forward(y) if relu else y


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


def linear_forward(x, w, b, relu=False, out=None):
    """y[m,k] = b[k] + sum over c of x[m,c] w[k,c], for each row m"""
    y = np.zeros((*x.shape[:-1], w.shape[0]), x.dtype)
    for *m, k, c in indices((*x.shape[:-1], *w.shape)):
        y[*m, k] += x[*m, c] * w[k, c]
    return write(finished(y, b, relu), out)


def linear_backward_input(dy, w, out=None):
    """dx[m,c] = sum over k of dy[m,k] w[k,c]"""
    dx = np.zeros((*dy.shape[:-1], w.shape[1]), dy.dtype)
    for *m, k, c in indices((*dy.shape[:-1], *w.shape)):
        dx[*m, c] += dy[*m, k] * w[k, c]
    return write(dx, out)


def linear_backward_weight(dy, x):
    """dw[k,c] = sum over m of dy[m,k] x[m,c]"""
    dw = np.zeros((dy.shape[-1], x.shape[-1]), dy.dtype)
    for *m, k, c in indices((*dy.shape, x.shape[-1])):
        dw[k, c] += dy[*m, k] * x[*m, c]
    return dw


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


def max_pool2d_forward(x, size, stride, padding, dilation, ceil_mode, out=None):
    """y[n,p,q,c] = the largest x[n,i,j,c] of the window, and the number r S + s of the tap that had it.

    The first wins when tied, the padding never; NaN wins over everything.
    """
    out_hw = window_counts(x.shape[1:3], size, stride, padding, dilation, ceil_mode)
    y = np.full((x.shape[0], *out_hw, x.shape[3]), -np.inf, x.dtype)
    winner = np.zeros(y.shape, np.uint8 if size[0] * size[1] <= 256 else np.int32)
    for n, p, q, c, r, s in indices((*y.shape, *size)):
        i, j = pixel(p, q, r, s, stride, padding, dilation)
        best = y[n, p, q, c]
        if inside(i, j, x.shape[1:3]) and not np.isnan(best) and not x[n, i, j, c] <= best:  # (NaN <= 1 is false)
            y[n, p, q, c], winner[n, p, q, c] = x[n, i, j, c], r * size[1] + s
    return write(y, out), winner


def max_pool2d_backward(dy, winner, x_shape, size, stride, padding, dilation):
    """dx[n,i,j,c] = sum of dy[n,p,q,c] over the windows in which pixel i, j won"""
    dx = np.zeros(x_shape, dy.dtype)
    for n, p, q, c in indices(dy.shape):
        r, s = divmod(int(winner[n, p, q, c]), size[1])
        i, j = pixel(p, q, r, s, stride, padding, dilation)
        if inside(i, j, x_shape[1:3]):
            dx[n, i, j, c] += dy[n, p, q, c]
    return dx


def avg_pool2d_forward(x, size, stride, padding, ceil_mode, count_include_pad, out=None):
    """y[n,p,q,c] = 1/area sum over the window of x[n,i,j,c]   (area: with count_include_pad its padding counts, too)"""
    out_hw = window_counts(x.shape[1:3], size, stride, padding, (1, 1), ceil_mode)
    area = window_areas(np, x.shape[1:3], size, stride, padding, out_hw, count_include_pad)
    y = np.zeros((x.shape[0], *out_hw, x.shape[3]), x.dtype)
    for n, p, q, c, r, s in indices((*y.shape, *size)):
        i, j = pixel(p, q, r, s, stride, padding, (1, 1))
        if inside(i, j, x.shape[1:3]):
            y[n, p, q, c] += x[n, i, j, c] / area[p, q, 0]
    return write(y, out)


def avg_pool2d_backward(dy, x_shape, size, stride, padding, count_include_pad):
    """dx[n,i,j,c] = sum of dy[n,p,q,c] / area over the windows that hold pixel i, j"""
    area = window_areas(np, x_shape[1:3], size, stride, padding, dy.shape[1:3], count_include_pad)
    dx = np.zeros(x_shape, dy.dtype)
    for n, p, q, c, r, s in indices((*dy.shape, *size)):
        i, j = pixel(p, q, r, s, stride, padding, (1, 1))
        if inside(i, j, x_shape[1:3]):
            dx[n, i, j, c] += dy[n, p, q, c] / area[p, q, 0]
    return dx


def concat_forward(xs, out=None):
    """y[..., start of x + c] = x[..., c] for each x in turn; going back, each x gets its slice of dy"""
    y, start = np.empty((*xs[0].shape[:-1], sum(x.shape[-1] for x in xs)), xs[0].dtype), 0
    for x in xs:
        for *m, c in indices(x.shape):
            y[*m, start + c] = x[*m, c]
        start += x.shape[-1]
    return write(y, out)


def cross_entropy_forward(x, q):
    """p[m,k] = e^x[m,k] / sum over j of e^x[m,j],   loss[m] = -sum over k of q[m,k] log p[m,k];   returns loss, p"""
    loss, p = np.zeros(len(x), x.dtype), np.empty_like(x)
    for m in range(len(x)):
        largest = max(x[m])  # taken off every logit, so that nothing overflows; p stays the same
        total = sum(np.exp(logit - largest) for logit in x[m])
        for k in range(x.shape[1]):
            p[m, k] = np.exp(x[m, k] - largest) / total
            loss[m] -= q[m, k] * (x[m, k] - largest - np.log(total))
    return loss, p


def cross_entropy_backward(dloss, p, q):
    """dx[m,k] = dloss[m] (p[m,k] sum over j of q[m,j] - q[m,k])"""
    dx = np.empty_like(p)
    for m, k in indices(p.shape):
        dx[m, k] = dloss[m] * (p[m, k] * sum(q[m]) - q[m, k])
    return dx
