"""Smooth activations, one function of each element: GELU, SiLU (swish), softplus, Mish, the logarithm of sigmoid."""

import math

from ..precision import floated, sums
from ..tensor import op


def logistic(xp, x):
    """1 / (1 + e^-x) without overflow."""
    return 0.5 * (xp.tanh(0.5 * x) + 1)


def softplus_of(xp, x):
    """ln(1 + e^x) without overflow."""
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))


@op(autocast=sums, types=floated)
def gelu(ctx, x, *, approximate="none"):
    """y = x F(x),   dx = dy (F(x) + x F'(x))   with F the normal distribution's cumulative function, F' its density

    approximate="tanh": F(x) = (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3), and
    F' = (1 - tanh^2 u) u' / 2. ValueError for another value. (Hendrycks & Gimpel 2016.)
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh'; got {approximate!r}")
    xp, k, exact = ctx.xp, ctx.kernels, approximate == "none"
    c = math.sqrt(2 / math.pi)

    def cdf(x):
        return k.normal_cdf(x) if exact else 0.5 * (1 + xp.tanh(c * (x + 0.044715 * x * x * x)))

    def slope(x):
        y = cdf(x)
        if exact:
            density = xp.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
        else:
            density = 2 * c * y * (1 - y) * (1 + 3 * 0.044715 * x * x)
        return y + x * density

    def backward(dy):
        return (ctx.each(lambda x, dy: dy * slope(x), x, dy),)

    return ctx.each(lambda x: x * cdf(x), x), backward


@op(autocast=sums, types=floated)
def silu(ctx, x):
    """y = x s,   dx = dy s (1 + x (1 - s))   with s = 1 / (1 + e^-x)   (Hendrycks & Gimpel 2016; swish)"""
    xp = ctx.xp

    def slope(x):
        s = logistic(xp, x)
        return s * (1 + x * (1 - s))

    def backward(dy):
        return (ctx.each(lambda x, dy: dy * slope(x), x, dy),)

    return ctx.each(lambda x: x * logistic(xp, x), x), backward


@op(autocast=sums, types=floated)
def softplus(ctx, x, *, beta=1.0, threshold=20.0):
    """y = ln(1 + e^(beta x)) / beta, or x where beta x > threshold;   dx = dy / (1 + e^(-beta x)), or dy there"""
    xp = ctx.xp

    def curve(x):
        return xp.where(beta * x > threshold, x, softplus_of(xp, beta * x) / beta)

    def backward(dy):
        return (ctx.each(lambda x, dy: xp.where(beta * x > threshold, dy, dy * logistic(xp, beta * x)), x, dy),)

    return ctx.each(curve, x), backward


@op(autocast=sums, types=floated)
def logsigmoid(ctx, x):
    """y = -ln(1 + e^-x),   dx = dy / (1 + e^x)"""
    xp = ctx.xp

    def backward(dy):
        return (ctx.each(lambda x, dy: dy * logistic(xp, -x), x, dy),)

    return ctx.each(lambda x: -softplus_of(xp, -x), x), backward


@op(autocast=sums, types=floated)
def mish(ctx, x):
    """y = x t,   dx = dy (t + x (1 - t^2) / (1 + e^-x))   with t = tanh ln(1 + e^x)   (Misra 2019)"""
    xp = ctx.xp

    def slope(x):
        t = xp.tanh(softplus_of(xp, x))
        return t + x * (1 - t * t) * logistic(xp, x)

    def backward(dy):
        return (ctx.each(lambda x, dy: dy * slope(x), x, dy),)

    return ctx.each(lambda x: x * xp.tanh(softplus_of(xp, x)), x), backward
