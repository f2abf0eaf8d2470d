"""Convolution and pooling along one axis, through the 2-d ops: x (N, L, C) is an image of one row. All compositions."""

from .arrangement import squeeze, unsqueeze
from .checks import whole
from .conv import conv2d, conv_transpose2d
from .padding import padded_windows
from .pooling import adaptive_avg_pool2d, adaptive_max_pool2d, avg_pool2d, max_pool2d


def row(name, x):
    """(N, L, C) as (N, 1, L, C). ValueError for an x of other axes."""
    if x.ndim != 3:
        raise ValueError(f"{name}: x must have 3 axes (N, L, C), channels last; got shape {x.shape}")
    return unsqueeze(x, dim=1)


def flat(name, what, value, least, other):
    """An int (or a tuple of one) as the pair (other, value) of an image of one row."""
    value = value[0] if isinstance(value, tuple | list) and len(value) == 1 else value
    return other, whole(name, what, value, least)


def conv1d(x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1):
    """conv2d of an image of one row.   x (N, L, C)   w (K, S, C/groups)   b (K,)   ->   y (N, Q, K)

    padding: an int, "same" or "valid". Q = (L + 2 padding - dilation (S - 1) - 1) // stride + 1.
    """
    x, stride = row("conv1d", x), flat("conv1d", "stride", stride, 1, 1)
    dilation = flat("conv1d", "dilation", dilation, 1, 1)
    if w.ndim != 3:
        raise ValueError(f"conv1d: w must have 3 axes (K, S, C/groups); got shape {w.shape}")
    if isinstance(padding, str):
        x, padding = padded_windows(x, padding, (1, w.shape[1]), stride, dilation)
    else:
        padding = flat("conv1d", "padding", padding, 0, 0)
    y = conv2d(x, unsqueeze(w, dim=1), b, stride=stride, padding=padding, dilation=dilation, groups=groups)
    return squeeze(y, dim=1)


def conv_transpose1d(x, w, b=None, *, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """conv_transpose2d of an image of one row.   x (N, L, C)   w (C, S, K/groups)   b (K,)   ->   y (N, Q, K)"""
    name = "conv_transpose1d"
    if w.ndim != 3:
        raise ValueError(f"{name}: w must have 3 axes (C, S, K/groups); got shape {w.shape}")
    settings = dict(stride=flat(name, "stride", stride, 1, 1), padding=flat(name, "padding", padding, 0, 0))
    settings |= dict(output_padding=flat(name, "output_padding", output_padding, 0, 0), groups=groups)
    y = conv_transpose2d(
        row(name, x), unsqueeze(w, dim=1), b, dilation=flat(name, "dilation", dilation, 1, 1), **settings
    )
    return squeeze(y, dim=1)


def max_pool1d(x, *, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """max_pool2d of an image of one row.   x (N, L, C)   ->   y (N, Q, C)"""
    settings = windows("max_pool1d", kernel_size, stride, padding)
    settings |= dict(dilation=flat("max_pool1d", "dilation", dilation, 1, 1), ceil_mode=ceil_mode)
    return squeeze(max_pool2d(row("max_pool1d", x), **settings), dim=1)


def avg_pool1d(x, *, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """avg_pool2d of an image of one row.   x (N, L, C)   ->   y (N, Q, C)"""
    settings = windows("avg_pool1d", kernel_size, stride, padding)
    settings |= dict(ceil_mode=ceil_mode, count_include_pad=count_include_pad)
    return squeeze(avg_pool2d(row("avg_pool1d", x), **settings), dim=1)


def windows(name, kernel_size, stride, padding):
    """The settings of a 2-d pool for a window of one row."""
    size = flat(name, "kernel_size", kernel_size, 1, 1)
    stride = size if stride is None else flat(name, "stride", stride, 1, 1)
    return dict(kernel_size=size, stride=stride, padding=flat(name, "padding", padding, 0, 0))


def adaptive_avg_pool1d(x, *, output_size):
    """adaptive_avg_pool2d of an image of one row.   x (N, L, C)   ->   y (N, output_size, C)"""
    size = flat("adaptive_avg_pool1d", "output_size", output_size, 1, 1)
    return squeeze(adaptive_avg_pool2d(row("adaptive_avg_pool1d", x), output_size=size), dim=1)


def adaptive_max_pool1d(x, *, output_size):
    """adaptive_max_pool2d of an image of one row.   x (N, L, C)   ->   y (N, output_size, C)"""
    size = flat("adaptive_max_pool1d", "output_size", output_size, 1, 1)
    return squeeze(adaptive_max_pool2d(row("adaptive_max_pool1d", x), output_size=size), dim=1)
