"""Pooling over windows, channels last.   x (N, H, W, C)   ->   y (N, P, Q, C)

size, stride, padding and dilation are (vertical, horizontal) pairs. As in convolution, all passes visit the taps of
the window one by one, each a strided slice of the padded image.
"""

from ..shapes import window_counts
from .arrays import array_module, exact_mean, write
from .conv import tap_slices

MANY = 64  # pixels in a window from which a sum in float32 loses a digit


def pad_to_windows(x, size, stride, padding, dilation, out_hw, value):
    """x inside a canvas of `value` that holds every window, also those which ceil_mode lets reach over the edge."""
    n, h, w, c = x.shape
    (ph, pw) = padding
    need = [(o - 1) * st + d * (k - 1) + 1 for o, st, d, k in zip(out_hw, stride, dilation, size)]
    canvas = array_module(x).full((n, max(need[0], h + ph), max(need[1], w + pw), c), value, x.dtype)
    canvas[:, ph : ph + h, pw : pw + w] = x
    return canvas


def taps(size, out_hw, stride, dilation=(1, 1)):
    """(number of the tap, rows, columns) for each tap of the window, in scan order."""
    for i, (_, _, rows, columns) in enumerate(tap_slices((0, *size, 0), out_hw, stride, dilation)):
        yield i, rows, columns


def max_pool2d_forward(x, size, stride, padding, dilation, ceil_mode, out=None):
    """y, and for each output the number r S + s of the winning tap, the first in scan order when tied (uint8 or int32).

    The padding never wins: it counts as -inf. NaN wins over everything, so that it is not hidden.
    """
    xp = array_module(x)
    out_hw = window_counts(x.shape[1:3], size, stride, padding, dilation, ceil_mode)
    padded = pad_to_windows(x, size, stride, padding, dilation, out_hw, -xp.inf)
    y = xp.full((x.shape[0], *out_hw, x.shape[3]), -xp.inf, x.dtype)
    winner = xp.zeros(y.shape, xp.uint8 if size[0] * size[1] <= 256 else xp.int32)
    for i, rows, columns in taps(size, out_hw, stride, dilation):
        candidate = padded[:, rows, columns]
        better = (candidate > y) | ((candidate != candidate) & (y == y))
        y, winner = xp.where(better, candidate, y), xp.where(better, winner.dtype.type(i), winner)
    return write(y, out), winner


def max_pool2d_backward(dy, winner, x_shape, size, stride, padding, dilation):
    """dx: each output's gradient goes to the pixel that won."""
    dx = array_module(dy).zeros(x_shape, dy.dtype)
    canvas = pad_to_windows(dx, size, stride, padding, dilation, dy.shape[1:3], 0)
    for i, rows, columns in taps(size, dy.shape[1:3], stride, dilation):
        canvas[:, rows, columns] += dy * (winner == i)
    return canvas[:, padding[0] : padding[0] + x_shape[1], padding[1] : padding[1] + x_shape[2]]


def window_lengths(xp, size, window, stride, padding, count, include_pad):
    """How many positions each of `count` windows averages over, along one axis."""
    start = xp.arange(count) * stride - padding
    end = xp.minimum(start + window, size + padding)
    return end - start if include_pad else xp.minimum(end, size) - xp.maximum(start, 0)


def window_areas(xp, hw, size, stride, padding, out_hw, include_pad):
    """(P, Q, 1): what each window's sum is divided by."""
    along = [window_lengths(xp, *axis, include_pad) for axis in zip(hw, size, stride, padding, out_hw)]
    return (along[0][:, None] * along[1][None, :])[..., None]


def avg_pool2d_forward(x, size, stride, padding, ceil_mode, count_include_pad, out=None):
    """Mean of each window; padded positions count in the divisor only with count_include_pad."""
    xp = array_module(x)
    out_hw = window_counts(x.shape[1:3], size, stride, padding, (1, 1), ceil_mode)
    padded = pad_to_windows(x, size, stride, padding, (1, 1), out_hw, 0)
    if x.dtype == xp.float32 and size[0] * size[1] > MANY:
        padded = padded.astype(xp.float64)
    total = sum(padded[:, rows, columns] for _, rows, columns in taps(size, out_hw, stride))
    area = window_areas(xp, x.shape[1:3], size, stride, padding, out_hw, count_include_pad)
    return write((total / area.astype(total.dtype)).astype(x.dtype, copy=False), out)


def avg_pool2d_backward(dy, x_shape, size, stride, padding, count_include_pad):
    """dx: each output's gradient is shared equally by the pixels of its window."""
    xp, out_hw = array_module(dy), dy.shape[1:3]
    area = window_areas(xp, x_shape[1:3], size, stride, padding, out_hw, count_include_pad)
    share, dx = dy / area.astype(dy.dtype), xp.zeros(x_shape, dy.dtype)
    canvas = pad_to_windows(dx, size, stride, padding, (1, 1), out_hw, 0)
    for _, rows, columns in taps(size, out_hw, stride):
        canvas[:, rows, columns] += share
    return canvas[:, padding[0] : padding[0] + x_shape[1], padding[1] : padding[1] + x_shape[2]]


def adaptive_windows(size, count):
    """`count` windows over `size` positions: window i goes from floor(i size / count) to ceil((i + 1) size / count)."""
    return [slice(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def adaptive_avg_pool2d_forward(x, output_size):
    """Mean over P x Q windows that cover the image, of whatever size that takes. y (N, P, Q, C)."""
    xp, (p, q) = array_module(x), output_size
    y = xp.empty((x.shape[0], p, q, x.shape[3]), x.dtype)
    for i, rows in enumerate(adaptive_windows(x.shape[1], p)):
        for j, columns in enumerate(adaptive_windows(x.shape[2], q)):
            y[:, i, j] = exact_mean(x[:, rows, columns], (1, 2))
    return y


def adaptive_avg_pool2d_backward(dy, x_shape):
    """dx: each output's gradient is shared equally by its window (windows may overlap)."""
    dx = array_module(dy).zeros(x_shape, dy.dtype)
    for i, rows in enumerate(adaptive_windows(x_shape[1], dy.shape[1])):
        for j, columns in enumerate(adaptive_windows(x_shape[2], dy.shape[2])):
            area = (rows.stop - rows.start) * (columns.stop - columns.start)
            dx[:, rows, columns] += dy[:, i : i + 1, j : j + 1] / dy.dtype.type(area)
    return dx
