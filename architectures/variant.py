"""What a family file says about each of its nets."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from kernels.shapes import window_counts
from minigrad.nn import Conv2d, MaxPool2d
from minigrad.nn.recipe import Recipe as Recipe
from minigrad.nn.recipe import glorot as glorot
from minigrad.nn.recipe import he_in as he_in
from minigrad.nn.recipe import he_out as he_out
from minigrad.nn.recipe import initialise as initialise
from minigrad.nn.recipe import normal_01 as normal_01
from minigrad.ops.checks import pair

SMALL = 64  # the largest image, in pixels a side, that gets a net (or a head) for small images


class Made(NamedTuple):
    """What a net was made as, kept as net.made: enough to make it again.

    name         the full name
    num_classes, in_channels, image_size (H, W)
    options      those that were given to create
    settings     options with the builder's own values for those that were not given
    """

    name: str
    num_classes: int
    in_channels: int
    image_size: tuple[int, int]
    options: Mapping
    settings: Mapping


class Variant(NamedTuple):
    """One net: how it is built and initialised, and what it was made for.

    build        build(num_classes, in_channels, image_size, **options) -> Module; one that takes no image_size fits all
    image_size   that its paper used
    least        the smallest image, in pixels a side, for which every window fits
    family       whose settings it trains well with (minigrad/train/recipe.py); None: the general ones
    """

    build: Callable
    recipe: Recipe
    image_size: int = 224
    num_classes: int = 1000
    in_channels: int = 3
    least: int = 1
    family: str | None = None


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
