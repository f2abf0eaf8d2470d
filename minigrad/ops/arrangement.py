"""Other arrangements: axes added and dropped, tensors stretched, repeated, turned round, stacked, cut into pieces."""

import math
from itertools import accumulate

from kernels.reference.arrays import exact_sum

from ..tensor import op
from .arithmetic import unbroadcast
from .checks import axis, is_whole, long_axis, whole
from .joining import concat
from .reduction import normalised
from .shape import getitem, reshape


@op
def expand(ctx, x, *, shape):
    """y = x stretched to a shape without copying (-1: as it is);   dx = sum of dy over the axes that were stretched

    Only axes of length 1 are stretched, and new ones come first. ValueError for another shape.
    """
    before = x.shape
    lead = len(shape) - x.ndim
    wide = tuple(before[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(shape))
    if lead < 0 or any(n not in (1, m) for n, m in zip(before, wide[lead:])) or min(wide, default=0) < 0:
        raise ValueError(f"expand: shape {before} does not stretch to {tuple(shape)}; only axes of length 1 do")

    def backward(dy):
        return (unbroadcast(dy, before),)

    return ctx.xp.broadcast_to(x, wide), backward


@op
def repeat(ctx, x, *, repeats):
    """y = x beside itself, repeats[i] times along axis i (new axes come first);   dx = sum of dy over the copies"""
    lead = len(repeats) - x.ndim
    if lead < 0 or not all(is_whole(r, 0) for r in repeats):
        raise ValueError(f"repeat: repeats must be ints >= 0, one for each of {x.ndim} axes or more; got {repeats!r}")
    shape = x.shape
    copies = [n for pair in zip(repeats, (1,) * lead + shape) for n in pair]  # r0, n0, r1, n1, ...

    def backward(dy):
        return (exact_sum(dy.reshape(copies), tuple(range(0, len(copies), 2))).reshape(shape),)

    return ctx.xp.tile(x, tuple(repeats)), backward


@op
def flip(ctx, x, *, dims):
    """y = x in reverse order along each axis of dims;   dx = dy, turned back"""
    axes, xp = normalised("flip", dims, x.ndim), ctx.xp

    def backward(dy):
        return (xp.flip(dy, axes),)

    return xp.flip(x, axes), backward


@op
def clone(ctx, x):
    """y = a copy of x,   dx = dy"""

    def backward(dy):
        return (dy,)

    return x.copy(), backward


def squeeze(x, *, dim=None):
    """x without its axes of length 1 (None), or without those among dim that have length 1. A reshape."""
    axes = normalised("squeeze", dim, x.ndim)
    return reshape(x, shape=tuple(n for i, n in enumerate(x.shape) if n != 1 or i not in axes))


def unsqueeze(x, *, dim):
    """x with a new axis of length 1 at dim. A reshape."""
    if not is_whole(dim, -x.ndim - 1) or dim > x.ndim:
        raise ValueError(f"unsqueeze: dim must be an int from {-x.ndim - 1} to {x.ndim}; got {dim!r}")
    at = dim % (x.ndim + 1)
    return reshape(x, shape=(*x.shape[:at], 1, *x.shape[at:]))


def flatten(x, *, start_dim=0, end_dim=-1):
    """The axes from start_dim to end_dim as one. A reshape. ValueError where start_dim lies behind end_dim."""
    if not x.ndim:
        return reshape(x, shape=(1,))
    first, last = axis("flatten", x, start_dim), axis("flatten", x, end_dim)
    if first > last:
        raise ValueError(f"flatten: start_dim {start_dim} lies behind end_dim {end_dim}; x {x.shape}")
    return reshape(x, shape=(*x.shape[:first], math.prod(x.shape[first : last + 1]), *x.shape[last + 1 :]))


def unflatten(x, *, dim, sizes):
    """One axis as several (one size may be -1). A reshape."""
    at, sizes = axis("unflatten", x, dim), tuple(sizes)
    known = math.prod(n for n in sizes if n != -1)
    if sizes.count(-1) > 1 or (x.shape[at] % known if -1 in sizes and known else x.shape[at] != known):
        raise ValueError(f"unflatten: sizes {sizes} do not multiply to {x.shape[at]}, the length of axis {at}")
    sizes = tuple(x.shape[at] // known if n == -1 else n for n in sizes)
    return reshape(x, shape=(*x.shape[:at], *sizes, *x.shape[at + 1 :]))


def stack(*xs, dim=0):
    """Tensors of one shape side by side along a new axis. concat of unsqueezed ones."""
    for i, x in enumerate(xs):
        if x.shape != xs[0].shape:
            raise ValueError(f"stack: all tensors must have one shape; xs[{i}] has {x.shape}, xs[0] {xs[0].shape}")
    if not xs:
        raise ValueError("stack: there must be at least one tensor")
    return concat(*(unsqueeze(x, dim=dim) for x in xs), dim=dim)


def split(x, *, sizes, dim=0):
    """Pieces along one axis: `sizes` long each (the last may be shorter), or of these lengths (a list)."""
    at, length = long_axis("split", x, dim)
    if not isinstance(sizes, list | tuple):
        sizes = whole("split", "sizes", sizes)
        sizes = [min(sizes, length - start) for start in range(0, length, sizes)] or [0]
    if sum(sizes) != length or min(sizes) < 0:
        raise ValueError(f"split: sizes {list(sizes)} do not add up to {length}, the length of axis {at}")
    ends = list(accumulate(sizes))
    return tuple(getitem(x, index=(slice(None),) * at + (slice(a, b),)) for a, b in zip([0, *ends], ends))


def chunk(x, *, chunks, dim=0):
    """At most `chunks` pieces of one length along an axis; the last may be shorter, as in torch."""
    longest = -(-long_axis("chunk", x, dim)[1] // whole("chunk", "chunks", chunks))
    return split(x, sizes=max(1, longest), dim=dim)


def unbind(x, *, dim=0):
    """The slices of x along one axis, one for each place."""
    at, length = long_axis("unbind", x, dim)
    return tuple(getitem(x, index=(slice(None),) * at + (i,)) for i in range(length))
