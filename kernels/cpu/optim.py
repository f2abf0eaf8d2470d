"""Optimizer steps, in place, each in one pass over the weights and their state."""

import numpy as np

from .. import reference
from ..recording import assign
from .rows import row, row_views
from .runtime import parallel, serial
from .tasks import share


@serial
def sgd_row(r, w, dw, width, lr, weight_decay):
    ws, dws = row(w, r, width), row(dw, r, width)
    for i in range(ws.size):
        ws[i] -= lr * (dws[i] + weight_decay * ws[i])


@parallel
def sgd_rows(w, dw, size, lr, weight_decay):
    share(sgd_row, size[0], (w, dw, size[1], lr, weight_decay))


@serial
def momentum_row(r, w, dw, v, width, factors, nesterov):
    """factors: lr, momentum, gain of the gradient, weight decay"""
    ws, dws, vs, (lr, momentum, gain, weight_decay) = row(w, r, width), row(dw, r, width), row(v, r, width), factors
    for i in range(ws.size):
        g = dws[i] + weight_decay * ws[i]
        velocity = momentum * vs[i] + gain * g
        vs[i] = velocity
        ws[i] -= lr * (g + momentum * velocity if nesterov else velocity)


@parallel
def momentum_rows(w, dw, v, size, factors, nesterov):
    share(momentum_row, size[0], (w, dw, v, size[1], factors, nesterov))


@serial
def adam_row(r, w, dw, m, v, width, factors):
    """factors: beta1, 1 - beta1, beta2, 1 - beta2, and those of the weights, of L2, of the root, of the step; eps"""
    beta1, gain1, beta2, gain2, shrink, l2, scale, lr, eps = factors
    ws, dws, ms, vs = row(w, r, width), row(dw, r, width), row(m, r, width), row(v, r, width)
    for i in range(ws.size):
        weight = ws[i] * shrink
        g = dws[i] + l2 * weight
        mean = beta1 * ms[i] + gain1 * g
        square = beta2 * vs[i] + gain2 * g * g
        ms[i], vs[i] = mean, square
        ws[i] = weight - lr * mean / (np.sqrt(square) * scale + eps)


@parallel
def adam_rows(w, dw, m, v, size, factors):
    share(adam_row, size[0], (w, dw, m, v, size[1], factors))


SMALL = 1 << 15  # elements: up to here copying an array is cheaper than a kernel call


def in_few(*columns):
    """Yields what stands for all rows (w, dw, ...) of the columns: large ones as they are, small ones as one vector.

    After a vector was used, its pieces go back to the arrays; the second column, the gradients, is only read.
    """
    rows = list(zip(*columns))
    small = [row for row in rows if row[0].size <= SMALL]
    yield from small if len(small) == 1 else ()
    yield from (row for row in rows if row[0].size > SMALL)
    if len(small) > 1:
        vectors = [np.concatenate([a.reshape(-1) for a in column]) for column in zip(*small)]
        yield tuple(vectors)
        for i, column in enumerate(zip(*small)):
            if i != 1:
                split(vectors[i], column)


def split(vector, arrays):
    """Undo a concatenation, into these arrays."""
    start = 0
    for a in arrays:
        a[...] = vector[start : start + a.size].reshape(a.shape)
        start += a.size


def writable_rows(*arrays):
    """Whether all have one type and are contiguous, so that a kernel can update them in place."""
    return all(a.flags.c_contiguous and a.dtype == arrays[0].dtype for a in arrays)


def sgd_step(ws, dws, vs, lr, momentum, dampening, weight_decay, nesterov):
    """v = momentum v + (1 - dampening) g   with g = dw + weight_decay w;   w -= lr v   (nesterov: lr (g + momentum v))

    vs is None without momentum. A first step is one with dampening 0 and v = 0.
    """
    for w, dw, *v in in_few(ws, dws) if vs is None else in_few(ws, dws, vs):
        if not writable_rows(w, dw, *v):
            reference.sgd_step([w], [dw], v or None, lr, momentum, dampening, weight_decay, nesterov)
        elif v:
            factors = tuple(w.dtype.type(factor) for factor in (lr, momentum, 1 - dampening, weight_decay))
            momentum_rows(*row_views(w, dw, *v), factors, bool(nesterov))
        else:
            sgd_rows(*row_views(w, dw), w.dtype.type(lr), w.dtype.type(weight_decay))


def adam_step(ws, dws, ms, vs, step, lr, beta1, beta2, eps, weight_decay, decoupled):
    """Adam (Kingma & Ba 2015, algorithm 1); decoupled: AdamW (Loshchilov & Hutter 2019). step counts from 1."""
    shrink, l2 = (1 - lr * weight_decay, 0) if decoupled else (1, weight_decay)
    unbias1, unbias2 = 1 - beta1**step, (1 - beta2**step) ** -0.5
    factors = beta1, 1 - beta1, beta2, 1 - beta2, shrink, l2, unbias2, lr / unbias1, eps
    for arrays in in_few(ws, dws, ms, vs):
        if writable_rows(*arrays):
            adam_rows(*row_views(*arrays), tuple(arrays[0].dtype.type(factor) for factor in factors))
        else:
            settings = lr, beta1, beta2, eps, weight_decay, decoupled
            reference.adam_step(*([a] for a in arrays), step, *settings)


def copy_all(targets, sources):
    """Write the numbers of each source into its target."""
    for target, source in zip(targets, sources):
        assign(target, source)
