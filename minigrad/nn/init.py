"""Initial weights: He, Glorot and the rest. Each fills a tensor in place with numbers from a numpy Generator.

The fans of a weight count what one output sums over (fan_in) and what one input feeds (fan_out):
linear (K, C): C and K; convolution (K, R, S, C/groups): R S C/groups and R S K.
"""

import math

import numpy as np

GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2)}


def fans(shape):
    """(fan_in, fan_out) of a weight of this shape."""
    if len(shape) < 2:
        raise ValueError(f"init: fans need a weight of at least 2 axes; got shape {shape}")
    field = math.prod(shape[1:-1])
    return field * shape[-1], field * shape[0]


def _fan(shape, mode):
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"init: mode must be 'fan_in' or 'fan_out'; got {mode!r}")
    return fans(shape)[mode == "fan_out"]


def _gain(nonlinearity):
    if nonlinearity not in GAINS:
        raise ValueError(f"init: nonlinearity must be one of {', '.join(GAINS)}; got {nonlinearity!r}")
    return GAINS[nonlinearity]


def constant_(t, value):
    """Every element = value."""
    return _fill(t, np.full(t.shape, value, t.dtype))


def _fill(t, values):
    t.data[...] = t.device.asarray(values)
    t.version[0] += 1
    return t


def normal_(t, rng, mean=0.0, std=1.0):
    """Normal with this mean and standard deviation."""
    return _fill(t, rng.standard_normal(t.shape, t.dtype) * t.dtype.type(std) + t.dtype.type(mean))


def uniform_(t, rng, low=0.0, high=1.0):
    """Uniform in [low, high)."""
    return _fill(t, rng.random(t.shape, t.dtype) * t.dtype.type(high - low) + t.dtype.type(low))


def kaiming_normal_(t, rng, mode="fan_in", nonlinearity="relu"):
    """Normal, std = gain / sqrt(fan): keeps the variance through ReLUs (He et al. 2015, equation 10)."""
    return normal_(t, rng, std=_gain(nonlinearity) / math.sqrt(_fan(t.shape, mode)))


def kaiming_uniform_(t, rng, mode="fan_in", nonlinearity="relu"):
    """Uniform of the same variance: bound = gain sqrt(3 / fan)."""
    bound = _gain(nonlinearity) * math.sqrt(3 / _fan(t.shape, mode))
    return uniform_(t, rng, -bound, bound)


def xavier_normal_(t, rng, gain=1.0):
    """Normal, std = gain sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio 2010, equation 12)."""
    return normal_(t, rng, std=gain * math.sqrt(2 / sum(fans(t.shape))))


def xavier_uniform_(t, rng, gain=1.0):
    """Uniform, bound = gain sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, equation 16)."""
    bound = gain * math.sqrt(6 / sum(fans(t.shape)))
    return uniform_(t, rng, -bound, bound)
