"""Pooling: one number for each window of each channel.

    x (N, H, W, C) -> (N, P, Q, C),   P = (H + 2 padding - dilation (R - 1) - 1) // stride + 1, and Q alike

Windows have R x S pixels. With ceil_mode P and Q are rounded up instead: a window may then hang over the lower or
right edge, but must begin inside the image or its upper or left padding.
"""

from typing import Any

from ...ops.checks import pair
from .. import functional as F
from ..module import Module


class MaxPool2d(Module):
    """The largest number of each window of each channel: x (N, H, W, C) -> (N, P, Q, C).

    kernel_size   (R, S), the size of a window in pixels
    stride        pixels from one window to the next; None: kernel_size
    padding       pixels that count as minus infinity around the image; at most half of kernel_size; also (left, right,
                  top, bottom)
    dilation      pixels from one element of a window to the next
    ceil_mode     round P and Q up?

    All but ceil_mode are an int or a (vertical, horizontal) pair. ValueError for sizes out of range, and in the call
    for a window that does not fit into x.
    """

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
        self.kernel_size = checked("MaxPool2d", "kernel_size", kernel_size, 1)
        self.stride = None if stride is None else checked("MaxPool2d", "stride", stride, 1)
        self.padding = checked_padding("MaxPool2d", padding)
        self.dilation, self.ceil_mode = checked("MaxPool2d", "dilation", dilation, 1), ceil_mode

    def forward(self, x):
        """x (N, H, W, C) -> (N, P, Q, C)."""
        return F.max_pool2d(x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)

    def extra_repr(self):
        """Window, stride, padding and rounding."""
        stride = self.kernel_size if self.stride is None else self.stride
        return f"{self.kernel_size}, stride={stride}, padding={self.padding}, ceil_mode={self.ceil_mode}"


class AvgPool2d(Module):
    """The mean of each window of each channel: x (N, H, W, C) -> (N, P, Q, C).

    kernel_size         (R, S), the size of a window in pixels
    stride              pixels from one window to the next; None: kernel_size
    padding             zeros around the image; at most half of kernel_size; also (left, right, top, bottom)
    ceil_mode           round P and Q up?
    count_include_pad   do the zeros of the padding count in the mean?
    divisor_override    what each window's sum is divided by, in the place of how many numbers it has

    The first three are an int or a (vertical, horizontal) pair. ValueError for sizes out of range, and in the call for
    a window that does not fit into x.
    """

    def __init__(
        self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
    ):
        self.kernel_size = checked("AvgPool2d", "kernel_size", kernel_size, 1)
        self.stride = None if stride is None else checked("AvgPool2d", "stride", stride, 1)
        self.padding = checked_padding("AvgPool2d", padding)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad
        self.divisor_override = divisor_override

    def forward(self, x):
        """x (N, H, W, C) -> (N, P, Q, C)."""
        settings = (self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)
        return F.avg_pool2d(x, *settings, self.divisor_override)

    def extra_repr(self):
        """Window, stride and padding."""
        stride = self.kernel_size if self.stride is None else self.stride
        return f"{self.kernel_size}, stride={stride}, padding={self.padding}"


class AdaptiveMaxPool2d(Module):
    """The largest of each of P x Q windows that cover the image: x (N, H, W, C) -> (N, P, Q, C).

    output_size: (P, Q), or an int for both; the windows are those of AdaptiveAvgPool2d. ValueError in the call for an
    output_size out of range or an x that is not (N, H, W, C).
    """

    def __init__(self, output_size):
        self.output_size = output_size

    def forward(self, x):
        """x (N, H, W, C) -> (N, P, Q, C)."""
        return F.adaptive_max_pool2d(x, self.output_size)

    def extra_repr(self):
        """(P, Q)"""
        return f"{self.output_size}"


class AdaptiveAvgPool2d(Module):
    """Means over a grid of P x Q windows that cover the image: x (N, H, W, C) -> (N, P, Q, C).

    output_size: (P, Q), or an int for both; 1 is global average pooling. Window i covers the rows from floor(i H / P)
    to ceil((i + 1) H / P). ValueError in the call for an output_size out of range or an x that is not (N, H, W, C).
    """

    def __init__(self, output_size):
        self.output_size = output_size

    def forward(self, x):
        """x (N, H, W, C) -> (N, P, Q, C)."""
        return F.adaptive_avg_pool2d(x, self.output_size)

    def extra_repr(self):
        """The size of the output."""
        return f"{self.output_size}"


def checked_padding(name, padding) -> Any:
    """The padding as it came: an int, a pair, or four ints. ValueError for others."""
    if F.is_four(padding):
        return tuple(checked(name, "padding", p, 0) for p in padding)
    return checked(name, "padding", padding, 0)


def checked(name, what, value, least):
    """The value as it came, an int or a pair, once it is known to be one of ints >= least."""
    both = pair(name, what, value, least)
    return both if isinstance(value, tuple | list) else both[0]
