"""Nets of any size in milliseconds: their weights take no memory and are not drawn."""

import numpy as np

from architectures import registry
from kernels.virtual import virtual
from minigrad.nn import Parameter
from minigrad.nn.layers import conv, linear


def weightless_parameter(shape):
    p = Parameter(np.zeros(1, np.float32))
    p.data = virtual(shape, np.float32)
    return p


def weightless(monkeypatch):
    """Until the test ends, nets have weights that take no memory and are not drawn."""
    for layer in (conv, linear):
        monkeypatch.setattr(layer, "small_uniform", lambda shape, fan_in, rng: weightless_parameter(shape))
    monkeypatch.setattr(registry, "initialise", lambda net, *recipe: net)
