"""Softmax cross-entropy, the loss of every classifier here."""

import numpy as np

from ..precision import as_given, floats, sums
from ..tensor import op
from .reduced import constant

REDUCTIONS = ("mean", "sum", "none")


def logits(name, names, inputs, convert):
    """Floating-point x; a target of whole numbers or of x's type."""
    floats(name, names, inputs[:1], convert)
    return as_given(name, names, inputs, convert)


def target_weights(xp, x, target, weight, ignore_index, smoothing):
    """q (M, K), what each log-probability counts, and the total weight of the rows (the mean's divisor).

    For class c of row i: q = weight[c] ((1 - smoothing) [c is the target] + smoothing / K); 0 in ignored rows.
    """
    m, classes = x.shape
    weight = xp.ones(classes, x.dtype) if weight is None else xp.asarray(weight, x.dtype)
    if target.ndim == 2:  # a distribution over classes for each row
        return ((1 - smoothing) * target.astype(x.dtype) + smoothing / classes) * weight, x.dtype.type(m)
    counted = target != ignore_index
    safe = target.astype(np.int64, copy=False).clip(0, classes - 1)
    q = xp.full((m, classes), smoothing / classes, x.dtype) * weight
    q[xp.arange(m), safe] += (1 - smoothing) * weight[safe]
    return q * counted[:, None], (weight[safe] * counted).sum()


def outside_classes(target, classes, ignore_index=-100):
    """Which of the targets (M,) are no class."""
    return (target != ignore_index) & ((target < 0) | (target >= classes))


def check_classes(target, classes, ignore_index=-100, name="cross_entropy"):
    """Refuse classes outside [0, classes). The host waits for the answer, so this is left out of CUDA graphs."""
    if target.ndim == 1:
        outside = outside_classes(target, classes, ignore_index)
        if target.dtype.kind not in "iu" or outside.any():
            bad = target[outside][0].item() if outside.any() else target.dtype
            raise ValueError(f"{name}: target must hold classes from 0 to {classes - 1}; found {bad}")


def checked(x, target, weight, ignore_index, smoothing, reduction):
    if not x.ndim or target.shape not in (x.shape[:-1], x.shape):
        raise ValueError(
            f"cross_entropy: x must be (M, K) logits and target (M,) classes or (M, K) probabilities, or (N, H, W, K) "
            f"with (N, H, W) or (N, H, W, K); got x {x.shape}, target {target.shape}"
        )
    if weight is not None and weight.shape != x.shape[-1:]:
        raise ValueError(f"cross_entropy: weight must have shape {x.shape[-1:]}, one a class; got {weight.shape}")
    if not 0 <= smoothing < 1:
        raise ValueError(f"cross_entropy: label_smoothing must be in [0, 1); got {smoothing}")
    if reduction not in REDUCTIONS:
        raise ValueError(f"cross_entropy: reduction must be one of {REDUCTIONS}; got {reduction!r}")


@op(autocast=sums, types=logits)
def cross_entropy(ctx, x, target, *, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean"):
    """loss = -log softmax(x)[target] for each row, averaged;   dx = (softmax(x) - onehot(target)) / M

        x (M, K) logits   target (M,) integer classes, or (M, K) probabilities   ->   a single number ("none": (M,))
        x (N, H, W, K), target (N, H, W) or (N, H, W, K): one row for each pixel (any leading axes)

    weight (K,): what each class counts; label_smoothing: the share of the target that is spread over all classes;
    rows whose target is ignore_index count nothing. The mean divides by the rows' total weight, as in torch.
    ValueError for shapes that don't fit, or classes outside [0, K).
    """
    k, xp = ctx.kernels, ctx.xp
    weight = constant(ctx, "cross_entropy", "weight", weight, x.dtype)
    checked(x, target, weight, ignore_index, label_smoothing, reduction)
    if ctx.needs[1]:
        raise ValueError("cross_entropy: target is a constant and gets no gradient; pass target.detach()")
    shape, rows_shape = x.shape, x.shape[:-1]
    x, target = x.reshape(-1, shape[-1]), target.reshape((-1, shape[-1]) if target.ndim == x.ndim else -1)
    if not ctx.device.capturing():
        check_classes(target, shape[-1], ignore_index)
    q, total = target_weights(xp, x, target, weight, ignore_index, label_smoothing)
    loss, p = k.cross_entropy_forward(x, q)
    scale, counted = x.dtype.type(1), reduction != "mean" or total != 0
    if reduction == "mean":  # of no rows it is NaN, and the gradient 0, as in torch
        scale = xp.where(counted, 1 / xp.where(counted, total, 1), 0).astype(x.dtype)

    def backward(dy):
        dloss = xp.broadcast_to((dy * scale).reshape(-1), p.shape[:1])
        return k.cross_entropy_backward(dloss, p, q).reshape(shape), None

    if reduction == "none":
        return loss.reshape(rows_shape), backward
    return xp.where(counted, loss.sum() * scale, xp.nan).astype(x.dtype), backward
