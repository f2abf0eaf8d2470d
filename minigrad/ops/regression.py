"""Losses of the difference x - t between predictions and targets of one shape: squared, absolute, and between.

reduction   "mean" over all elements (a single number), "sum" (a single number), or "none" (one loss an element)
"""

from ..precision import floated, sums
from ..tensor import op
from .reduced import alike, reduced


@op(autocast=sums, types=floated)
def mse_loss(ctx, x, target, *, reduction="mean"):
    """loss = (x - t)^2 of each element, averaged;   dx = 2 (x - t) dy / size,   dt = -dx"""
    alike("mse_loss", x, target)
    y, scale = reduced("mse_loss", ctx.each(lambda x, target: (x - target) ** 2, x, target), reduction)

    def backward(dy):
        dx = 2 * scale * dy * (x - target)
        return dx, -dx

    return y, backward


@op(autocast=sums, types=floated)
def l1_loss(ctx, x, target, *, reduction="mean"):
    """loss = |x - t| of each element, averaged;   dx = sign(x - t) dy / size,   dt = -dx"""
    alike("l1_loss", x, target)
    xp = ctx.xp
    y, scale = reduced("l1_loss", ctx.each(lambda x, target: xp.abs(x - target), x, target), reduction)

    def backward(dy):
        dx = scale * dy * xp.sign(x - target)
        return dx, -dx

    return y, backward


@op(autocast=sums, types=floated)
def huber_loss(ctx, x, target, *, reduction="mean", delta=1.0):
    """loss = d^2 / 2 where |d| < delta, else delta (|d| - delta / 2), with d = x - t;   dx = d cut to +-delta, dt = -dx

    Averaged over the elements, and so is dx. ValueError unless delta > 0. (Huber 1964.)
    """
    alike("huber_loss", x, target)
    if not delta > 0:
        raise ValueError(f"huber_loss: delta must be above 0; got {delta}")
    return quadratic_then_linear(ctx, "huber_loss", x, target, reduction, delta, 1.0)


@op(autocast=sums, types=floated)
def smooth_l1_loss(ctx, x, target, *, reduction="mean", beta=1.0):
    """loss = d^2 / (2 beta) where |d| < beta, else |d| - beta / 2, with d = x - t;   dx = d / beta cut to +-1, dt = -dx

    Averaged over the elements, and so is dx. beta 0 is l1_loss. ValueError for beta < 0. (Girshick 2015.)
    """
    alike("smooth_l1_loss", x, target)
    if not beta >= 0:
        raise ValueError(f"smooth_l1_loss: beta must be at least 0; got {beta}")
    if beta == 0:
        return l1_loss.__wrapped__(ctx, x, target, reduction=reduction)
    return quadratic_then_linear(ctx, "smooth_l1_loss", x, target, reduction, beta, 1 / beta)


def quadratic_then_linear(ctx, name, x, target, reduction, bound, slope):
    """slope times Huber's loss that turns linear at `bound`, and its backward."""
    size = ctx.xp.abs(x - target)
    inner = size.clip(0, bound)
    y, scale = reduced(name, slope * inner * (size - 0.5 * inner), reduction)

    def backward(dy):
        dx = scale * slope * dy * (x - target).clip(-bound, bound)
        return dx, -dx

    return y, backward
