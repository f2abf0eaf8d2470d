"""Sums, means and maxima over axes."""

import math

from ..precision import sums
from ..tensor import op


def normalised(name, dim, ndim):
    """dim as a tuple of distinct axes in [0, ndim); None stands for all."""
    if dim is None:
        return tuple(range(ndim))
    axes = (dim,) if isinstance(dim, int) else tuple(dim)
    if any(not -ndim <= d < ndim for d in axes):
        raise ValueError(f"{name}: dim {dim} is outside a tensor of {ndim} axes")
    axes = tuple(d % ndim for d in axes)
    if len(set(axes)) != len(axes):
        raise ValueError(f"{name}: dim {dim} names an axis twice")
    return axes


def kept(shape, axes):
    """shape with 1 for each reduced axis: what broadcasts back over the input."""
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


@op(autocast=sums)
def sum(ctx, x, *, dim=None, keepdim=False):
    """y = sum of x over dim (all axes if None),   dx = dy for every element that was summed"""
    axes, shape, xp = normalised("sum", dim, x.ndim), x.shape, ctx.xp

    def backward(dy):
        return (xp.broadcast_to(dy.reshape(kept(shape, axes)), shape),)

    return x.sum(axes, keepdims=keepdim), backward


@op(autocast=sums)
def mean(ctx, x, *, dim=None, keepdim=False):
    """y = mean of x over dim (all axes if None),   dx = dy / (number of elements)"""
    axes, shape, xp = normalised("mean", dim, x.ndim), x.shape, ctx.xp
    count = math.prod(shape[a] for a in axes)

    def backward(dy):
        return (xp.broadcast_to((dy / dy.dtype.type(count)).reshape(kept(shape, axes)), shape),)

    return x.mean(axes, keepdims=keepdim), backward


@op
def max(ctx, x, *, dim=None, keepdim=False):
    """y = the largest of x over dim (all axes if None); dx = dy at the first such element in scan order, else 0"""
    axes, shape, xp = normalised("max", dim, x.ndim), x.shape, ctx.xp
    order = (*(i for i in range(x.ndim) if i not in axes), *axes)  # the reduced axes last
    inverse = sorted(range(x.ndim), key=order.__getitem__)
    lanes = x.transpose(order)
    lanes_shape, rest = lanes.shape, lanes.shape[: x.ndim - len(axes)]
    lanes = lanes.reshape(*rest, -1)
    winner, width = lanes.argmax(-1)[..., None], lanes.shape[-1]
    y = xp.take_along_axis(lanes, winner, -1)[..., 0]

    def backward(dy):
        dx = xp.zeros((*rest, width), dy.dtype)
        xp.put_along_axis(dx, winner, dy.reshape(winner.shape), -1)
        return (dx.reshape(lanes_shape).transpose(inverse),)

    return y.reshape(kept(shape, axes)) if keepdim else y, backward
