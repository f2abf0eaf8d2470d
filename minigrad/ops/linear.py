"""The fully-connected layer."""

from ..precision import floats, products
from ..tensor import op


def checked(name, x, w, b):
    if x.ndim < 1 or w.ndim != 2 or x.shape[-1] != w.shape[1]:
        raise ValueError(
            f"{name}: x has last axis {x.shape[-1:]} but w expects {w.shape[1:]}; x {x.shape}, w {w.shape}"
        )
    if b is not None and b.shape != w.shape[:1]:
        raise ValueError(f"{name}: b must have shape {w.shape[:1]}, one for each output; got {b.shape}")


@op(autocast=products, types=floats, kernels_only=True)
def linear(ctx, x, w, b=None):
    """y = x w^T + b   x (..., C)   w (K, C)   b (K,)   ->   y (..., K);   dx = dy w,   dw = dy^T x,   db = sum dy"""
    checked("linear", x, w, b)
    return apply(ctx, x, w, b, relu=False)


def apply(ctx, x, w, b, relu):
    """linear's forward and backward, with max(y, 0) at the end if relu."""
    k = ctx.kernels
    need_x, need_w, need_b = ctx.needs
    y = k.linear_forward(x, w, b, relu)
    mask, x, w = (y if relu else None), (x if need_w else None), (w if need_x else None)

    def backward(dy):
        dy = dy if mask is None else k.relu_backward(dy, mask)
        dx = k.linear_backward_input(dy, w) if need_x else None
        dw = k.linear_backward_weight(dy, x) if need_w else None
        db = k.channel_sum(dy) if need_b else None
        return dx, dw, db

    return y, backward
