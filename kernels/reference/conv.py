"""2-D convolution (cross-correlation), channels last.

    x (N, H, W, C)   w (K, R, S, C/groups)   b (K,)   y (N, P, Q, K)
    P = (H + 2 padding - dilation (R - 1) - 1) // stride + 1, and Q likewise from W and S

    y[n, p, q, k] = b[k] + sum over r, s, c of x[n, i, j, c] w[k, r, s, c]
    with i = p stride + r dilation - padding   and   j = q stride + s dilation - padding

All three passes visit the R x S taps of the filter one by one. A tap (r, s) reads one strided slice of the padded
image, and for that slice convolution is a matrix product over channels: forward x w^T, for the input dy w, for the
weight dy^T x. The 1x1 convolution is the case with a single tap.
"""

from ..shapes import window_counts
from .arrays import array_module, write


def tap_slices(w_shape, out_hw, stride, dilation):
    """For each tap (r, s) of the filter, the slice of the padded image that it reads: (r, s, rows, columns)."""
    _, height, width, _ = w_shape
    for r in range(height):
        for s in range(width):
            starts = r * dilation[0], s * dilation[1]
            yield r, s, *(slice(a, a + (n - 1) * st + 1, st) for a, n, st in zip(starts, out_hw, stride))


def pad_hw(x, padding):
    """Zeros around the image. x (N, H, W, C) -> (N, H + 2 ph, W + 2 pw, C)."""
    (ph, pw) = padding
    return array_module(x).pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0))) if ph or pw else x


def split_groups(a, groups):
    """(..., groups * C) -> (groups, rows, C): one matrix for each group."""
    return a.reshape(-1, groups, a.shape[-1] // groups).transpose(1, 0, 2)


def join_groups(a, shape):
    """(groups, rows, C) -> shape (..., groups * C): the inverse of split_groups."""
    return a.transpose(1, 0, 2).reshape(shape)


def conv2d_forward(x, w, b, stride, padding, dilation, groups, relu=False, out=None):
    """y (N, P, Q, K). b may be None. With relu, y = max(y, 0)."""
    xp = array_module(x)
    k, r_size, s_size, c = w.shape
    p, q = window_counts(x.shape[1:3], (r_size, s_size), stride, padding, dilation)
    x, by_group = pad_hw(x, padding), w.reshape(groups, k // groups, r_size, s_size, c)
    y = xp.zeros((groups, x.shape[0] * p * q, k // groups), x.dtype)
    for r, s, rows, columns in tap_slices(w.shape, (p, q), stride, dilation):
        y += split_groups(x[:, rows, columns], groups) @ by_group[:, :, r, s].transpose(0, 2, 1)
    y = join_groups(y, (x.shape[0], p, q, k))
    y = y if b is None else y + b
    return write(xp.maximum(y, 0) if relu else y, out)


def conv2d_backward_input(dy, w, x_shape, stride, padding, dilation, groups, out=None):
    """dx (N, H, W, C): each tap sends dy back to the pixels that it read."""
    n, h, wd, c_in = x_shape
    (ph, pw), (k, r_size, s_size, c) = padding, w.shape
    by_group, dy_groups = w.reshape(groups, k // groups, r_size, s_size, c), split_groups(dy, groups)
    dx = array_module(dy).zeros((n, h + 2 * ph, wd + 2 * pw, c_in), dy.dtype)
    for r, s, rows, columns in tap_slices(w.shape, dy.shape[1:3], stride, dilation):
        dx[:, rows, columns] += join_groups(dy_groups @ by_group[:, :, r, s], (*dy.shape[:3], c_in))
    return write(dx[:, ph : ph + h, pw : pw + wd], out)


def conv2d_backward_weight(dy, x, w_shape, stride, padding, dilation, groups):
    """dw (K, R, S, C/groups): each tap multiplies dy with what it read, summed over images and positions."""
    k, _, _, c = w_shape
    x, dy_groups = pad_hw(x, padding), split_groups(dy, groups).transpose(0, 2, 1)
    dw = array_module(dy).zeros(w_shape, dy.dtype)
    for r, s, rows, columns in tap_slices(w_shape, dy.shape[1:3], stride, dilation):
        dw[:, r, s] = (dy_groups @ split_groups(x[:, rows, columns], groups)).reshape(k, c)
    return dw
