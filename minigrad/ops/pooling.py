"""Max, average, adaptive and global average pooling.   x (N, H, W, C)   ->   y (N, P, Q, C)

P = (H + 2 padding - dilation (size - 1) - 1) / stride + 1, rounded down, or up with ceil_mode; Q likewise from W.
"""

from kernels.reference.pool import window_areas

from ..precision import floats
from ..tensor import op
from .checks import images, pair, whole, windows


def checked(name, x, size, stride, padding):
    """size, stride (size if None) and padding as pairs; padding at most half the window."""
    images(name, x)
    size = pair(name, "kernel_size", size, 1)
    stride = size if stride is None else pair(name, "stride", stride, 1)
    padding = pair(name, "padding", padding, 0)
    if any(2 * p > k for p, k in zip(padding, size)):
        raise ValueError(f"{name}: padding must be at most half the window; got padding {padding}, window {size}")
    return size, stride, padding


@op(types=floats, kernels_only=True)
def max_pool2d(ctx, x, *, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """y = the largest value in each window;   dx = sum of dy over the windows that this pixel won (the first, if tied).

    The padding never wins. Windows may overlap (Krizhevsky et al. 2012, section 3.4).
    """
    name, k, x_shape = "max_pool2d", ctx.kernels, x.shape
    size, stride, padding = checked(name, x, kernel_size, stride, padding)
    dilation = pair(name, "dilation", dilation, 1)
    windows(name, x, size, stride, padding, dilation, ceil_mode)
    y, winner = k.max_pool2d_forward(x, size, stride, padding, dilation, ceil_mode)

    def backward(dy):
        return (k.max_pool2d_backward(dy, winner, x_shape, size, stride, padding, dilation),)

    return y, backward


@op(types=floats, kernels_only=True)
def avg_pool2d(ctx, x, *, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """y = the mean of each window;   dx = sum of dy / (numbers in the window) over the windows that a pixel is in.

    Padding counts as zeros in the mean with count_include_pad, else not at all.
    """
    k, x_shape = ctx.kernels, x.shape
    size, stride, padding = checked("avg_pool2d", x, kernel_size, stride, padding)
    windows("avg_pool2d", x, size, stride, padding, ceil_mode=ceil_mode)
    y = k.avg_pool2d_forward(x, size, stride, padding, ceil_mode, count_include_pad)

    def backward(dy):
        return (k.avg_pool2d_backward(dy, x_shape, size, stride, padding, count_include_pad),)

    return y, backward


def sum_pool2d(x, *, kernel_size, stride=None, padding=0, ceil_mode=False, divisor=1):
    """The sum of each window / divisor, torch's divisor_override. A composition of avg_pool2d."""
    y = avg_pool2d(x, kernel_size=kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode)
    size, stride, padding = checked("sum_pool2d", x, kernel_size, stride, padding)
    areas = window_areas(x.device.xp, x.shape[1:3], size, stride, padding, y.shape[1:3], True)
    return y * (areas / whole("sum_pool2d", "divisor", divisor)).astype(x.dtype)


@op(types=floats)
def adaptive_max_pool2d(ctx, x, *, output_size):
    """y = the largest of each window of adaptive_avg_pool2d;   dx = sum of dy over the windows that this pixel won

    x (N, H, W, C)   output_size (P, Q), or one int   ->   y (N, P, Q, C). Where several are largest the first wins.
    """
    k, x_shape = ctx.kernels, x.shape
    images("adaptive_max_pool2d", x)
    output_size = pair("adaptive_max_pool2d", "output_size", output_size, 1)
    if 0 in x.shape[1:3]:
        raise ValueError(f"adaptive_max_pool2d: the image is empty; x {x.shape}")
    y, winner = k.adaptive_max_pool2d_forward(x, output_size)

    def backward(dy):
        return (k.adaptive_max_pool2d_backward(dy, winner, x_shape),)

    return y, backward


@op(types=floats, kernels_only=True)
def adaptive_avg_pool2d(ctx, x, *, output_size):
    """y (N, P, Q, C) for output_size (P, Q): window i covers rows floor(i H / P) to ceil((i + 1) H / P), columns alike.

    output_size 1 is global average pooling, the mean of each feature map.

        y  = mean of x over the window
        dx = sum of dy / (pixels of the window) over the windows that a pixel is in
    """
    k, x_shape = ctx.kernels, x.shape
    images("adaptive_avg_pool2d", x)
    output_size = pair("adaptive_avg_pool2d", "output_size", output_size, 1)
    if 0 in x_shape[1:3]:
        raise ValueError(f"adaptive_avg_pool2d: the image is empty; x {x_shape}")
    y = k.adaptive_avg_pool2d_forward(x, output_size)

    def backward(dy):
        return (k.adaptive_avg_pool2d_backward(dy, x_shape),)

    return y, backward
