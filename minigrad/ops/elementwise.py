"""Functions of each element, and choices between elements: abs, sin, cos, clamp, maximum, minimum, where, a^b."""

import numpy as np

from ..device import CPU
from ..precision import floated, is_floating_point, promoted, sums
from ..tensor import Tensor, op
from .arithmetic import unbroadcast
from .checks import fits


@op
def abs(ctx, x):
    """y = |x|,   dx = dy sign(x), 0 where x = 0"""
    xp = ctx.xp

    def backward(dy):
        return (dy * xp.sign(x),)

    return xp.abs(x), backward


@op(autocast=sums, types=floated)
def sin(ctx, x):
    """y = sin x,   dx = dy cos x"""
    xp = ctx.xp

    def backward(dy):
        return (dy * xp.cos(x),)

    return ctx.each(xp.sin, x), backward


@op(autocast=sums, types=floated)
def cos(ctx, x):
    """y = cos x,   dx = -dy sin x"""
    xp = ctx.xp

    def backward(dy):
        return (-dy * xp.sin(x),)

    return ctx.each(xp.cos, x), backward


@op
def clamp(ctx, x, *, min=None, max=None):
    """y = x, but at least min and at most max;   dx = dy where min < x < max, else 0

    min, max: numbers, or None for no bound. TypeError for tensors: minimum and maximum take those.
    """
    for bound in (min, max):
        if not isinstance(bound, int | float | None):
            raise TypeError(f"clamp: min and max must be numbers or None; got {type(bound).__name__}")
    if min is None and max is None:
        raise ValueError("clamp: at least one of min and max must be a number; both are None")
    if not is_floating_point(x.dtype) and (isinstance(min, float) or isinstance(max, float)):
        x = x.astype(np.float32)

    def backward(dy):
        inside = True if min is None else x > min
        return (dy * (inside if max is None else inside & (x < max)),)

    return x.clip(min, max).astype(x.dtype, copy=False), backward  # CuPy's clip and where have no bfloat16


@op(types=promoted)
def maximum(ctx, a, b):
    """y = the larger of a and b;   da = dy where a > b, db = dy where b > a, half each where they are equal

    a and b broadcast; da and db are summed over their broadcast axes. NaN in either gives NaN.
    """

    def backward(dy):
        return shares(dy, a, b, 1)

    return ctx.xp.maximum(a, b), backward


@op(types=promoted)
def minimum(ctx, a, b):
    """y = the smaller of a and b;   da = dy where a < b, db = dy where b < a, half each where they are equal

    a and b broadcast; da and db are summed over their broadcast axes. NaN in either gives NaN.
    """

    def backward(dy):
        return shares(dy, a, b, -1)

    return ctx.xp.minimum(a, b), backward


def shares(dy, a, b, sign):
    """dy for the larger of a and b (sign 1) or the smaller (-1): the halves of (1 +- which) / 2."""
    which = (a > b).astype(dy.dtype) - (a < b).astype(dy.dtype)
    half, rest = dy * 0.5, dy * 0.5 * sign * which
    return unbroadcast(half + rest, a.shape), unbroadcast(half - rest, b.shape)


@op(types=promoted)
def select(ctx, a, b, *, condition):
    """y = a where condition, else b;   da = dy where condition, else 0,   db = dy where not

    condition: an array of booleans   a, b: tensors or numbers   ->   y of the shape that all three broadcast to
    """
    xp, a_shape, b_shape, mask = ctx.xp, a.shape, b.shape, boolean(ctx, "where", "condition", condition)

    def backward(dy):
        return unbroadcast(xp.where(mask, dy, 0), a_shape), unbroadcast(xp.where(mask, 0, dy), b_shape)

    return xp.where(mask, a, b).astype(a.dtype, copy=False), backward


def where(condition, a, b):
    """a where condition, else b, under torch's argument order. Of two numbers, floats become float32. See select."""
    if isinstance(a, int | float) and isinstance(b, int | float):
        dtype = np.float32 if isinstance(a, float) or isinstance(b, float) else np.result_type(type(a), type(b))
        device = condition.device if isinstance(condition, Tensor) else CPU
        a = Tensor(device.asarray(np.asarray(a, dtype)))
    return select(a, b, condition=condition)


@op
def masked_fill(ctx, x, *, mask, value):
    """y = value where mask, else x;   dx = 0 where mask, else dy.   mask: booleans that broadcast to x's shape"""
    xp, mask = ctx.xp, boolean(ctx, "masked_fill", "mask", mask)
    if not is_floating_point(x.dtype) and not holds(x.dtype, value):
        raise ValueError(f"masked_fill: value must be a number that x of {x.dtype} holds; got {value!r}")
    if not fits(mask.shape, x.shape):
        raise ValueError(f"masked_fill: mask must broadcast to x's shape {x.shape}; got {mask.shape}")

    def backward(dy):
        return (xp.where(mask, 0, dy),)

    return xp.where(mask, x.dtype.type(value), x).astype(x.dtype, copy=False), backward


def holds(dtype, value):
    """Is it a number that this type of whole numbers or booleans has?"""
    try:
        return dtype.type(int(value)) == value
    except (OverflowError, ValueError):
        return False


def boolean(ctx, name, what, mask):
    """A mask (tensor, array or list) as an array of the device. TypeError unless it holds booleans."""
    mask = ctx.xp.asarray(mask.data if isinstance(mask, Tensor) else mask)
    if mask.dtype != bool:
        raise TypeError(f"{name}: {what} must hold booleans; got {mask.dtype} (a comparison, as x > 0, makes them)")
    return mask


@op(autocast=sums, types=promoted)
def pow(ctx, a, b):
    """y = a^b,   da = dy b a^(b-1),   db = dy y ln a   (0 where y is 0 or b is 0, as its limit)

    a and b broadcast; da and db are summed over their broadcast axes. A negative a needs whole b, and has no db (NaN).
    """
    xp, (need_a, need_b) = ctx.xp, ctx.needs
    y = a**b

    def backward(dy):
        da = unbroadcast(dy * xp.where(b == 0, 0, b * a ** xp.where(b == 0, 1, b - 1)), a.shape) if need_a else None
        db = unbroadcast(dy * y * xp.log(xp.where(a == 0, 1, a)), b.shape) if need_b else None
        return da, db

    return y, backward
