"""Losses of probabilities: of one class or the other, of one class among several, of distributions."""

from kernels.reference.arrays import exact_sum

from ..precision import floated, sums
from ..tensor import op
from .checks import fits
from .loss import check_classes, logits
from .reduced import alike, checked_reduction, constant, reduced
from .smooth import logistic, softplus_of


def weighted(ctx, name, x, weight):
    """A weight for each element as an array that broadcasts to x's shape; 1 for None."""
    weight = constant(ctx, name, "weight", weight, x.dtype)
    if weight is None:
        return 1
    if not fits(weight.shape, x.shape):
        raise ValueError(f"{name}: weight must broadcast to x's shape {x.shape}; got {weight.shape}")
    return weight


@op(autocast=sums, types=floated)
def binary_cross_entropy(ctx, x, target, *, weight=None, reduction="mean"):
    """loss = -w (t ln x + (1 - t) ln(1 - x)) of each probability x, averaged;   dx = w (x - t) / (x (1 - x))

        x (...)   target (...) from 0 to 1   weight: broadcasts to x   ->   a single number ("none": as x)

    dt = w (ln(1 - x) - ln x). Logarithms are cut at -100 and x (1 - x) at 1e-12, as in torch. ValueError for
    probabilities outside [0, 1]. From logits, binary_cross_entropy_with_logits is exact at both ends.
    """
    name, xp = "binary_cross_entropy", ctx.xp
    alike(name, x, target)
    if not ctx.device.capturing() and not bool(((x >= 0) & (x <= 1)).all()):
        raise ValueError(f"{name}: x must hold probabilities from 0 to 1; found {float(x.min())} to {float(x.max())}")
    weight = weighted(ctx, name, x, weight)

    def cut_log(p):
        return xp.log(xp.maximum(p, 1e-44)).clip(-100, None)  # no warning at 0

    y, scale = reduced(name, -weight * (target * cut_log(x) + (1 - target) * cut_log(1 - x)), reduction)

    def backward(dy):
        dy = scale * dy * weight
        return dy * (x - target) / xp.maximum(x * (1 - x), 1e-12), dy * (cut_log(1 - x) - cut_log(x))

    return y, backward


@op(autocast=sums, types=floated)
def binary_cross_entropy_with_logits(ctx, x, target, *, weight=None, reduction="mean", pos_weight=None):
    """binary_cross_entropy of 1 / (1 + e^-x), exact for logits of any size

    x (...)   target (...) from 0 to 1   weight: broadcasts to x; pos_weight p: what the positive class counts
    ->   a single number ("none": as x)

    loss = w ((1 - t) x + (1 + (p - 1) t) ln(1 + e^-x)), averaged
    dx   = w ((1 - t) - (1 + (p - 1) t) / (1 + e^x)),   dt = w (-x + (p - 1) ln(1 + e^-x))
    """
    name, xp = "binary_cross_entropy_with_logits", ctx.xp
    alike(name, x, target)
    weight, more = weighted(ctx, name, x, weight), weighted(ctx, name, x, pos_weight) - 1
    loss = weight * ((1 - target) * x + (1 + more * target) * softplus_of(xp, -x))
    y, scale = reduced(name, loss, reduction)

    def backward(dy):
        dy = scale * dy * weight
        dx = dy * (1 - target - (1 + more * target) * logistic(xp, -x))
        return dx, dy * (more * softplus_of(xp, -x) - x)

    return y, backward


@op(autocast=sums, types=logits)
def nll_loss(ctx, x, target, *, weight=None, ignore_index=-100, reduction="mean"):
    """loss = -w[t] x[t] for log-probabilities x and class t, averaged;   dx = -w[t] dy / total at t, else 0

        x (..., K)   target (...) integer classes   weight (K,)   ->   a single number ("none": as target)

    The mean divides by the total weight of the targets that are not ignore_index, as in torch. ValueError for shapes
    that don't fit, or classes outside [0, K).
    """
    xp, shape = ctx.xp, x.shape
    if not x.ndim or target.shape != shape[:-1]:
        raise ValueError(f"nll_loss: x (..., K) needs a target of shape {shape[:-1]}; got {target.shape}")
    checked_reduction("nll_loss", reduction)
    target, rows = target.reshape(-1), xp.arange(target.size)
    if not ctx.device.capturing():
        check_classes(target, shape[-1], ignore_index, "nll_loss")
    weight = constant(ctx, "nll_loss", "weight", weight, x.dtype)
    weight = xp.ones(shape[-1:], x.dtype) if weight is None else weight
    if weight.shape != shape[-1:]:
        raise ValueError(f"nll_loss: weight must have shape {shape[-1:]}, one a class; got {weight.shape}")
    counted = target != ignore_index
    target = xp.where(counted, target, 0)
    weight = weight[target] * counted
    scale = 1 / exact_sum(weight, (0,)) if reduction == "mean" else x.dtype.type(1)
    loss = -scale * weight * x.reshape(-1, shape[-1])[rows, target]

    def backward(dy):
        dx = xp.zeros((rows.size, shape[-1]), dy.dtype)
        dx[rows, target] = xp.where(counted, -scale * weight * dy.reshape(-1), 0)
        return dx.reshape(shape), None

    return loss.reshape(shape[:-1]) if reduction == "none" else exact_sum(loss, (0,)), backward


@op(autocast=sums, types=floated)
def kl_div(ctx, x, target, *, reduction="mean", log_target=False):
    """loss = t (ln t - x) of log-probabilities x and probabilities t (0 where t = 0);   dx = -t,   dt = ln t + 1 - x

    log_target: target is ln t, and dt = t (ln t + 1 - x). reduction "batchmean" divides the sum by the length of the
    first axis, which is the divergence of Kullback and Leibler (1951) of a batch of rows; "mean" divides by all.
    """
    alike("kl_div", x, target)
    checked_reduction("kl_div", reduction, ("mean", "batchmean", "sum", "none"))
    xp = ctx.xp

    def parts(target):
        """t and ln t, 0 where t is 0."""
        return (xp.exp(target), target) if log_target else (target, xp.log(xp.where(target > 0, target, 1)))

    t, log_t = parts(target)
    y, scale = reduced("kl_div", t * (log_t - x), "sum" if reduction == "batchmean" else reduction)
    if reduction == "batchmean":
        y, scale = y / x.shape[0], 1 / x.shape[0]

    def backward(dy):
        t, log_t = parts(target)
        dt = log_t + 1 - x
        return -scale * dy * t, scale * dy * (t * dt if log_target else dt)

    return y, backward
