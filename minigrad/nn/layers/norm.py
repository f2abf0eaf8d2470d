"""Normalisation: over the batch, and over neighbouring channels."""

import numpy as np

from ...ops.checks import whole
from .. import functional as F
from ..module import Buffer, Module, Parameter


class BatchNorm2d(Module):
    """Batch normalisation of each channel (Ioffe & Szegedy 2015): weight is the paper's gamma, bias its beta.

        y = weight (x - mean) / sqrt(var + eps) + bias          x (N, H, W, num_features) -> the same shape

    In training mode mean and var are those of the batch over N, H and W; running_mean and running_var move towards
    them: running = (1 - momentum) running + momentum batch. In evaluation mode mean and var are the running ones.

    num_features   channels of x
    eps            added to the variance
    momentum       the share of the batch in the running statistics

    weight, bias (parameters), running_mean, running_var (buffers): (num_features,) each. ValueError for num_features
    that is no int >= 1, in the call for an x of other channels, and in training mode for one value a channel.
    """

    fuses_relu = True

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.num_features, self.eps, self.momentum = whole("BatchNorm2d", "num_features", num_features), eps, momentum
        self.weight = Parameter(np.ones(self.num_features, np.float32))
        self.bias = Parameter(np.zeros(self.num_features, np.float32))
        self.running_mean = Buffer(np.zeros(self.num_features, np.float32))
        self.running_var = Buffer(np.ones(self.num_features, np.float32))

    def forward(self, x, relu=False):
        """x (N, H, W, C) -> the same shape, then max(y, 0) if relu."""
        running = self.running_mean, self.running_var
        return F.batch_norm(x, *running, self.weight, self.bias, self.training, self.momentum, self.eps, relu)

    def extra_repr(self):
        """Channels, eps and momentum."""
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class LocalResponseNorm(Module):
    """Divide by the squares of neighbouring channels (Krizhevsky et al. 2012, section 3.3).

        y = x / (k + alpha / size * (sum of x^2 over `size` channels around))^beta      x (N, H, W, C) -> the same shape

    size    how many neighbouring channels are summed
    alpha   weight of the sum; it is divided by size, as in torch
    beta    the exponent
    k       added to the sum

    ValueError in the call for settings out of range or an x that is not (N, H, W, C).
    """

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1.0):
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x):
        """x (N, H, W, C) -> the same shape."""
        return F.local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self):
        """All settings."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
