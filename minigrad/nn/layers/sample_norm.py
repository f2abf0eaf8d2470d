"""Norms of one image, or one row, at a time: training and evaluation are the same, but for running statistics."""

import numpy as np

from ...ops.checks import whole
from .. import functional as F
from ..module import Buffer, Module, Parameter


def scale_and_shift(shape, affine, bias=True):
    """(weight of ones, bias of zeros), or None for what is not wanted."""
    weight = Parameter(np.ones(shape, np.float32)) if affine else None
    return weight, Parameter(np.zeros(shape, np.float32)) if affine and bias else None


class LayerNorm(Module):
    """Normalise over the last axes of each row (Ba et al. 2016).

        y = weight (x - mean) / sqrt(var + eps) + bias          x (..., *normalized_shape) -> the same shape

    normalized_shape     the last axes of x: an int or a tuple
    eps                  added to the variance
    elementwise_affine   have a weight? (ones, of normalized_shape)
    bias                 have a bias? (zeros, of normalized_shape)

    ValueError in the call for an x of other last axes.
    """

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True):
        shape = normalized_shape if isinstance(normalized_shape, tuple | list) else (normalized_shape,)
        self.normalized_shape = tuple(whole("LayerNorm", "normalized_shape", n) for n in shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.weight, self.bias = scale_and_shift(self.normalized_shape, elementwise_affine, bias)

    def forward(self, x):
        """x (..., *normalized_shape) -> the same shape."""
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        """All settings."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """Normalise each group of channels of each image (Wu & He 2018).

        y = weight (x - mean) / sqrt(var + eps) + bias          x (N, ..., num_channels) -> the same shape

    num_groups     into how many groups the channels are cut; it must divide num_channels
    num_channels   channels of x
    eps            added to the variance
    affine         have a weight (ones) and a bias (zeros), (num_channels,) each?

    ValueError where num_groups does not divide num_channels, and in the call for an x of other channels.
    """

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True):
        self.num_groups = whole("GroupNorm", "num_groups", num_groups)
        self.num_channels, self.eps, self.affine = whole("GroupNorm", "num_channels", num_channels), eps, affine
        if self.num_channels % self.num_groups:
            raise ValueError(f"GroupNorm: num_groups {num_groups} must divide num_channels {num_channels}")
        self.weight, self.bias = scale_and_shift((self.num_channels,), affine)

    def forward(self, x):
        """x (N, ..., C) -> the same shape."""
        if x.shape[-1:] != (self.num_channels,):
            raise ValueError(f"GroupNorm: x must have {self.num_channels} channels (last axis); got {x.shape}")
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self):
        """All settings."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class InstanceNorm2d(Module):
    """Normalise each channel of each image (Ulyanov et al. 2016).

        y = weight (x - mean) / sqrt(var + eps) + bias          x (N, H, W, num_features) -> the same shape

    Mean and var are those over H and W, in evaluation mode the running ones where they are kept.

    num_features   channels of x
    eps            added to the variance
    momentum       the share of a batch, of the means over its images, in the running statistics
    affine         have a weight (ones) and a bias (zeros), (num_features,) each? Not unless told so, as in torch
    track_running_stats   keep running statistics (buffers) and take them in evaluation? Not unless told so

    ValueError in the call for an x of other channels, or of one pixel where its own statistics count.
    """

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=False, track_running_stats=False):
        self.num_features, self.eps, self.affine = whole("InstanceNorm2d", "num_features", num_features), eps, affine
        if not isinstance(momentum, int | float):
            raise TypeError(f"InstanceNorm2d: momentum must be a number; got {momentum!r}")
        self.momentum, self.track_running_stats = momentum, track_running_stats
        self.weight, self.bias = scale_and_shift((self.num_features,), affine)
        self.running_mean = Buffer(np.zeros(self.num_features, np.float32)) if track_running_stats else None
        self.running_var = Buffer(np.ones(self.num_features, np.float32)) if track_running_stats else None

    def forward(self, x):
        """x (N, H, W, C) -> the same shape."""
        if x.shape[-1:] != (self.num_features,):
            raise ValueError(f"InstanceNorm2d: x must have {self.num_features} channels (last axis); got {x.shape}")
        own = self.training or self.running_mean is None
        running = self.running_mean, self.running_var
        return F.instance_norm(x, *running, self.weight, self.bias, own, self.momentum, self.eps)

    def extra_repr(self):
        """All settings."""
        text = f"{self.num_features}, eps={self.eps}, affine={self.affine}"
        return text + (f", momentum={self.momentum}, track_running_stats=True" if self.track_running_stats else "")
