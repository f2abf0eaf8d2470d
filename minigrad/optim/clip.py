"""Gradient clipping: bounds on what one step may do."""

import math

import numpy as np


def clip_grad_norm_(params, max_norm):
    """Scale all gradients, in place, so that together their Euclidean norm is at most max_norm (Pascanu et al. 2013).

    Returns the norm before. It is summed in float64, parameter after parameter; a norm that is not finite makes the
    gradients so. ValueError for a negative max_norm.
    """
    if max_norm < 0:
        raise ValueError(f"clip_grad_norm_: max_norm must be >= 0; got {max_norm}")
    params = [p for p in params if p.grad is not None]
    norm = math.sqrt(float(sum(_squares(p) for p in params)))  # the host waits once
    scale = max_norm / (norm + 1e-6)
    if not scale >= 1:  # also where it is NaN
        for p in params:
            p.grad *= scale
    return norm


def _squares(p):
    flat = p.grad.reshape(-1)
    return p.device.xp.einsum("i,i->", flat, flat, dtype=np.float64)


def clip_grad_value_(params, clip_value):
    """Bring every element of all gradients, in place, into [-clip_value, clip_value]. ValueError for a negative one."""
    if clip_value < 0:
        raise ValueError(f"clip_grad_value_: clip_value must be >= 0; got {clip_value}")
    for p in params:
        if p.grad is not None:
            p.device.xp.clip(p.grad, -clip_value, clip_value, out=p.grad)
