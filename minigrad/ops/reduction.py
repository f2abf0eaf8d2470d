"""Sums, means and maxima over axes."""

import math

from kernels.reference.arrays import exact_mean, exact_sum

from ..precision import floated, sums
from ..tensor import op
from .checks import is_whole


def normalised(name, dim, ndim):
    """dim as a tuple of distinct axes in [0, ndim); None and () stand for all. Without axes there is axis 0, too."""
    room = ndim or 1
    axes = tuple(dim) if isinstance(dim, tuple | list) else () if dim is None else (dim,)
    if not all(is_whole(d, -room) and d < room for d in axes):
        raise ValueError(f"{name}: dim {dim} is outside a tensor of {ndim} axes")
    distinct = tuple(int(d) % room for d in axes)
    if len(set(distinct)) != len(distinct):
        raise ValueError(f"{name}: dim {dim} names an axis twice")
    return distinct if distinct and ndim else tuple(range(ndim))


def kept(shape, axes):
    """shape with 1 for each reduced axis: what broadcasts back over the input."""
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def largest(xp, x, axes):
    """x's largest over axes, which stay with length 1; 0 where there are no numbers."""
    if 0 in (x.shape[a] for a in axes):
        return xp.zeros(kept(x.shape, axes), x.dtype)
    return x.max(axes, keepdims=True)


@op(autocast=sums)
def sum(ctx, x, *, dim=None, keepdim=False):
    """y = sum of x over dim (all axes if None),   dx = dy for every element that was summed"""
    axes, shape, xp = normalised("sum", dim, x.ndim), x.shape, ctx.xp

    def backward(dy):
        return (xp.broadcast_to(dy.reshape(kept(shape, axes)), shape),)

    return exact_sum(x, axes, keepdim), backward


@op(autocast=sums, types=floated)
def mean(ctx, x, *, dim=None, keepdim=False):
    """y = mean of x over dim (all axes if None),   dx = dy / (number of elements)"""
    axes, shape, xp = normalised("mean", dim, x.ndim), x.shape, ctx.xp
    count = math.prod(shape[a] for a in axes)

    def backward(dy):
        return (xp.broadcast_to((dy / dy.dtype.type(count)).reshape(kept(shape, axes)), shape),)

    return exact_mean(x, axes, keepdim), backward


@op
def max(ctx, x, *, dim=None, keepdim=False):
    """y = the largest of x over dim (all axes if None),   dx = dy where x is the largest, else 0

    Over one axis the first of equal ones has it all; over several or all they share dy. As in torch.
    ValueError where there are no numbers to choose from.
    """
    axes, shape, xp = normalised("max", dim, x.ndim), x.shape, ctx.xp
    if 0 in (shape[a] for a in axes):
        raise ValueError(f"max: there is no largest of no numbers; x {shape}, dim {dim}")
    wide, one = kept(shape, axes), x.ndim and not isinstance(dim, tuple | list | None)
    if one:
        winner = xp.expand_dims(x.argmax(axes[0]), axes[0])  # where along the axis
        y = xp.take_along_axis(x, winner, axes[0])
    else:
        y = x.max(axes, keepdims=True)
        winner = (x == y) | ((x != x) & (y != y)) if ctx.needs[0] else None  # is it one? NaN is the largest, too

    def backward(dy):
        dy = dy.reshape(wide)
        if not one:
            return (winner * (dy / winner.sum(axes, dtype=dy.dtype, keepdims=True)),)
        dx = xp.zeros(shape, dy.dtype)
        xp.put_along_axis(dx, winner, dy, axes[0])
        return (dx,)

    return y if keepdim else y.reshape([n for i, n in enumerate(shape) if i not in axes]), backward
