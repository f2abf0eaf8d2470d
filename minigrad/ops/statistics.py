"""Reductions beside sum, mean and max: variance, standard deviation, norms, products, running sums, log-sum-exp."""

import math
import warnings

import numpy as np

from kernels.reference.arrays import exact_mean, exact_sum

from ..precision import floated, is_floating_point, sums
from ..tensor import op
from .checks import axis
from .reduction import largest, normalised


def moments(name, x, dim, correction):
    """(axes, mean with kept axes, number of elements - correction)"""
    axes = normalised(name, dim, x.ndim)
    count = math.prod(x.shape[a] for a in axes) - correction
    if count <= 0:
        warnings.warn(f"{name} is NaN without more values than correction {correction}; x {x.shape}", stacklevel=3)
    return axes, exact_mean(x, axes, True), count if count > 0 else math.nan


@op(autocast=sums, types=floated)
def var(ctx, x, *, dim=None, correction=1, keepdim=False):
    """y = sum (x - mean)^2 / (n - correction) over dim (all axes if None);   dx = 2 dy (x - mean) / (n - correction)

    correction 1: without bias (Bessel), as torch; 0: the plain mean of squares. NaN, with a warning, unless
    n > correction.
    """
    axes, mean, count = moments("var", x, dim, correction)
    shape = mean.shape

    def backward(dy):
        return (dy.reshape(shape) * (x - mean) * (2 / count),)

    return exact_sum((x - mean) ** 2, axes, keepdim) / x.dtype.type(count), backward


@op(autocast=sums, types=floated)
def std(ctx, x, *, dim=None, correction=1, keepdim=False):
    """y = sqrt var(x, dim);   dx = dy (x - mean) / ((n - correction) y), 0 where y = 0"""
    axes, mean, count = moments("std", x, dim, correction)
    xp = ctx.xp
    y = xp.sqrt(exact_sum((x - mean) ** 2, axes, True) / x.dtype.type(count))

    def backward(dy):
        return (dy.reshape(y.shape) * (x - mean) / (count * xp.where(y > 0, y, xp.inf)),)

    return y if keepdim else y.reshape([n for i, n in enumerate(y.shape) if i not in axes]), backward


@op(autocast=sums, types=floated)
def norm(ctx, x, *, p=2, dim=None, keepdim=False):
    """y = (sum |x|^p)^(1/p) over dim (all axes if None);   dx = dy sign(x) (|x| / y)^(p-1), 0 where y = 0

    p: any number > 0, or inf: the largest |x|, whose gradient is shared by all that are as large.
    """
    if not isinstance(p, int | float) or not p > 0:
        raise ValueError(f"norm: p must be a number above 0, or inf; got {p!r}")
    axes, xp = normalised("norm", dim, x.ndim), ctx.xp
    size = xp.abs(x)
    largest = size.max(axes, keepdims=True) if size.size else size.sum(axes, keepdims=True)
    if p == math.inf:
        y = largest
    else:
        unit = xp.where(largest > 0, largest, 1)  # so that no power overflows
        y = unit * exact_sum((size / unit) ** p, axes, True) ** (1 / p)

    def backward(dy):
        ratio = xp.abs(x) / xp.where(y > 0, y, xp.inf)
        if p == math.inf:
            ties = (ratio == 1).astype(dy.dtype)
            share = ties / xp.maximum(ties.sum(axes, keepdims=True), 1)
        else:
            share = xp.where(ratio > 0, ratio, 1) ** (p - 1)
        return (dy.reshape(y.shape) * share * xp.sign(x),)

    return y if keepdim else y.reshape([n for i, n in enumerate(y.shape) if i not in axes]), backward


@op(autocast=sums)
def prod(ctx, x, *, dim=None, keepdim=False):
    """y = the product of x over one axis (all if None);   dx = dy times the product of the others, exact at 0, too"""
    shape, xp, flat = x.shape, ctx.xp, dim is None or not x.ndim
    along = axis("prod", x, dim or 0)
    lanes = x.reshape(-1) if flat else x
    y = lanes.prod(along, keepdims=True, dtype=x.dtype if is_floating_point(x.dtype) else np.int64)

    def backward(dy):
        return ((dy.reshape(y.shape) * others(xp, lanes, along)).reshape(shape),)

    keep = (1,) * x.ndim if flat else y.shape
    return y.reshape(keep if keepdim else [n for i, n in enumerate(y.shape) if i != along]), backward


def others(xp, x, along):
    """For each element the product of all others along an axis: those before it times those after it."""
    return before_each(xp, x, along) * xp.flip(before_each(xp, xp.flip(x, along), along), along)


def before_each(xp, x, along):
    """For each element the product of those before it."""
    first, but_last = ((slice(None),) * along + (s,) for s in (slice(1), slice(-1)))
    return xp.concatenate([xp.ones_like(x[first]), x[but_last]], along).cumprod(along)


@op(autocast=sums)
def cumsum(ctx, x, *, dim):
    """y_i = x_0 + ... + x_i along one axis;   dx_i = dy_i + dy_(i+1) + ... to the end"""
    along, xp, shape = axis("cumsum", x, dim), ctx.xp, x.shape
    lanes = shape or (1,)

    def backward(dy):
        return (xp.flip(running_sum(xp.flip(dy.reshape(lanes), along), along), along).reshape(shape),)

    return running_sum(x.reshape(lanes), along).reshape(shape), backward


def running_sum(x, along):
    """x.cumsum in float64 for float32, as its sum; whole numbers in int64."""
    if not is_floating_point(x.dtype):
        return x.cumsum(along, dtype=np.int64)
    return x.cumsum(along, dtype={2: "float32"}.get(x.dtype.itemsize, "float64")).astype(x.dtype, copy=False)


@op(autocast=sums, types=floated)
def logsumexp(ctx, x, *, dim, keepdim=False):
    """y = ln sum e^x over dim, without overflow;   dx = dy e^(x - y)"""
    axes, xp = normalised("logsumexp", dim, x.ndim), ctx.xp
    shift = largest(xp, x, axes)
    shift = xp.where(xp.isfinite(shift), shift, 0)
    y = shift + xp.log(exact_sum(xp.exp(x - shift), axes, True))

    def backward(dy):
        return (dy.reshape(y.shape) * xp.exp(x - y),)

    return y if keepdim else y.reshape([n for i, n in enumerate(y.shape) if i not in axes]), backward
