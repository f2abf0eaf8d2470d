"""Convolution: forward, transposed, and the 1x1 case that is a matrix product."""

from kernels.shapes import window_counts

from ..precision import floats, products
from ..tensor import op
from .checks import channels, images, pair, windows


def checked(name, x, w, b, stride, padding, dilation, groups):
    """The settings as pairs, after refusing what does not fit together."""
    images(name, x)
    images(name, w, "w")
    stride, padding = pair(name, "stride", stride, 1), pair(name, "padding", padding, 0)
    dilation = pair(name, "dilation", dilation, 1)
    if not isinstance(groups, int) or groups < 1 or w.shape[0] % groups:
        raise ValueError(f"{name}: groups must divide w's {w.shape[0]} filters (first axis); got {groups}")
    if x.shape[-1] != w.shape[-1] * groups:
        per_group = f" ({groups} groups of {w.shape[-1]})" if groups > 1 else ""
        raise ValueError(
            f"{name}: x has {x.shape[-1]} channels in its last axis but w expects {w.shape[-1] * groups}{per_group}; "
            f"x {x.shape}, w {w.shape}"
        )
    if b is not None and b.shape != w.shape[:1]:
        raise ValueError(f"{name}: b must have shape {w.shape[:1]}, one for each filter; got {b.shape}")
    windows(name, x, w.shape[1:3], stride, padding, dilation)
    return stride, padding, dilation, groups


@op(autocast=products, types=floats, kernels_only=True)
def conv2d(ctx, x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1):
    """Slide each filter of w over x (cross-correlation, as in every CNN library).

        x (N, H, W, C)   w (K, R, S, C/groups)   b (K,)   ->   y (N, P, Q, K)

    P = (H + 2 padding - dilation (R - 1) - 1) // stride + 1, and Q likewise from W and S. With groups, filter k sees
    only the C/groups channels of its group (groups = C: depthwise). A 1x1 filter is a fully-connected layer at every
    pixel. With i = p stride + r dilation - padding and j = q stride + s dilation - padding (x is 0 outside the image):

        y[n,p,q,k]  = b[k] + sum over r, s, c of x[n,i,j,c] w[k,r,s,c]
        dx[n,i,j,c] = sum over the p, q, r, s that lead to i, j, and over k, of dy[n,p,q,k] w[k,r,s,c]
        dw[k,r,s,c] = sum over n, p, q of dy[n,p,q,k] x[n,i,j,c]
        db[k]       = sum over n, p, q of dy[n,p,q,k]

    ValueError for channels, groups, bias or window sizes that don't fit. (LeCun et al. 1989; groups: Krizhevsky 2012.)
    """
    settings = checked("conv2d", x, w, b, stride, padding, dilation, groups)
    return convolve(ctx, x, w, b, settings, relu=False)


def convolve(ctx, x, w, b, settings, relu):
    """conv2d's forward and backward for settings (stride, padding, dilation, groups) that were checked."""
    k, needs, x_shape, w_shape = ctx.kernels, ctx.needs, x.shape, w.shape
    y = k.conv2d_forward(x, w, b, *settings, relu)
    mask, x, w = (y if relu else None), (x if needs[1] else None), (w if needs[0] else None)

    def backward(dy):
        dy = dy if mask is None else k.relu_backward(dy, mask)
        dx = k.conv2d_backward_input(dy, w, x_shape, *settings) if needs[0] else None
        dw = k.conv2d_backward_weight(dy, x, w_shape, *settings) if needs[1] else None
        db = k.channel_sum(dy) if needs[2] else None
        return dx, dw, db

    return y, backward


def checked_transposed(x, w, stride, padding, output_padding, dilation, groups):
    """conv_transpose2d's settings as pairs, and the shape of y, after refusing what does not fit together."""
    name = "conv_transpose2d"
    images(name, x)
    images(name, w, "w")
    stride, padding = pair(name, "stride", stride, 1), pair(name, "padding", padding, 0)
    dilation, extra = pair(name, "dilation", dilation, 1), pair(name, "output_padding", output_padding, 0)
    if x.shape[-1] != w.shape[0] or not isinstance(groups, int) or groups < 1 or x.shape[-1] % groups:
        raise ValueError(
            f"{name}: x's channels (last axis) must be w's first axis and divisible by groups; "
            f"x {x.shape}, w {w.shape}, groups {groups}"
        )
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation)):
        raise ValueError(
            f"{name}: output_padding must be smaller than stride or dilation; got {extra}, stride {stride}"
        )
    sizes = zip(x.shape[1:3], w.shape[1:3], stride, padding, dilation, extra)
    hw = tuple((n - 1) * s - 2 * p + d * (r - 1) + e + 1 for n, r, s, p, d, e in sizes)
    if min(hw) < 1:
        raise ValueError(f"{name}: the output would be empty: {hw}; x {x.shape}, w {w.shape}, padding {padding}")
    return (stride, padding, dilation, groups), (x.shape[0], *hw, w.shape[3] * groups)


def with_silent_pixels(xp, x, hw):
    """x with zeros below and to the right, where output_padding makes room in y for more windows than x has pixels."""
    more = [n - have for n, have in zip(hw, x.shape[1:3])]
    return xp.pad(x, ((0, 0), (0, more[0]), (0, more[1]), (0, 0))) if any(more) else x


@op(autocast=products, types=floats)
def conv_transpose2d(ctx, x, w, b=None, *, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    """The input gradient of conv2d as a layer of its own: each pixel of x is spread over a window of y.

        x (N, H, W, C)   w (C, R, S, K/groups)   b (K,)   ->   y (N, P, Q, K)

        y  = conv2d's input gradient with x in the place of dy, + b
        dx = conv2d(dy, w),   dw = conv2d's weight gradient with dy as the input and x as dy,   db = sum dy

    P = (H - 1) stride - 2 padding + dilation (R - 1) + output_padding + 1, and Q likewise. The backward passes are
    conv2d's forward (for dx) and its weight gradient with the roles of x and dy exchanged (for dw).
    (Zeiler et al. 2010.)
    """
    k, w_shape, (h, wd) = ctx.kernels, w.shape, x.shape[1:3]
    settings, y_shape = checked_transposed(x, w, stride, padding, output_padding, dilation, groups)
    x = with_silent_pixels(ctx.xp, x, window_counts(y_shape[1:3], w.shape[1:3], *settings[:3]))
    y = k.conv2d_backward_input(x, w, y_shape, *settings)
    if b is not None:
        channels("conv_transpose2d", y, b=b)
        y = y + b
    need_x, need_w, need_b = ctx.needs

    def backward(dy):
        dx = k.conv2d_forward(dy, w, None, *settings)[:, :h, :wd] if need_x else None
        dw = k.conv2d_backward_weight(x, dy, w_shape, *settings) if need_w else None
        db = k.channel_sum(dy) if need_b else None
        return dx, dw, db

    return y, backward
