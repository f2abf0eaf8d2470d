"""Gradients by central differences, in float64."""

import numpy as np
from places import host, put

from minigrad import Tensor

STEP = 1e-6


def value(run, arrays, v):
    """The scalar <run(arrays), v>, in float64."""
    return float((host(run([Tensor(put(a)) for a in arrays])) * v).sum())


def backward(run, arrays, seed=1):
    """The gradients of <y, v> for a random v, by backward(): (gradients, v)."""
    tensors = [Tensor(put(a), requires_grad=True) for a in arrays]
    y = run(tensors)
    v = np.random.default_rng(seed).standard_normal(y.shape)
    y.backward(v)
    return [host(t.grad) for t in tensors], v


def along(run, arrays, i, direction, v):
    """The derivative of <run(arrays), v> when input i moves along `direction`."""
    up, down = (value(run, [*arrays[:i], arrays[i] + s * STEP * direction, *arrays[i + 1 :]], v) for s in (1, -1))
    return (up - down) / (2 * STEP)


def elementwise(run, arrays, i, v):
    """The gradient of input i, one element at a time."""
    grad = np.zeros_like(arrays[i])
    for index in np.ndindex(grad.shape):
        unit = np.zeros_like(grad)
        unit[index] = 1
        grad[index] = along(run, arrays, i, unit, v)
    return grad
