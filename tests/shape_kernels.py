"""Kernels that compute shapes only, and count multiply-accumulates: any net runs through them in milliseconds."""

import math
from types import SimpleNamespace

import numpy as np

from architectures import registry
from kernels.shapes import window_counts
from minigrad.nn import Parameter
from minigrad.nn.layers import conv, linear


def blank(*shape):
    """Zeros that take no memory."""
    return np.broadcast_to(np.float32(0), shape)


class Counter:
    """macs: multiply-accumulates of the convolutions and fully-connected layers that ran so far."""

    def __init__(self):
        self.macs = 0

    def conv2d_forward(self, x, w, b, stride, padding, dilation, groups, relu=False, out=None):
        p, q = window_counts(x.shape[1:3], w.shape[1:3], stride, padding, dilation)
        self.macs += x.shape[0] * p * q * math.prod(w.shape)
        return blank(x.shape[0], p, q, w.shape[0])

    def norm_relu_conv_forward(self, x, gamma, beta, mean, var, eps, w, moments=False, out=None):
        y = self.conv2d_forward(x, w, None, (1, 1), (w.shape[1] // 2, w.shape[2] // 2), (1, 1), 1)
        return y, np.zeros(len(w), x.dtype), np.ones(len(w), x.dtype)

    def linear_forward(self, x, w, b, relu=False, out=None):
        self.macs += math.prod(x.shape[:-1]) * math.prod(w.shape)
        return blank(*x.shape[:-1], w.shape[0])


def pooled(x, size, stride, padding, dilation, ceil_mode):
    return blank(x.shape[0], *window_counts(x.shape[1:3], size, stride, padding, dilation, ceil_mode), x.shape[3])


def shape_kernels():
    """(kernels for minigrad.use_kernels, their Counter)"""
    counter = Counter()
    kernels = SimpleNamespace(
        conv2d_forward=counter.conv2d_forward,
        linear_forward=counter.linear_forward,
        norm_relu_conv_forward=counter.norm_relu_conv_forward,
        relu_forward=lambda x: x,
        add_relu_forward=lambda a, b: a,
        dropout_forward=lambda x, *settings: x,
        concat_forward=lambda xs: blank(*xs[0].shape[:-1], sum(x.shape[-1] for x in xs)),
        batch_norm_apply=lambda x, *settings: x,
        batch_norm_forward=lambda x, gamma, *settings: (x, np.zeros_like(gamma), np.zeros_like(gamma)),
        channel_mean_var=lambda x: (np.zeros(x.shape[-1], x.dtype), np.ones(x.shape[-1], x.dtype)),
        batch_norm_backward=None,
        batch_norm_apply_backward=None,
        local_response_norm_forward=lambda x, *settings: (x, x),
        max_pool2d_forward=lambda x, *settings: (pooled(x, *settings), None),
        avg_pool2d_forward=lambda x, size, stride, padding, ceil, _: pooled(x, size, stride, padding, (1, 1), ceil),
        adaptive_avg_pool2d_forward=lambda x, hw: blank(x.shape[0], *hw, x.shape[3]),
    )
    return kernels, counter


def weightless_parameter(shape):
    p = Parameter(np.zeros(1, np.float32))
    p.data = blank(*shape)
    return p


def weightless(monkeypatch):
    """Until the test ends, nets have weights that take no memory and are not drawn."""
    for layer in (conv, linear):
        monkeypatch.setattr(layer, "small_uniform", lambda shape, fan_in, rng: weightless_parameter(shape))
    monkeypatch.setattr(registry, "initialise", lambda net, *recipe: net)
