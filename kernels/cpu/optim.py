"""Optimizer steps, in place, each in one pass over the weights and their state."""

import numpy as np
from numba import prange

from .. import reference
from .rows import row_views
from .runtime import parallel


@parallel
def sgd_rows(w, w_step, dw, dw_step, rows, width, lr, weight_decay):
    for r in prange(rows):
        ws, dws = w[r * w_step : r * w_step + width], dw[r * dw_step : r * dw_step + width]
        for i in range(ws.size):
            ws[i] -= lr * (dws[i] + weight_decay * ws[i])


@parallel
def momentum_rows(w, w_step, dw, dw_step, v, v_step, rows, width, lr, momentum, gain, weight_decay, nesterov):
    for r in prange(rows):
        ws, dws = w[r * w_step : r * w_step + width], dw[r * dw_step : r * dw_step + width]
        vs = v[r * v_step : r * v_step + width]
        for i in range(ws.size):
            g = dws[i] + weight_decay * ws[i]
            velocity = momentum * vs[i] + gain * g
            vs[i] = velocity
            ws[i] -= lr * (g + momentum * velocity if nesterov else velocity)


@parallel
def adam_rows(
    w, w_step, dw, dw_step, m, m_step, v, v_step, rows, width, beta1, gain1, beta2, gain2, shrink, l2, scale, lr, eps
):
    for r in prange(rows):
        ws, dws = w[r * w_step : r * w_step + width], dw[r * dw_step : r * dw_step + width]
        ms, vs = m[r * m_step : r * m_step + width], v[r * v_step : r * v_step + width]
        for i in range(ws.size):
            weight = ws[i] * shrink
            g = dws[i] + l2 * weight
            mean = beta1 * ms[i] + gain1 * g
            square = beta2 * vs[i] + gain2 * g * g
            ms[i], vs[i] = mean, square
            ws[i] = weight - lr * mean / (np.sqrt(square) * scale + eps)


def writable_rows(*arrays):
    """Whether all have one type and are contiguous, so that a kernel can update them in place."""
    return all(a.flags.c_contiguous and a.dtype == arrays[0].dtype for a in arrays)


def sgd_step(w, dw, v, lr, momentum, dampening, weight_decay, nesterov):
    """v = momentum v + (1 - dampening) g   with g = dw + weight_decay w;   w -= lr v   (nesterov: lr (g + momentum v))

    v is None without momentum. A first step is one with dampening 0 and v = 0.
    """
    number = w.dtype.type
    if not writable_rows(w, dw, w if v is None else v):
        reference.sgd_step(w, dw, v, lr, momentum, dampening, weight_decay, nesterov)
    elif v is None:
        sgd_rows(*row_views(w, dw), number(lr), number(weight_decay))
    else:
        factors = [number(factor) for factor in (lr, momentum, 1 - dampening, weight_decay)]
        momentum_rows(*row_views(w, dw, v), *factors, bool(nesterov))


def adam_step(w, dw, m, v, step, lr, beta1, beta2, eps, weight_decay, decoupled):
    """Adam (Kingma & Ba 2015, algorithm 1); decoupled: AdamW (Loshchilov & Hutter 2019). step counts from 1."""
    if not writable_rows(w, dw, m, v):
        reference.adam_step(w, dw, m, v, step, lr, beta1, beta2, eps, weight_decay, decoupled)
        return
    shrink, l2 = (1 - lr * weight_decay, 0) if decoupled else (1, weight_decay)
    unbias1, unbias2 = 1 - beta1**step, (1 - beta2**step) ** -0.5
    factors = beta1, 1 - beta1, beta2, 1 - beta2, shrink, l2, unbias2, lr / unbias1, eps
    adam_rows(*row_views(w, dw, m, v), *(w.dtype.type(factor) for factor in factors))
