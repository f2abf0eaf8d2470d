"""Functions that rise in steps: floor, ceil, trunc, round, sign. Their slope is 0 wherever they have one, as in torch.

To train through one, add what it changes as a constant: x + (x.round() - x).detach() (the straight-through estimator).
And what is left of a division by such a step: remainder.
"""

from ..precision import is_floating_point, promoted, sums
from ..tensor import op
from .arithmetic import unbroadcast
from .checks import is_whole


@op(autocast=sums)
def floor(ctx, x):
    """y = the largest whole number <= x,   dx = 0"""
    return stepped(ctx, ctx.xp.floor, x)


@op(autocast=sums)
def ceil(ctx, x):
    """y = the smallest whole number >= x,   dx = 0"""
    return stepped(ctx, ctx.xp.ceil, x)


@op(autocast=sums)
def trunc(ctx, x):
    """y = x without what is behind the point,   dx = 0"""
    return stepped(ctx, ctx.xp.trunc, x)


@op(autocast=sums)
def sign(ctx, x):
    """y = -1, 0 or 1 as x is below, at or above 0,   dx = 0"""
    return stepped(ctx, ctx.xp.sign, x)


@op(autocast=sums)
def round(ctx, x, *, decimals=0):
    """y = the nearest number of so many decimals, the even one of two that are as near,   dx = 0"""
    if not is_whole(decimals, -400):
        raise ValueError(f"round: decimals must be an int; got {decimals!r}")
    return stepped(ctx, lambda x: ctx.xp.round(x, decimals), x)


@op(autocast=sums, types=promoted)
def floor_divide(ctx, a, b):
    """y = floor(a / b),   da = 0,   db = 0.   ZeroDivisionError for whole numbers by 0."""
    check_divisor("floor_divide", b)
    zeros, shapes = ctx.xp.zeros, (a.shape, b.shape)

    def backward(dy):
        return tuple(zeros(shape, dy.dtype) for shape in shapes)

    return ctx.xp.floor_divide(a, b), backward


def check_divisor(name, b):
    if not is_floating_point(b.dtype) and not (b != 0).all():
        raise ZeroDivisionError(f"{name}: whole numbers can't be divided by 0")


def stepped(ctx, step, x):
    """step(x), in x's type (whole numbers are their own steps but for sign), and a backward pass that gives 0."""
    zeros = ctx.xp.zeros_like

    def backward(dy):
        return (zeros(dy),)

    y = x.copy() if x.dtype.kind == "b" else step(x).astype(x.dtype, copy=False)  # True and False are whole
    return y, backward


@op(autocast=sums, types=promoted)
def remainder(ctx, a, b):
    """y = a - b floor(a / b), with the sign of b;   da = dy,   db = -dy floor(a / b)

    a and b broadcast; da and db are summed over their broadcast axes. ZeroDivisionError for whole numbers by 0.
    """
    xp, shapes, need_b = ctx.xp, (a.shape, b.shape), ctx.needs[1]
    check_divisor("remainder", b)
    quotient = xp.floor_divide(a, b) if need_b else None

    def backward(dy):
        return unbroadcast(dy, shapes[0]), unbroadcast(-dy * quotient, shapes[1]) if need_b else None

    return xp.remainder(a, b), backward
