"""Activations with kinks or plateaus: ELU, SELU, PReLU, ReLU6, hard tanh, hard sigmoid, hard swish."""

from ..precision import floated, floats, sums
from ..tensor import op
from .arithmetic import unbroadcast

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. 2017, equation 14


@op(autocast=sums, types=floated)
def elu(ctx, x, *, alpha=1.0):
    """y = x where x > 0, else alpha (e^x - 1);   dx = dy, else dy alpha e^x   (Clevert et al. 2015)"""
    return exponential_linear(ctx, x, alpha, 1.0)


@op(autocast=sums, types=floated)
def selu(ctx, x):
    """y = scale elu(x, alpha);   dx = scale dy, or scale dy alpha e^x where x <= 0   (Klambauer et al. 2017)

    With alpha = 1.67326... and scale = 1.05070... mean 0 and variance 1 are kept from layer to layer.
    """
    return exponential_linear(ctx, x, SELU_ALPHA, SELU_SCALE)


def exponential_linear(ctx, x, alpha, scale):
    """y = scale x where x > 0, else scale alpha (e^x - 1), and its backward."""
    xp = ctx.xp

    def curve(x):
        return scale * xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0)))

    def slope(x):
        return scale * xp.where(x > 0, 1, alpha * xp.exp(xp.minimum(x, 0)))

    def backward(dy):
        return (ctx.each(lambda x, dy: dy * slope(x), x, dy),)

    return ctx.each(curve, x), backward


@op(autocast=sums, types=floats)
def prelu(ctx, x, weight):
    """y = x where x > 0, else w x;   dx = dy, else w dy;   dw = sum of x dy where x <= 0   (He et al. 2015)

    x (..., C)   weight (1,) or (C,), one slope for each channel (last axis)   ->   y as x
    """
    if weight.ndim > 1 or weight.size not in (1, *x.shape[-1:]):
        raise ValueError(f"prelu: weight must have shape (1,) or {x.shape[-1:]}, x's channels; got {weight.shape}")
    xp, (need_x, need_w) = ctx.xp, ctx.needs

    def backward(dy):
        dx = xp.where(x > 0, dy, weight * dy) if need_x else None
        dw = unbroadcast(xp.where(x > 0, 0, x * dy), weight.shape) if need_w else None
        return dx, dw

    return xp.where(x > 0, x, weight * x), backward


@op(autocast=sums, types=floated)
def hardtanh(ctx, x, *, min_val=-1.0, max_val=1.0):
    """y = x, but at least min_val and at most max_val;   dx = dy where min_val < x < max_val, else 0"""
    if not min_val < max_val:
        raise ValueError(f"hardtanh: min_val must be below max_val; got {min_val} and {max_val}")
    return clipped(ctx, x, min_val, max_val)


@op(autocast=sums, types=floated)
def relu6(ctx, x):
    """y = min(max(x, 0), 6);   dx = dy where 0 < x < 6, else 0   (Krizhevsky 2010)"""
    return clipped(ctx, x, 0.0, 6.0)


def clipped(ctx, x, low, high):
    """min(max(x, low), high), and its backward."""

    def backward(dy):
        return (ctx.each(lambda x, dy: dy * ((x > low) & (x < high)), x, dy),)

    return ctx.each(lambda x: x.clip(low, high), x), backward


@op(autocast=sums, types=floated)
def hardsigmoid(ctx, x):
    """y = min(max(x + 3, 0), 6) / 6;   dx = dy / 6 where -3 < x < 3, else 0   (Howard et al. 2019)"""

    def backward(dy):
        return (ctx.each(lambda x, dy: dy / 6 * ((x > -3) & (x < 3)), x, dy),)

    return ctx.each(lambda x: (x + 3).clip(0, 6) / 6, x), backward


@op(autocast=sums, types=floated)
def hardswish(ctx, x):
    """y = x min(max(x + 3, 0), 6) / 6;   dx = dy where x >= 3, dy (2 x + 3) / 6 where -3 < x < 3, else 0

    (Howard et al. 2019.)
    """
    xp = ctx.xp

    def slope(x):
        return xp.where(x >= 3, 1, xp.where(x > -3, (2 * x + 3) / 6, 0))

    def backward(dy):
        return (ctx.each(lambda x, dy: dy * slope(x), x, dy),)

    return ctx.each(lambda x: x * (x + 3).clip(0, 6) / 6, x), backward
