"""Padding that continues an array (its mirror image, its last element, its other end), and padding of windows."""

import numpy as np

from ..tensor import op
from .checks import images, is_whole, pair
from .shape import pad

MODES = ("reflect", "replicate", "circular")


def sources(xp, n, before, after, mode):
    """For each place of an axis of n elements, padded, the number of the element that stands there."""
    places = xp.arange(-before, n + after)
    if mode == "replicate":
        return places.clip(0, n - 1)
    return places % n if mode == "circular" else n - 1 - xp.abs(n - 1 - xp.abs(places))


def checked_pads(pads, shape, mode):
    """Refuse pads that are not pairs >= 0, one an axis, or longer than what they show."""
    if mode not in MODES:
        raise ValueError(f"pad: mode must be 'constant' or one of {MODES}; got {mode!r}")
    if len(pads) != len(shape) or not all(is_whole(p, 0) for pair in pads for p in pair):
        raise ValueError(f"pad: pads must be a (before, after) pair >= 0 for each of {len(shape)} axes; got {pads}")
    for n, ends in zip(shape, pads):
        room = {"reflect": n - 1, "circular": n, "replicate": max(ends) if n else 0}[mode]
        if max(ends) > room:
            raise ValueError(f"pad: {mode} padding of {max(ends)} needs an axis of more than {n} elements; x {shape}")


@op
def pad_by(ctx, x, *, pads, mode):
    """y = x continued at its edges;   dx = the sum of dy over the places that show an element

        x (...)   pads: (before, after) for each axis, first axis first   ->   y, longer by the pads

    mode "reflect": mirrored at the outermost elements, which are not repeated; "replicate": the outermost elements
    again; "circular": from the other end. ValueError for a pad that is longer than what it shows.
    """
    shape, xp = x.shape, ctx.xp
    checked_pads(pads, shape, mode)
    y = x.copy()
    for axis, (n, ends) in enumerate(zip(shape, pads)):
        y = y.take(sources(xp, n, *ends, mode), axis) if any(ends) else y

    def backward(dy):
        for axis, (n, ends) in enumerate(zip(shape, pads)):
            dy = folded_back(dy, axis, n, *ends, mode)
        return (dy,)

    return y, backward


def folded_back(dy, axis, n, before, after, mode):
    """The inner n elements of dy along an axis, and what the outer ones show added to them."""
    lead = (slice(None),) * axis
    dx = dy[(*lead, slice(before, before + n))].copy()
    shown = sources(np, n, before, after, mode)
    for place in (*range(before), *range(before + n, before + n + after)):
        dx[(*lead, int(shown[place]))] += dy[(*lead, place)]
    return dx


def window_padding(name, padding, size, stride, dilation):
    """Padding of a window as (extra pads for an image or None, the (vertical, horizontal) pair that kernels take).

    padding: an int, a pair, "same" or "valid", or (left, right, top, bottom) as torch's padding layers have it. What
    is not the same on both sides is padded before. With "same" y is as large as x; the odd pixel is padded last.
    """
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"{name}: padding must be an int, a pair, four ints, 'same' or 'valid'; got {padding!r}")
        if padding == "same" and tuple(stride) != (1, 1):
            raise ValueError(f"{name}: padding 'same' needs stride 1; got stride {stride}")
        total = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilation, size)]
        sides = [(t // 2, t - t // 2) for t in total]
    elif isinstance(padding, tuple | list) and len(padding) == 4:
        if not all(is_whole(p, 0) for p in padding):
            raise ValueError(f"{name}: padding (left, right, top, bottom) must be ints >= 0; got {padding!r}")
        sides = [tuple(map(int, padding[2:])), tuple(map(int, padding[:2]))]
    else:
        return None, pair(name, "padding", padding, 0)
    common = min(sides[0]), min(sides[1])
    extra = [(a - c, b - c) for (a, b), c in zip(sides, common)]
    return ((0, 0), *extra, (0, 0)) if any(map(any, extra)) else None, common


def padded_windows(x, padding, size, stride, dilation, name="conv2d", value=0.0):
    """(x with what kernels can't pad put around it, the pair for the kernel) for conv2d's "same" and four ints."""
    images(name, x)
    stride, dilation = pair(name, "stride", stride, 1), pair(name, "dilation", dilation, 1)
    extra, padding = window_padding(name, padding, size, stride, dilation)
    return x if extra is None else pad(x, pads=extra, value=value), padding


def padded_pool(name, x, padding, size, stride, value=0.0):
    """The same for a pool's (left, right, top, bottom). value: what the padding counts as, minus infinity or zero.

    ValueError for a side of more than half the window, which might hold nothing but padding.
    """
    size = pair(name, "kernel_size", size, 1)
    if not all(is_whole(p, 0) and 2 * p <= k for p, k in zip(padding, (size[1], size[1], size[0], size[0]))):
        raise ValueError(
            f"{name}: padding (left, right, top, bottom) must be ints from 0 to half the window {size}; got {padding!r}"
        )
    return padded_windows(x, padding, size, size if stride is None else stride, 1, name, value)


def pairs_of(pads, ndim):
    """(before, after) for each axis, from such pairs or from torch's flat list."""
    if any(isinstance(p, tuple | list) for p in pads):
        return pads
    order = {4: (2, 1, 3, 0), 2: (1, 0), 1: (0,)}.get(ndim)  # which axis each pair of the flat list means
    if order is None or len(pads) % 2 or len(pads) > 2 * ndim:
        raise ValueError(
            f"pad: pads must be a (before, after) pair for each of {ndim} axes; got {pads!r} (torch's flat list counts "
            "from the last axis, which is the channels here; it is taken for images of 4 axes, matrices and vectors)"
        )
    found = dict(zip(order, zip(pads[::2], pads[1::2])))
    return tuple(found.get(axis, (0, 0)) for axis in range(ndim))
