"""VGG: depth from 3x3 filters alone (Simonyan & Zisserman 2015, arXiv:1409.1556, table 1).

    name          weight layers    parameters   configuration
    vgg11                    11   132,863,336   A
    vgg13                    13   133,047,848   B
    vgg16_c                  16   133,638,952   C (three of the 3x3 filters are 1x1)
    vgg16                    16   138,357,544   D
    vgg19                    19   143,667,240   E
    vgg11_bn                 11   132,868,840   A with batch norm
    vgg13_bn                 13   133,053,736   B
    vgg16_bn                 16   138,365,992   D
    vgg19_bn                 19   143,678,248   E
    vgg_small_bn              9       295,770   B's first four groups at a quarter of the widths; 32x32, 10 classes

Two 3x3 filters in a row see 5x5 pixels and three see 7x7, with fewer weights and more ReLUs than one large filter.
Images of at most 64 pixels get one linear layer in place of the three (4096, 4096, classes), as is usual for CIFAR.
Names of parameters are torchvision's.
"""

from functools import partial

from minigrad.nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)

from .variant import SMALL, Recipe, Variant, he_in, normal_01

RECIPE = Recipe(conv=he_in, linear=normal_01)

# Groups of convolutions between max-pools: channels, or (channels, 1) for a 1x1 filter.
GROUPS = {
    "vgg11": [(64,), (128,), (256,) * 2, (512,) * 2, (512,) * 2],
    "vgg13": [(64,) * 2, (128,) * 2, (256,) * 2, (512,) * 2, (512,) * 2],
    "vgg16_c": [(64,) * 2, (128,) * 2, (256, 256, (256, 1)), (512, 512, (512, 1)), (512, 512, (512, 1))],
    "vgg16": [(64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3],
    "vgg19": [(64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4],
    "vgg_small": [(16,) * 2, (32,) * 2, (64,) * 2, (128,) * 2],
}


def conv_layers(c, k, size, batch_norm):
    conv = Conv2d(c, k, size, padding=size // 2)
    return [conv, BatchNorm2d(k), ReLU()] if batch_norm else [conv, ReLU()]


def features(groups, c, batch_norm, ceil_mode):
    """The convolutions of each group and the pool that ends it."""
    layers = []
    for group in groups:
        for entry in group:
            k, size = (entry, 3) if isinstance(entry, int) else entry
            layers += conv_layers(c, k, size, batch_norm)
            c = k
        layers.append(MaxPool2d(2, ceil_mode=ceil_mode))
    return Sequential(*layers)


def large_head(c, num_classes, dropout):
    """7x7 maps and three fully-connected layers (section 2.1)."""
    fc1, fc2 = (Linear(c * 7 * 7, 4096), ReLU(), Dropout(dropout)), (Linear(4096, 4096), ReLU(), Dropout(dropout))
    full = Sequential(*fc1, *fc2, Linear(4096, num_classes))
    return {"avgpool": AdaptiveAvgPool2d(7), "flatten": Flatten(), "classifier": full}


def small_head(c, num_classes):
    """Global average and one linear layer."""
    return {"avgpool": AdaptiveAvgPool2d(1), "flatten": Flatten(), "classifier": Linear(c, num_classes)}


def vgg(groups, batch_norm, num_classes=1000, in_channels=3, image_size=(224, 224), dropout=0.5, ceil_mode=False):
    """x (N, H, W, in_channels) -> logits (N, num_classes). dropout is used in the large head only.

    ceil_mode: pools round their sizes up, as Caffe's do: it makes no difference for images of 224x224
    """
    c = groups[-1][-1] if isinstance(groups[-1][-1], int) else groups[-1][-1][0]
    small = max(image_size) <= SMALL
    head = small_head(c, num_classes) if small else large_head(c, num_classes, dropout)
    return Sequential({"features": features(groups, in_channels, batch_norm, ceil_mode), **head})


def variant(name, batch_norm, **made_for):
    return Variant(partial(vgg, GROUPS[name], batch_norm), RECIPE, **{"least": 32, **made_for})


VARIANTS = {
    **{name: variant(name, False) for name in ("vgg11", "vgg13", "vgg16_c", "vgg16", "vgg19")},
    **{f"{name}_bn": variant(name, True) for name in ("vgg11", "vgg13", "vgg16", "vgg19")},
    "vgg_small_bn": variant("vgg_small", True, image_size=32, num_classes=10, least=16),
}
