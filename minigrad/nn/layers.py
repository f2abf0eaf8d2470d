"""Layers, with torch's names and arguments. Images are channels last: (N, H, W, C).

Layers that have weights take `rng`, a numpy Generator for their initial values; without it they differ each time.
"""

import math
import os

import numpy as np

from .. import ops
from ..ops.checks import pair
from ..recompute import draw
from . import functional as F
from . import init
from .module import Buffer, Module, Parameter


def at_least(name, least=1, **sizes):
    """Refuse sizes that are not ints >= least."""
    for what, value in sizes.items():
        if not isinstance(value, int) or value < least:
            raise ValueError(f"{name}: {what} must be an int >= {least}; got {value!r}")


def small_uniform(shape, fan_in, rng):
    """torch's default for weights and biases: uniform within +-1 / sqrt(fan_in)."""
    bound = 1 / math.sqrt(max(fan_in, 1))
    rng = np.random.default_rng() if rng is None else rng
    return init.uniform_(Parameter(np.empty(shape, np.float32)), rng, -bound, bound)


class Conv2d(Module):
    """Convolution (N, H, W, in_channels) -> (N, P, Q, out_channels). weight (K, R, S, C/groups), bias (K,)."""

    fuses_relu = True

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, *, rng=None
    ):
        at_least("Conv2d", in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"Conv2d: groups {groups} must divide {in_channels} and {out_channels} channels")
        self.kernel_size, self.stride = (
            pair("Conv2d", "kernel_size", kernel_size, 1),
            pair("Conv2d", "stride", stride, 1),
        )
        self.padding, self.dilation = pair("Conv2d", "padding", padding, 0), pair("Conv2d", "dilation", dilation, 1)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        fan_in = math.prod(self.kernel_size) * in_channels // groups
        self.weight = small_uniform((out_channels, *self.kernel_size, in_channels // groups), fan_in, rng)
        self.bias = small_uniform((out_channels,), fan_in, rng) if bias else None

    def forward(self, x, relu=False):
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups, relu)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, usual in (("padding", (0, 0)), ("dilation", (1, 1)), ("groups", 1)):
            text += f", {name}={getattr(self, name)}" if getattr(self, name) != usual else ""
        return text + (", bias=False" if self.bias is None else "")


class ConvTranspose2d(Module):
    """Transposed convolution. weight (C, R, S, K/groups), bias (K,)."""

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True,
        dilation=1, *, rng=None,
    ):  # fmt: skip
        name = "ConvTranspose2d"
        at_least(name, in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"{name}: groups {groups} must divide {in_channels} and {out_channels} channels")
        size = pair(name, "kernel_size", kernel_size, 1)
        self.stride, self.padding, self.output_padding = stride, padding, output_padding
        self.groups, self.dilation = groups, dilation
        fan_in = math.prod(size) * out_channels // groups
        self.weight = small_uniform((in_channels, *size, out_channels // groups), fan_in, rng)
        self.bias = small_uniform((out_channels,), fan_in, rng) if bias else None

    def forward(self, x):
        settings = (self.stride, self.padding, self.output_padding, self.groups, self.dilation)
        return F.conv_transpose2d(x, self.weight, self.bias, *settings)

    def extra_repr(self):
        return f"{self.weight.shape[0]}, {self.weight.shape[3] * self.groups}, kernel_size={self.weight.shape[1:3]}"


class Linear(Module):
    """Fully-connected (..., in_features) -> (..., out_features). weight (K, C), bias (K,)."""

    fuses_relu = True

    def __init__(self, in_features, out_features, bias=True, *, rng=None):
        at_least("Linear", in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        self.weight = small_uniform((out_features, in_features), in_features, rng)
        self.bias = small_uniform((out_features,), in_features, rng) if bias else None

    def forward(self, x, relu=False):
        return F.linear(x, self.weight, self.bias, relu)

    def extra_repr(self):
        return f"{self.in_features}, {self.out_features}" + (", bias=False" if self.bias is None else "")


class BatchNorm2d(Module):
    """Batch normalisation of each channel: weight is the paper's gamma, bias its beta."""

    fuses_relu = True

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        at_least("BatchNorm2d", num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = Parameter(np.ones(num_features, np.float32))
        self.bias = Parameter(np.zeros(num_features, np.float32))
        self.running_mean = Buffer(np.zeros(num_features, np.float32))
        self.running_var = Buffer(np.ones(num_features, np.float32))

    def forward(self, x, relu=False):
        running = self.running_mean, self.running_var
        return F.batch_norm(x, *running, self.weight, self.bias, self.training, self.momentum, self.eps, relu)

    def extra_repr(self):
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class LocalResponseNorm(Module):
    """Normalise by the squares of neighbouring channels (alpha is divided by size, as in torch)."""

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1.0):
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x):
        return F.local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self):
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class MaxPool2d(Module):
    """The largest of each window; stride is kernel_size unless given."""

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.dilation, self.ceil_mode = dilation, ceil_mode

    def forward(self, x):
        return F.max_pool2d(x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)

    def extra_repr(self):
        stride = self.kernel_size if self.stride is None else self.stride
        return f"{self.kernel_size}, stride={stride}, padding={self.padding}, ceil_mode={self.ceil_mode}"


class AvgPool2d(Module):
    """The mean of each window; stride is kernel_size unless given."""

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, x):
        settings = (self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)
        return F.avg_pool2d(x, *settings)

    def extra_repr(self):
        stride = self.kernel_size if self.stride is None else self.stride
        return f"{self.kernel_size}, stride={stride}, padding={self.padding}"


