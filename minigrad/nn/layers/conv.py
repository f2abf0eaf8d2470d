"""Convolution and its transpose."""

import math

from ...ops.checks import pair, whole
from ...ops.padding import MODES, window_padding
from .. import functional as F
from ..init import small_uniform
from ..module import Module


def channel_settings(name, in_channels, out_channels, groups):
    """The three as ints >= 1. ValueError unless groups divides both numbers of channels."""
    channels = whole(name, "in_channels", in_channels), whole(name, "out_channels", out_channels)
    groups = whole(name, "groups", groups)
    if channels[0] % groups or channels[1] % groups:
        raise ValueError(f"{name}: groups {groups} must divide {channels[0]} and {channels[1]} channels")
    return *channels, groups


def all_outside(extra, padding, mode):
    """All that is padded, as pads of an image: what is to be no zeros, kernels can't pad."""
    if mode not in MODES:
        raise ValueError(f"Conv2d: padding_mode must be 'zeros' or one of {MODES}; got {mode!r}")
    extra = extra or ((0, 0),) * 4
    inner = tuple((p + a, p + b) for p, (a, b) in zip(padding, extra[1:3]))
    return ((0, 0), *inner, (0, 0)) if any(map(any, inner)) else None


class Conv2d(Module):
    """Convolution: each output pixel sums a window of the input times a filter.

        x (N, H, W, in_channels) -> (N, P, Q, out_channels)
        P = (H + 2 padding - dilation (R - 1) - 1) // stride + 1, and Q alike

    in_channels, out_channels   channels of x and of the output
    kernel_size   (R, S), the size of a filter in pixels
    stride        pixels from one window to the next
    padding       zeros put around the image on each of the four sides; also "same" (with stride 1 the output is as
                  large as x), "valid" (none), or (left, right, top, bottom)
    dilation      pixels from one filter element to the next
    groups        channels are cut into so many parts; each output channel sees one part of the input channels
    bias          add a number to each output channel?
    padding_mode  what stands in the place of zeros: "reflect", "replicate" or "circular" (see ops.pad_by)
    rng           a numpy Generator for the initial values, uniform within +-1 / sqrt(R S in_channels / groups)

    kernel_size, stride, padding and dilation are an int, or a (vertical, horizontal) pair. weight (out_channels, R, S,
    in_channels / groups), bias (out_channels,) or None. ValueError for sizes that are not ints in their range, for
    groups that do not divide the channels, and in the call for an x of other shape or channels.
    """

    fuses_relu = True

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
        padding_mode="zeros", *, rng=None,
    ):  # fmt: skip
        settings = channel_settings("Conv2d", in_channels, out_channels, groups)
        self.in_channels, self.out_channels, self.groups = settings
        self.kernel_size = pair("Conv2d", "kernel_size", kernel_size, 1)
        self.stride = pair("Conv2d", "stride", stride, 1)
        self.dilation = pair("Conv2d", "dilation", dilation, 1)
        self.outer, self.padding = window_padding("Conv2d", padding, self.kernel_size, self.stride, self.dilation)
        self.padding_mode = padding_mode
        if padding_mode != "zeros":
            self.outer, self.padding = all_outside(self.outer, self.padding, padding_mode), (0, 0)
        c = self.in_channels // self.groups
        fan_in = math.prod(self.kernel_size) * c
        self.weight = small_uniform((self.out_channels, *self.kernel_size, c), fan_in, rng)
        self.bias = small_uniform((self.out_channels,), fan_in, rng) if bias else None

    def forward(self, x, relu=False):
        """x (N, H, W, C) -> (N, P, Q, K), then max(y, 0) if relu."""
        if self.outer is not None:
            x = F.pad(x, self.outer, "constant" if self.padding_mode == "zeros" else self.padding_mode)
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups, relu)

    def extra_repr(self):
        """The settings that differ from the usual ones."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, usual in (("padding", (0, 0)), ("dilation", (1, 1)), ("groups", 1)):
            text += f", {name}={getattr(self, name)}" if getattr(self, name) != usual else ""
        return text + (", bias=False" if self.bias is None else "")


class ConvTranspose2d(Module):
    """Transposed convolution: the gradient of a convolution by its input, used forward to make images larger.

        x (N, H, W, in_channels) -> (N, P, Q, out_channels)
        P = (H - 1) stride - 2 padding + dilation (R - 1) + output_padding + 1, and Q alike

    Arguments as Conv2d's, in torch's order; stride, padding and dilation are those of the convolution that it turns
    round. output_padding: rows and columns added at the lower and right side, less than stride or dilation.
    weight (in_channels, R, S, out_channels / groups), bias (out_channels,) or None; initial values as Conv2d's.
    ValueError for sizes out of range, in the call also for an x of other shape or channels.
    """

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True,
        dilation=1, *, rng=None,
    ):  # fmt: skip
        name = "ConvTranspose2d"
        settings = channel_settings(name, in_channels, out_channels, groups)
        self.in_channels, self.out_channels, self.groups = settings
        self.kernel_size = pair(name, "kernel_size", kernel_size, 1)
        self.stride, self.padding = pair(name, "stride", stride, 1), pair(name, "padding", padding, 0)
        self.output_padding = pair(name, "output_padding", output_padding, 0)
        self.dilation = pair(name, "dilation", dilation, 1)
        k = self.out_channels // self.groups
        fan_in = math.prod(self.kernel_size) * k
        self.weight = small_uniform((self.in_channels, *self.kernel_size, k), fan_in, rng)
        self.bias = small_uniform((self.out_channels,), fan_in, rng) if bias else None

    def forward(self, x):
        """x (N, H, W, C) -> (N, P, Q, K)."""
        settings = (self.stride, self.padding, self.output_padding, self.groups, self.dilation)
        return F.conv_transpose2d(x, self.weight, self.bias, *settings)

    def extra_repr(self):
        """Channels and size of the filters."""
        return f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
