"""Initial weights of a whole net: a rule for each kind of layer, and a generator of its own for each parameter."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from . import init
from .layers import Conv2d, Linear, reseed
from .module import Module


class Recipe(NamedTuple):
    """Initial weights: what fills a convolution's and a fully-connected layer's weight, and the biases.

    conv, linear  fill(parameter, rng), from minigrad.nn.init
    biases        {layer name: value}; a bias not listed is 0
    """

    conv: Callable
    linear: Callable
    biases: Mapping[str, float] = MappingProxyType({})


he_in = init.kaiming_normal_
he_out = partial(init.kaiming_normal_, mode="fan_out")
glorot = init.xavier_uniform_
normal_01 = partial(init.normal_, std=0.01)


def initialise(net: Module, recipe: Recipe, seed: int) -> Module:
    """Draw every convolution's and fully-connected layer's weight anew, and set its bias; returns net.

    Each parameter has a generator of its own, keyed by (seed, its position), so that the same seed gives the same net
    on every machine. Batch norm keeps what its layer set (gamma 1, beta 0, or gamma 0 where a net asks for that).
    """
    position = {id(p): i for i, p in enumerate(net.parameters())}
    for name, layer in net.named_modules():
        if isinstance(layer, Conv2d | Linear):
            fill = recipe.conv if isinstance(layer, Conv2d) else recipe.linear
            fill(layer.weight, np.random.default_rng((seed, position[id(layer.weight)])))
            if layer.bias is not None:
                init.constant_(layer.bias, recipe.biases.get(name, 0.0))
    reseed(net, seed)
    return net
