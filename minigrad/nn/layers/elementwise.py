"""Activations whose layers only hold the settings of a function, and PReLU, which learns its slopes."""

import numpy as np

from ...ops.checks import whole
from .. import functional as F
from ..module import Module, Parameter
from .function import Function


class ReLU6(Function):
    """y = min(max(x, 0), 6). See ops.relu6."""

    function = staticmethod(F.relu6)


class Hardtanh(Function):
    """y = x, but at least min_val and at most max_val. See ops.hardtanh."""

    function = staticmethod(F.hardtanh)


class Hardsigmoid(Function):
    """y = min(max(x + 3, 0), 6) / 6. See ops.hardsigmoid."""

    function = staticmethod(F.hardsigmoid)


class Hardswish(Function):
    """y = x min(max(x + 3, 0), 6) / 6. See ops.hardswish."""

    function = staticmethod(F.hardswish)


class ELU(Function):
    """y = x where x > 0, else alpha (e^x - 1). See ops.elu."""

    function = staticmethod(F.elu)


class SELU(Function):
    """y = scale elu(x, alpha), with the two numbers that keep mean 0 and variance 1. See ops.selu."""

    function = staticmethod(F.selu)


class SiLU(Function):
    """y = x / (1 + e^-x). See ops.silu."""

    function = staticmethod(F.silu)


class Mish(Function):
    """y = x tanh ln(1 + e^x). See ops.mish."""

    function = staticmethod(F.mish)


class GELU(Function):
    """y = x F(x), F the normal distribution's cumulative function; approximate="tanh" estimates it. See ops.gelu."""

    function = staticmethod(F.gelu)


class Softplus(Function):
    """y = ln(1 + e^(beta x)) / beta, or x where beta x > threshold. See ops.softplus."""

    function = staticmethod(F.softplus)


class LogSigmoid(Function):
    """y = -ln(1 + e^-x). See ops.logsigmoid."""

    function = staticmethod(F.logsigmoid)


class Softmax(Function):
    """y = e^x / sum e^x over the axis dim (the channels, unless told otherwise). See ops.softmax."""

    function = staticmethod(F.softmax)


class LogSoftmax(Function):
    """y = x - log sum e^x over the axis dim (the channels, unless told otherwise). See ops.log_softmax."""

    function = staticmethod(F.log_softmax)


class PReLU(Module):
    """y = x where x > 0, else w x (He et al. 2015). weight: (num_parameters,), one slope, or one for each channel.

    num_parameters   1, or the number of channels (last axis of x)
    init             what the slopes begin with

    ValueError for num_parameters that is no int >= 1, and in the call for an x of other channels.
    """

    def __init__(self, num_parameters=1, init=0.25):
        self.num_parameters = whole("PReLU", "num_parameters", num_parameters)
        self.weight = Parameter(np.full(self.num_parameters, init, np.float32))

    def forward(self, x):
        """x (..., C) -> the same shape."""
        return F.prelu(x, self.weight)

    def extra_repr(self):
        """How many slopes."""
        return f"num_parameters={self.num_parameters}"
