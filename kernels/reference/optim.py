"""Optimizer steps in place, for lists of arrays: weights w and their state are written, gradients dw are not."""

from .arrays import array_module


def sgd_step(ws, dws, vs, lr, momentum, dampening, weight_decay, nesterov):
    """v = momentum v + (1 - dampening) g   with g = dw + weight_decay w;   w -= lr v   (nesterov: lr (g + momentum v))

    vs is None without momentum. A first step is one with dampening 0 and v = 0.
    """
    for w, dw, v in zip(ws, dws, vs or [None] * len(ws)):
        g = dw + weight_decay * w if weight_decay else dw
        if v is not None:
            v *= momentum
            v += (1 - dampening) * g
            g = g + momentum * v if nesterov else v
        w -= lr * g


def adam_step(ws, dws, ms, vs, step, lr, beta1, beta2, eps, weight_decay, decoupled):
    """Adam (Kingma & Ba 2015, algorithm 1); decoupled: AdamW (Loshchilov & Hutter 2019). step counts from 1."""
    for w, dw, m, v in zip(ws, dws, ms, vs):
        if weight_decay and decoupled:
            w *= 1 - lr * weight_decay
        g = dw + weight_decay * w if weight_decay and not decoupled else dw
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        v += (1 - beta2) * g * g
        denominator = array_module(w).sqrt(v) / (1 - beta2**step) ** 0.5 + eps
        w -= (lr / (1 - beta1**step)) * m / denominator


def cast_all(arrays, dtype):
    """Copies of the arrays in another type."""
    return [a.astype(dtype) for a in arrays]


def copy_all(targets, sources):
    """Write the numbers of each source into its target."""
    for target, source in zip(targets, sources):
        target[...] = source


def scale_all(arrays, factor):
    """Multiply each array by a number, in place. Are all numbers finite then? (An array without axes.)"""
    xp = array_module(arrays[0])
    for a in arrays:
        a *= factor
    return xp.stack([xp.isfinite(a).all() for a in arrays]).all()


def squared_norm(arrays):
    """The sum of the squares of all numbers, in float64, array after array. (An array without axes.)"""
    flat = [a.reshape(-1) for a in arrays]
    return sum(array_module(a).einsum("i,i->", a, a, dtype="float64") for a in flat)
