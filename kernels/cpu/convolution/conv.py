"""Convolution: the forward pass and the input gradient, both by gathering taps (see gather.py)."""

from ...recording import assign, once
from ...shapes import window_counts
from ..layout import deliver, result_array, single_tap, with_contiguous_channels
from . import depthwise, winograd
from .gather import gather
from .pack import filters_of


def conv2d_forward(x, w, b, stride, padding, dilation, groups, relu=False, out=None):
    """y (N, P, Q, K). b may be None. With relu, y = max(y, 0)."""
    k, r_size, s_size, _ = w.shape
    p, q = window_counts(x.shape[1:3], (r_size, s_size), stride, padding, dilation)
    if x.size and depthwise.applies(w.shape, x.shape[3], groups):
        how = stride, padding, dilation
        return deliver(depthwise.depthwise_forward(x, w, b, how, relu, (x.shape[0], p, q, k)), out)
    y = result_array(out, (x.shape[0], p, q, k), x.dtype)
    if y.size == 0:
        return deliver(y, out)
    x = with_contiguous_channels(x)
    if winograd.chosen(w.shape, stride, dilation, groups, x.dtype, y.shape):
        winograd.convolve(x, once(w, winograd.filter_points, w, False), b, relu, y, padding)
        return deliver(y, out)
    taps = [(r, s) for r in range(r_size) for s in range(s_size)]
    filters = filters_of(w, taps, groups)
    if (r_size, s_size, *padding) == (1, 1, 0, 0):
        gather(*single_tap(x, y, stride), [(0, 0)], filters, b, relu, (1, 1))
    else:
        offsets = [(r * dilation[0] - padding[0], s * dilation[1] - padding[1]) for r, s in taps]
        gather(x, y, offsets, filters, b, relu, stride)
    return deliver(y, out)


def phase_taps(phase, size, stride, padding, dilation):
    """Along one axis: which taps reach the input positions phase, phase + stride, ..., and from which output.

    Position h got x[h] w[r] into y[p] for h = p stride + r dilation - padding. So those r with h + padding - r dilation
    divisible by the stride take part, with p at the constant distance given by the quotient. In ascending order of p.
    """
    sums = [(phase + padding - r * dilation, r) for r in reversed(range(size))]
    return [(total // stride, r) for total, r in sums if total % stride == 0]


def conv2d_backward_input(dy, w, x_shape, stride, padding, dilation, groups, out=None):
    """dx (N, H, W, C): a convolution of dy with the flipped filter, one for each phase of the stride."""
    if dy.size and depthwise.applies(w.shape, x_shape[3], groups):
        return deliver(depthwise.depthwise_backward_input(dy, w, (stride, padding, dilation), x_shape), out)
    dx = result_array(out, x_shape, dy.dtype)
    if dx.size == 0:
        return deliver(dx, out)
    dy = with_contiguous_channels(dy)
    if winograd.chosen(w.shape, stride, dilation, groups, dy.dtype, dy.shape):
        reach = 2 - padding[0], 2 - padding[1]
        winograd.convolve(dy, once(w, winograd.filter_points, w, True), None, False, dx, reach)
        return deliver(dx, out)
    for i in range(min(stride[0], x_shape[1])):
        for j in range(min(stride[1], x_shape[2])):
            rows, columns = (phase_taps(*axis) for axis in zip((i, j), w.shape[1:3], stride, padding, dilation))
            backward_phase(dy, w, rows, columns, dx[:, i :: stride[0], j :: stride[1]], groups)
    return deliver(dx, out)


def backward_phase(dy, w, rows, columns, dx, groups):
    """Fill one phase of dx from the taps that reach it: (offset in dy, index in w) along both axes."""
    if not rows or not columns or dy.size == 0:
        assign(dx, 0)
        return
    taps = [(r, s) for _, r in rows for _, s in columns]
    offsets = [(p, q) for p, _ in rows for q, _ in columns]
    filters = filters_of(w, taps, groups, transposed=True)
    if offsets == [(0, 0)] and dy.shape[:3] == dx.shape[:3]:
        dy, dx = single_tap(dy, dx)
    gather(dy, dx, offsets, filters, None, False, (1, 1))
