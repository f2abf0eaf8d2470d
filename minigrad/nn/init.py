"""Initial weights under torch's names: each fills a tensor in place and returns it.

    init.kaiming_normal_(w, nonlinearity="relu")
    init.normal_(w, 0, 0.02, generator=rng)         or, the same, init.normal_(w, rng, 0, 0.02)

generator (also `rng`, or second in place): the numpy Generator that draws the numbers; None: minigrad.manual_seed's.
The fans of a weight count what one output sums over (fan_in) and what one input feeds (fan_out):
linear (K, C): C and K; convolution (K, R, S, C/groups): R S C/groups and R S K.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kernels.virtual import VirtualKernels, virtual

from .. import random
from ..device import CPU
from .module import Parameter

GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}


def calculate_gain(nonlinearity, param=0.01):
    """How much an activation shrinks its input, as the factor that makes up for it. param: leaky_relu's slope."""
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + param**2))
    if nonlinearity not in GAINS:
        known = ", ".join((*GAINS, "leaky_relu"))
        raise ValueError(f"init: nonlinearity must be one of {known}; got {nonlinearity!r}")
    return GAINS[nonlinearity]


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


def number_source(name, rng=None):
    """The Generator itself, or the one that manual_seed seeds for None. TypeError for anything else."""
    if rng is not None and not isinstance(rng, np.random.Generator):
        wanted = "a numpy Generator (np.random.default_rng(seed))"
        raise TypeError(f"{name}: rng must be {wanted} or None; got {type(rng).__name__} {rng!r}")
    return random.generator() if rng is None else rng


def drawing(fill: Callable[..., Any]) -> Callable[..., Any]:
    """fill(t, *settings, rng) under all the ways to name the generator: fill(t, rng, ...), rng=, generator=."""

    @functools.wraps(fill)
    def call(t, *settings, rng=None, generator=None, **named):
        if settings and isinstance(settings[0], np.random.Generator):
            rng, *settings = settings
        return fill(t, *settings, rng=number_source(fill.__name__, generator if rng is None else rng), **named)

    return call


def _fill(t, values):
    t.data[...] = t.device.asarray(values)
    t.version[0] += 1
    return t


def _drawn(t, draw):
    """draw(shape, dtype) in a type that a Generator draws in, as t's own type."""
    wide = t.dtype if t.dtype.itemsize >= 4 else np.dtype(np.float32)
    return draw(t.shape, wide), wide.type


def constant_(t, val):
    """Every element = val."""
    return _fill(t, np.full(t.shape, val, t.dtype))


def zeros_(t):
    """Every element = 0."""
    return constant_(t, 0)


def ones_(t):
    """Every element = 1."""
    return constant_(t, 1)


@drawing
def normal_(t, mean=0.0, std=1.0, *, rng):
    """Normal with this mean and standard deviation. ValueError for a negative std."""
    if not std >= 0:
        raise ValueError(f"normal_: std must be >= 0; got {std}")
    numbers, kind = _drawn(t, rng.standard_normal)
    return _fill(t, numbers * kind(std) + kind(mean))


@drawing
def uniform_(t, a=0.0, b=1.0, *, rng):
    """Uniform in [a, b). ValueError for a > b."""
    if not a <= b:
        raise ValueError(f"uniform_: a must not be larger than b; got a {a}, b {b}")
    numbers, kind = _drawn(t, rng.random)
    return _fill(t, numbers * kind(b - a) + kind(a))


@drawing
def trunc_normal_(t, mean=0.0, std=1.0, a=-2.0, b=2.0, *, rng):
    """Normal with this mean and standard deviation, drawn anew wherever it falls outside [a, b].

    ValueError for std <= 0, and for bounds that leave less than a thousandth of the numbers.
    """
    if not std > 0 or not _share(mean, std, a, b) > 1e-3:
        raise ValueError(f"trunc_normal_: std must be > 0 and [a, b] likely; got mean {mean}, std {std}, a {a}, b {b}")
    numbers = rng.normal(mean, std, t.shape)
    while (outside := (numbers < a) | (numbers > b)).any():
        numbers = np.where(outside, rng.normal(mean, std, t.shape), numbers)
    return _fill(t, numbers.astype(t.dtype))


def _share(mean, std, a, b):
    """The share of a normal distribution that lies in [a, b]."""
    return (math.erf((b - mean) / std / math.sqrt(2)) - math.erf((a - mean) / std / math.sqrt(2))) / 2


@drawing
def kaiming_normal_(t, a=0.0, mode="fan_in", nonlinearity="leaky_relu", *, rng):
    """Normal, std = gain / sqrt(fan): keeps the variance through ReLUs (He et al. 2015, equation 10).

    a: the slope of a leaky ReLU on its negative side; 0 is a ReLU.
    """
    return normal_(t, rng, std=calculate_gain(nonlinearity, a) / math.sqrt(_fan(t.shape, mode)))


@drawing
def kaiming_uniform_(t, a=0.0, mode="fan_in", nonlinearity="leaky_relu", *, rng):
    """Uniform of the same variance as kaiming_normal_: bound = gain sqrt(3 / fan)."""
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3 / _fan(t.shape, mode))
    return uniform_(t, rng, -bound, bound)


@drawing
def xavier_normal_(t, gain=1.0, *, rng):
    """Normal, std = gain sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio 2010, equation 12)."""
    return normal_(t, rng, std=gain * math.sqrt(2 / sum(fans(t.shape))))


@drawing
def xavier_uniform_(t, gain=1.0, *, rng):
    """Uniform, bound = gain sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, equation 16)."""
    bound = gain * math.sqrt(6 / sum(fans(t.shape)))
    return uniform_(t, rng, -bound, bound)


def small_uniform(shape, fan_in, rng=None):
    """A new Parameter with torch's default for weights and biases: uniform within +-1 / sqrt(fan_in).

    Where kernels are in use that know shapes only, it takes no memory and nothing is drawn.
    """
    if isinstance(CPU.kernels, VirtualKernels):
        p = Parameter(np.zeros(1, np.float32))
        p.data = virtual(shape, np.float32)
        return p
    bound = 1 / math.sqrt(max(fan_in, 1))
    return uniform_(Parameter(np.empty(shape, np.float32)), -bound, bound, rng=rng)
