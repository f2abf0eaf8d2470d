"""norm - ReLU - conv of dense blocks, from the kernels of this package."""

import sys

from ..reference.dense import composed_backward, composed_forward

KERNELS = sys.modules[__package__]


def norm_relu_conv_forward(x, gamma, beta, mean, var, eps, w, moments=False, out=None):
    """y = conv2d(relu(batch_norm(x)), w); with moments also y's mean and biased var, else None, None."""
    return composed_forward(KERNELS, x, gamma, beta, mean, var, eps, w, moments, out)


def norm_relu_conv_backward(dy, line, x, gamma, beta, mean, var, eps, w, add_to=None):
    """dx (its direct part alone), dgamma, dbeta, dw. With add_to, dx is added into that array."""
    return composed_backward(KERNELS, dy, line, x, gamma, beta, mean, var, eps, w, add_to)
