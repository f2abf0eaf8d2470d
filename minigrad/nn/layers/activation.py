"""Activations: a function of each element. All keep the shape of x, which may be any."""

from .. import functional as F
from ..module import Module


class ReLU(Module):
    """y = max(x, 0), x of any shape. inplace is accepted for torch's sake: no op here writes into its input."""

    def __init__(self, inplace=False):
        pass

    def forward(self, x):
        """x of any shape -> the same shape."""
        return F.relu(x)


class LeakyReLU(Module):
    """y = x where x > 0, else negative_slope x; x of any shape."""

    def __init__(self, negative_slope=0.01):
        self.negative_slope = negative_slope

    def forward(self, x):
        """x of any shape -> the same shape."""
        return F.leaky_relu(x, self.negative_slope)


class Sigmoid(Module):
    """y = 1 / (1 + e^-x), x of any shape."""

    def forward(self, x):
        """x of any shape -> the same shape."""
        return F.sigmoid(x)


class Tanh(Module):
    """y = tanh x, x of any shape."""

    def forward(self, x):
        """x of any shape -> the same shape."""
        return F.tanh(x)
