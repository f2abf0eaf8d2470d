"""Kernels that know shapes only: with them a net of any size runs in milliseconds, and its work is counted."""

import math

import numpy as np

from . import reference
from .shapes import window_counts


def virtual(shape, dtype, out=None):
    """An array of this shape that occupies one element (all strides are 0); or `out` as it is."""
    return np.ndarray(shape, dtype, bytearray(16), strides=(0,) * len(shape)) if out is None else out


class VirtualKernels:
    """For use_kernels: a tier's functions as methods of an object that counts. The rest is the reference's.

    macs: the multiply-accumulates of convolutions and fully-connected layers so far.
    """

    def __init__(self):
        self.macs = 0

    def __getattr__(self, name):
        return getattr(reference, name)

    def relu_forward(self, x, out=None):
        return virtual(x.shape, x.dtype, out)

    def add_relu_forward(self, a, b, out=None):
        return virtual(np.broadcast_shapes(a.shape, b.shape), a.dtype, out)

    def dropout_forward(self, x, p, seed, out=None):
        return virtual(x.shape, x.dtype, out)

    def batch_norm_apply(self, x, gamma, beta, mean, var, eps, relu=False, out=None):
        return virtual(x.shape, x.dtype, out)

    def batch_norm_forward(self, x, gamma, beta, eps, relu=False, out=None):
        return virtual(x.shape, x.dtype, out), *self.channel_mean_var(x)

    def channel_mean_var(self, x):
        wide = np.promote_types(x.dtype, np.float32)
        return virtual(x.shape[-1:], wide), virtual(x.shape[-1:], wide)

    def local_response_norm_forward(self, x, size, alpha, beta, k):
        return virtual(x.shape, x.dtype), virtual(x.shape, x.dtype)

    def concat_forward(self, xs, out=None):
        return virtual((*xs[0].shape[:-1], sum(x.shape[-1] for x in xs)), xs[0].dtype, out)

    def linear_forward(self, x, w, b, relu=False, out=None):
        y = virtual((*x.shape[:-1], w.shape[0]), x.dtype, out)
        self.macs += y.size * w.shape[1]
        return y

    def conv2d_forward(self, x, w, b, stride, padding, dilation, groups, relu=False, out=None):
        hw = window_counts(x.shape[1:3], w.shape[1:3], stride, padding, dilation)
        y = virtual((x.shape[0], *hw, w.shape[0]), x.dtype, out)
        self.macs += y.size * math.prod(w.shape[1:])
        return y

    def conv2d_backward_input(self, dy, w, x_shape, stride, padding, dilation, groups, out=None):
        """The forward pass of a transposed convolution."""
        self.macs += dy.size * math.prod(w.shape[1:])
        return virtual(x_shape, dy.dtype, out)

    def norm_relu_conv_forward(self, x, gamma, beta, mean, var, eps, w, moments=False, out=None):
        y = virtual((*x.shape[:3], w.shape[0]), x.dtype, out)
        self.macs += y.size * math.prod(w.shape[1:])
        return (y, *(self.channel_mean_var(y) if moments else (None, None)))

    def max_pool2d_forward(self, x, size, stride, padding, dilation, ceil_mode, out=None):
        y = self._pooled(x, window_counts(x.shape[1:3], size, stride, padding, dilation, ceil_mode), out)
        return y, virtual(y.shape, np.uint8 if math.prod(size) <= 256 else np.int32)

    def avg_pool2d_forward(self, x, size, stride, padding, ceil_mode, count_include_pad, out=None):
        return self._pooled(x, window_counts(x.shape[1:3], size, stride, padding, (1, 1), ceil_mode), out)

    def adaptive_avg_pool2d_forward(self, x, output_size):
        return self._pooled(x, output_size)

    def _pooled(self, x, hw, out=None):
        return virtual((x.shape[0], *hw, x.shape[3]), x.dtype, out)
