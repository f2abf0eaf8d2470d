"""Functions of each element that keep digits where the long way loses them, and powers of -1 and -1/2."""

import math

from ..precision import floated, sums
from ..tensor import op


@op(autocast=sums, types=floated)
def log1p(ctx, x):
    """y = ln(1 + x), exact for small x, too;   dx = dy / (1 + x)"""

    def backward(dy):
        return (dy / (1 + x),)

    return ctx.xp.log1p(x), backward


@op(autocast=sums, types=floated)
def expm1(ctx, x):
    """y = e^x - 1, exact for small x, too;   dx = dy (y + 1)"""
    y = ctx.xp.expm1(x)

    def backward(dy):
        return (dy * (y + 1),)

    return y, backward


@op(autocast=sums, types=floated)
def log2(ctx, x):
    """y = log2 x,   dx = dy / (x ln 2)"""

    def backward(dy):
        return (dy / (x * math.log(2)),)

    return ctx.xp.log2(x), backward


@op(autocast=sums, types=floated)
def log10(ctx, x):
    """y = log10 x,   dx = dy / (x ln 10)"""

    def backward(dy):
        return (dy / (x * math.log(10)),)

    return ctx.xp.log10(x), backward


@op(autocast=sums, types=floated)
def reciprocal(ctx, x):
    """y = 1 / x,   dx = -dy y^2"""
    y = 1 / x

    def backward(dy):
        return (-dy * y * y,)

    return y, backward


@op(autocast=sums, types=floated)
def rsqrt(ctx, x):
    """y = 1 / sqrt(x),   dx = -dy y^3 / 2"""
    y = 1 / ctx.xp.sqrt(x)

    def backward(dy):
        return (dy * (-0.5 * y**3),)

    return y, backward
