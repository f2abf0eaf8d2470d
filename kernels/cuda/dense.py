"""norm - ReLU - conv of dense blocks, from the kernels of this package."""

import sys

import numpy as np

from ..reference.arrays import array_module
from ..reference.dense import composed_forward, same_size
from .norm import backward
from .rows import row_step

KERNELS = sys.modules[__package__]


def norm_relu_conv_forward(x, gamma, beta, mean, var, eps, w, moments=False, out=None):
    """y = conv2d(relu(batch_norm(x)), w); with moments also y's mean and biased var, else None, None."""
    return composed_forward(KERNELS, x, gamma, beta, mean, var, eps, w, moments, out)


def norm_relu_conv_backward(dy, line, x, gamma, beta, mean, var, eps, w, add_to=None):
    """dx (its direct part alone), dgamma, dbeta, dw. With add_to, dx is added into that array.

    The pass over x that sums for dgamma and dbeta also writes z = relu(batch_norm(x)) again, which dw is computed from.
    """
    k = KERNELS
    dy = dy if line is None else k.through_moments(dy, *line)
    dz = k.conv2d_backward_input(dy, w, x.shape, *same_size(w))
    z = array_module(x).empty(x.shape, x.dtype)
    into = add_to if add_to is not None and row_step(add_to) is not None else None
    dx, dgamma, dbeta = backward(dz, x, gamma, beta, mean, var, eps, True, np.inf, into, z)
    dw = k.conv2d_backward_weight(dy, z, w.shape, *same_size(w))
    if add_to is not None and into is None:
        add_to += dx
    return dx if add_to is None else add_to, dgamma, dbeta, dw
