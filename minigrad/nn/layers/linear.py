"""The fully-connected layer."""

from ...ops.checks import whole
from .. import functional as F
from ..init import small_uniform
from ..module import Module


class Linear(Module):
    """Fully-connected layer: y = x w^T + b over the last axis.

        x (..., in_features) -> (..., out_features)

    in_features, out_features   length of the last axis of x and of the output
    bias                        add b?
    rng                         a numpy Generator for the initial values, uniform within +-1 / sqrt(in_features)

    weight (out_features, in_features), bias (out_features,) or None. ValueError for sizes that are not ints >= 1, and
    in the call for an x whose last axis is not in_features long.
    """

    fuses_relu = True

    def __init__(self, in_features, out_features, bias=True, *, rng=None):
        self.in_features = whole("Linear", "in_features", in_features)
        self.out_features = whole("Linear", "out_features", out_features)
        self.weight = small_uniform((self.out_features, self.in_features), self.in_features, rng)
        self.bias = small_uniform((self.out_features,), self.in_features, rng) if bias else None

    def forward(self, x, relu=False):
        """x (..., C) -> (..., K), then max(y, 0) if relu."""
        return F.linear(x, self.weight, self.bias, relu)

    def extra_repr(self):
        """Features in and out."""
        return f"{self.in_features}, {self.out_features}" + (", bias=False" if self.bias is None else "")
