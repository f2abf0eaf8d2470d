"""norm - ReLU - conv as one kernel: half of a DenseNet layer (Huang et al. 2017), of which nothing is kept but x and y.

    z  = relu(gamma xhat + beta)       xhat = (x - mean) / sqrt(var + eps)
    y  = conv2d(z, w)                  stride 1, no bias, padding R // 2: y has the size of the image

Batch norm's input gradient is a sum of three: through xhat directly, and through mean and var, which depend on x too.

    dx = gamma rstd d  +  slope (x - mean) + offset       d = dz where z > 0,   rstd = 1 / sqrt(var + eps)
                          slope = -gamma rstd^2 dgamma / M    offset = -gamma rstd dbeta / M

The kernels compute the direct part alone. What flows through the moments is the same straight line in x for all pixels
and is known only when all pixels have been seen. But mean and var of a channel are the same for all norms that read
x, so their slopes and offsets add up: the line is drawn once, when the gradient of x is needed (through_moments).

This is where the gradient of the dense block is told; ops/dense.py and the kernels of the devices refer to it.
"""

import sys

KERNELS = sys.modules[__package__]


def same_size(w):
    """stride, padding, dilation, groups of a convolution that keeps the image's size"""
    return (1, 1), (w.shape[1] // 2, w.shape[2] // 2), (1, 1), 1


def composed_forward(k, x, gamma, beta, mean, var, eps, w, moments, out):
    """norm_relu_conv_forward from the plain kernels of k."""
    y = k.conv2d_forward(k.batch_norm_apply(x, gamma, beta, mean, var, eps, True), w, None, *same_size(w), out=out)
    return (y, *(k.channel_mean_var(y) if moments else (None, None)))


def composed_backward(k, dy, line, x, gamma, beta, mean, var, eps, w, add_to):
    """norm_relu_conv_backward from the plain kernels of k."""
    dy = dy if line is None else k.through_moments(dy, *line)
    dz = k.conv2d_backward_input(dy, w, x.shape, *same_size(w))
    z = k.batch_norm_apply(x, gamma, beta, mean, var, eps, True)
    dw = k.conv2d_backward_weight(dy, z, w.shape, *same_size(w))
    dx, dgamma, dbeta = k.batch_norm_apply_backward(dz, x, gamma, beta, mean, var, eps, True)
    if add_to is not None:
        add_to += dx
    return dx if add_to is None else add_to, dgamma, dbeta, dw


def norm_relu_conv_forward(x, gamma, beta, mean, var, eps, w, moments=False, out=None):
    """y = conv2d(relu(batch_norm(x)), w); with moments also y's mean and biased var, else None, None."""
    return composed_forward(KERNELS, x, gamma, beta, mean, var, eps, w, moments, out)


def norm_relu_conv_backward(dy, line, x, gamma, beta, mean, var, eps, w, add_to=None):
    """dx (its direct part alone), dgamma, dbeta, dw. With add_to, dx is added into that array.

    line: None, or (y, mean, slope, offset) if dy too is a direct part alone: what through_moments takes.
    """
    return composed_backward(KERNELS, dy, line, x, gamma, beta, mean, var, eps, w, add_to)
