"""What a family file says about each of its nets, and how initial weights are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from kernels.shapes import window_counts
from minigrad.nn import Conv2d, Linear, MaxPool2d, Module, init, reseed
from minigrad.ops.checks import pair

SMALL = 64  # the largest image, in pixels a side, that gets a net (or a head) for small images


class Recipe(NamedTuple):
    """Initial weights: what fills a convolution's and a fully-connected layer's weight, and the biases.

    conv, linear  fill(parameter, rng), from minigrad.nn.init
    biases        {layer name: value}; a bias not listed is 0
    """

    conv: Callable
    linear: Callable
    biases: Mapping[str, float] = MappingProxyType({})


class Variant(NamedTuple):
    """One net: how it is built and initialised, and what it was made for.

    build        build(num_classes, in_channels, image_size, **options) -> Module; one that takes no image_size fits all
    image_size   that its paper used
    least        the smallest image, in pixels a side, for which every window fits
    """

    build: Callable
    recipe: Recipe
    image_size: int = 224
    num_classes: int = 1000
    in_channels: int = 3
    least: int = 1


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


def output_size(layers, hw):
    """(P, Q) that convolutions and max-pools, one after the other, make of (H, W); other layers keep the size."""
    for layer in (m for top in layers for m in top.modules()):
        if isinstance(layer, Conv2d):
            hw = window_counts(hw, layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        if isinstance(layer, MaxPool2d):
            settings = layer.kernel_size, layer.stride or layer.kernel_size, layer.padding
            window = (pair("MaxPool2d", "size, stride or padding", value, 0) for value in settings)
            hw = window_counts(hw, *window, ceil_mode=layer.ceil_mode)
    return hw
