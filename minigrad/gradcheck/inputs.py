"""How the inputs of a case are drawn: make(rng, shape, dtype) -> array."""

import math

import numpy as np


def normal(rng, shape, dtype):
    """Standard normal numbers."""
    return rng.standard_normal(shape).astype(dtype)


def positive(rng, shape, dtype):
    """From 0.5 to 1.5, where a logarithm or a quotient is tame."""
    return (0.5 + rng.random(shape)).astype(dtype)


def distinct(rng, shape, dtype):
    """No two elements closer than 0.01: no ties, so that a maximum has a gradient."""
    return (0.01 * rng.permutation(math.prod(shape)).reshape(shape) - 0.3).astype(dtype)


def off_zero(rng, shape, dtype):
    """At least 0.1 away from 0, where a ReLU has its kink."""
    x = rng.standard_normal(shape)
    return (x + np.where(x > 0, 0.1, -0.1)).astype(dtype)


def zeros(rng, shape, dtype):
    """For what must hold at 0, too."""
    return np.zeros(shape, dtype)
