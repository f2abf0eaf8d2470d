"""Layers along one axis, x (N, L, C), and the table of an embedding."""

import numpy as np

from ...ops.checks import whole
from .. import functional as F
from ..init import normal_, small_uniform
from ..module import Module, Parameter
from .conv import channel_settings


class Conv1d(Module):
    """Convolution along one axis: x (N, L, in_channels) -> (N, Q, out_channels). See ops.conv1d.

    in_channels, out_channels   channels of x and of the output
    kernel_size   S, the length of a filter
    stride        elements from one window to the next
    padding       zeros put before and after, "same" or "valid"
    dilation      elements from one filter element to the next
    groups        channels are cut into so many parts; each output channel sees one part of the input channels
    bias          add a number to each output channel?
    rng           a numpy Generator for the initial values, uniform within +-1 / sqrt(S in_channels / groups)

    weight (out_channels, S, in_channels / groups), bias (out_channels,) or None. ValueError for groups that do not
    divide the channels, and for settings out of range (those of the window in the call).
    """

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, *, rng=None
    ):
        settings = channel_settings("Conv1d", in_channels, out_channels, groups)
        self.in_channels, self.out_channels, self.groups = settings
        self.kernel_size, self.stride = whole("Conv1d", "kernel_size", kernel_size), stride
        self.padding, self.dilation = padding, dilation
        c = self.in_channels // self.groups
        self.weight = small_uniform((self.out_channels, self.kernel_size, c), self.kernel_size * c, rng)
        self.bias = small_uniform((self.out_channels,), self.kernel_size * c, rng) if bias else None

    def forward(self, x):
        """x (N, L, C) -> (N, Q, K)."""
        return F.conv1d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self):
        """Channels, window and stride."""
        return f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"


class MaxPool1d(Module):
    """The largest of each window: x (N, L, C) -> (N, Q, C). Settings as of MaxPool2d, one number each."""

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
        self.settings = kernel_size, stride, padding, dilation, ceil_mode

    def forward(self, x):
        """x (N, L, C) -> (N, Q, C)."""
        return F.max_pool1d(x, *self.settings)

    def extra_repr(self):
        """Window and stride."""
        return f"kernel_size={self.settings[0]}, stride={self.settings[1] or self.settings[0]}"


class AvgPool1d(Module):
    """The mean of each window: x (N, L, C) -> (N, Q, C). Settings as of AvgPool2d, one number each."""

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
        self.settings = kernel_size, stride, padding, ceil_mode, count_include_pad

    def forward(self, x):
        """x (N, L, C) -> (N, Q, C)."""
        return F.avg_pool1d(x, *self.settings)

    def extra_repr(self):
        """Window and stride."""
        return f"kernel_size={self.settings[0]}, stride={self.settings[1] or self.settings[0]}"


class AdaptiveAvgPool1d(Module):
    """Means over output_size windows that cover the signal: x (N, L, C) -> (N, output_size, C)."""

    def __init__(self, output_size):
        self.output_size = output_size

    def forward(self, x):
        """x (N, L, C) -> (N, output_size, C)."""
        return F.adaptive_avg_pool1d(x, self.output_size)

    def extra_repr(self):
        """The number of windows."""
        return f"{self.output_size}"


class AdaptiveMaxPool1d(AdaptiveAvgPool1d):
    """The largest of each of output_size windows that cover the signal: x (N, L, C) -> (N, output_size, C)."""

    def forward(self, x):
        """x (N, L, C) -> (N, output_size, C)."""
        return F.adaptive_max_pool1d(x, self.output_size)


class Embedding(Module):
    """A table of vectors: x (...) integers from 0 to num_embeddings - 1 -> (..., embedding_dim).

    rng: a numpy Generator for the initial values, which are standard normal. weight (num_embeddings, embedding_dim).
    ValueError in the call for other numbers.
    """

    def __init__(self, num_embeddings, embedding_dim, *, rng=None):
        self.num_embeddings = whole("Embedding", "num_embeddings", num_embeddings)
        self.embedding_dim = whole("Embedding", "embedding_dim", embedding_dim)
        shape = self.num_embeddings, self.embedding_dim
        self.weight = normal_(Parameter(np.empty(shape, np.float32)), rng=rng)

    def forward(self, x):
        """x (...) integers -> (..., embedding_dim)."""
        return F.embedding(x, self.weight)

    def extra_repr(self):
        """Rows and columns."""
        return f"{self.num_embeddings}, {self.embedding_dim}"
