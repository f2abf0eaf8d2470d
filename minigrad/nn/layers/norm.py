"""Normalisation: over the batch, and over neighbouring channels."""

import numpy as np

from ...ops.checks import whole
from ...recompute import draw
from .. import functional as F
from ..module import Buffer, Module, Parameter


class BatchNorm2d(Module):
    """Batch normalisation of each channel (Ioffe & Szegedy 2015): weight is the paper's gamma, bias its beta.

        y = weight (x - mean) / sqrt(var + eps) + bias          x (N, H, W, num_features) -> the same shape

    In training mode mean and var are those of the batch over N, H and W; running_mean and running_var move towards
    them: running = (1 - momentum) running + momentum batch. In evaluation mode mean and var are the running ones.

    num_features   channels of x
    eps            added to the variance
    momentum       the share of the batch in the running statistics; None: they are the mean of all batches so far
    affine         have weight and bias? Without, they are 1 and 0
    track_running_stats   keep running statistics? Without, evaluation takes the batch's, as training does

    weight, bias (parameters), running_mean, running_var (buffers): (num_features,) each. ValueError for num_features
    that is no int >= 1, in the call for an x of other channels, and in training mode for one value a channel.
    """

    fuses_relu = True

    drawn_from = ("num_batches_tracked",)

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True):
        name = type(self).__name__
        self.num_features, self.eps, self.momentum = whole(name, "num_features", num_features), eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = Parameter(np.ones(self.num_features, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(self.num_features, np.float32)) if affine else None
        self.running_mean = Buffer(np.zeros(self.num_features, np.float32)) if track_running_stats else None
        self.running_var = Buffer(np.ones(self.num_features, np.float32)) if track_running_stats else None
        if track_running_stats and momentum is None:
            self.num_batches_tracked = Buffer(np.zeros((), np.int64))

    def forward(self, x, relu=False):
        """x (N, H, W, C) -> the same shape, then max(y, 0) if relu."""
        training = self.training or self.running_mean is None
        share = self.momentum
        if share is None:
            share = draw(self.next_share, np.float64) if training and self.track_running_stats else 0.0
        running = self.running_mean, self.running_var
        return self.normalise(x, *running, self.weight, self.bias, training, share, self.eps, relu)

    normalise = staticmethod(F.batch_norm)  # a subclass may take its statistics elsewhere

    def next_share(self):
        """1 / (number of batches so far): with it the running statistics are the mean over all batches."""
        self.num_batches_tracked.copy_(self.num_batches_tracked.data + 1)
        return 1 / self.num_batches_tracked.item()

    def extra_repr(self):
        """Channels, eps, momentum, and what is not usual."""
        text = f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"
        unusual = (n for n in ("affine", "track_running_stats") if not getattr(self, n))
        return text + "".join(f", {n}=False" for n in unusual)


class BatchNorm1d(BatchNorm2d):
    """Batch normalisation of each channel of rows or signals: x (N, C) or (N, L, C) -> the same shape.

    Arguments, parameters and buffers are those of BatchNorm2d. ValueError in the call for an x of other axes.
    """

    def forward(self, x, relu=False):
        """x (N, C) or (N, L, C) -> the same shape, then max(y, 0) if relu."""
        if x.ndim not in (2, 3):
            raise ValueError(f"BatchNorm1d: x must have axes (N, C) or (N, L, C); got shape {x.shape}")
        return super().forward(x, relu)


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