class AdaptiveAvgPool2d(Module):
    """Means over a grid of output_size windows; 1 is global average pooling."""

    def __init__(self, output_size):
        self.output_size = output_size

    def forward(self, x):
        return F.adaptive_avg_pool2d(x, self.output_size)

    def extra_repr(self):
        return f"{self.output_size}"


class ReLU(Module):
    """max(x, 0). inplace is accepted for torch's sake and changes nothing."""

    def __init__(self, inplace=False):
        pass

    def forward(self, x):
        return F.relu(x)


class LeakyReLU(Module):
    """x where positive, else negative_slope x."""

    def __init__(self, negative_slope=0.01):
        self.negative_slope = negative_slope

    def forward(self, x):
        return F.leaky_relu(x, self.negative_slope)


class Sigmoid(Module):
    """1 / (1 + e^-x)."""

    def forward(self, x):
        return F.sigmoid(x)


class Tanh(Module):
    """tanh x."""

    def forward(self, x):
        return F.tanh(x)


class Dropout(Module):
    """Zero each element with probability p while training.

    What is dropped is a function of (seed, number of calls so far). `reseed` sets both, which is how a training run
    that was killed goes on with the same masks.
    """

    def __init__(self, p=0.5):
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p must be a probability from 0 to 1; got {p}")
        self.p, self.seed, self.calls = p, int.from_bytes(os.urandom(4)), 0

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        return ops.dropout(x, p=self.p, seed=draw(self.next_seed))

    def next_seed(self):
        """A seed that depends on the layer's own and on how often it was called (see reseed)."""
        self.calls += 1
        return (self.seed << 32) + self.calls

    def extra_repr(self):
        return f"p={self.p}"


def reseed(module, seed, step=0):
    """Make every Dropout below `module` drop what (seed, its place, step) determine, from here on."""
    for place, layer in enumerate(m for m in module.modules() if isinstance(m, Dropout)):
        layer.seed = int(np.random.SeedSequence((seed, place, step)).generate_state(1)[0])
        layer.calls = 0


class Flatten(Module):
    """(N, ...) -> (N, everything else). Channels last: the order within is H, W, C."""

    def forward(self, x):
        return x.flatten(1)


class Identity(Module):
    """x itself."""

    def forward(self, x):
        return x


class CrossEntropyLoss(Module):
    """Softmax cross-entropy of logits and classes (or probabilities)."""

    def __init__(self, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
        self.weight, self.ignore_index = weight, ignore_index
        self.reduction, self.label_smoothing = reduction, label_smoothing

    def forward(self, x, target):
        return F.cross_entropy(x, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing)
