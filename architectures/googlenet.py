"""GoogLeNet: inception modules, which look through 1x1, 3x3 and 5x5 filters at once (Szegedy et al. 2015, 1409.4842).

    name                    weight layers   parameters   made for
    googlenet_paper                    64   13,378,280   ImageNet; 5x5 filters, no batch norm
    googlenet_bn                       64   13,385,816   ImageNet; 5x5 filters, batch norm
    googlenet_torchvision              64   13,004,888   ImageNet; 3x3 in place of the 5x5, batch norm
    googlenet_small                    26      257,522   32x32, 10 classes; four modules, batch norm

Of these, the two auxiliary heads have 6 layers and 6,379,728 parameters (with batch norm 6,379,984), which
aux_logits=False leaves out. The paper's "22 layers" counts a module as 2. Its table 1 prints parameters that disagree
with its own filter counts (the 7x7 stem is 9.4 K); the filters decide here. Names of parameters are torchvision's.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from minigrad import Tensor
from minigrad.nn import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
)
from minigrad.nn import functional as F

from .variant import Recipe, Variant, he_in, normal_01, output_size, window_counts

RECIPE = Recipe(conv=he_in, linear=normal_01)
AUXILIARY_WEIGHT = 0.3  # section 5: the auxiliary losses "were weighted by 0.3"

# Table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection.
TABLE_1 = {
    "inception3a": (64, 96, 128, 16, 32, 32),
    "inception3b": (128, 128, 192, 32, 96, 64),
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}
SMALL_TABLE = {
    "inception3a": (32, 24, 48, 8, 16, 16),
    "inception3b": (32, 32, 64, 8, 16, 16),
    "inception4a": (64, 48, 96, 12, 32, 32),
    "inception4b": (96, 64, 128, 16, 32, 32),
}


class GoogLeNetOutputs(NamedTuple):
    """What GoogLeNet returns in training (torchvision's order): the logits of the net, of aux2 and of aux1."""

    logits: Tensor
    aux_logits2: Tensor
    aux_logits1: Tensor

    def loss(self, criterion, target):
        """criterion(logits, target) of the net, plus 0.3 times that of each auxiliary head (section 5)."""
        main, aux2, aux1 = (criterion(logits, target) for logits in self)
        return main + AUXILIARY_WEIGHT * (aux2 + aux1)


def training_loss(criterion, outputs, target):
    """criterion(outputs, target); the outputs' own loss if they have one, as those of GoogLeNet in training."""
    return criterion(outputs, target) if isinstance(outputs, Tensor) else outputs.loss(criterion, target)


class BasicConv2d(Sequential):
    """Convolution, batch norm if wanted, ReLU."""

    def __init__(self, c, k, kernel_size, stride=1, padding=0, norm=True):
        conv = Conv2d(c, k, kernel_size, stride, padding, bias=not norm)
        super().__init__({"conv": conv, **({"bn": BatchNorm2d(k, eps=0.001)} if norm else {}), "relu": ReLU()})


class Inception(Module):
    """Figure 2b: four branches of the same height and width, joined by channels.

    (N, H, W, c) -> (N, H, W, n1 + n3 + n5 + pool). The 1x1 convolutions before the 3x3 and the 5x5 reduce the depth
    (n3_reduce, n5_reduce), which makes the module affordable. `size` is the large filter's, 5 in the paper.
    """

    def __init__(self, c, n1, n3_reduce, n3, n5_reduce, n5, pool, size=5, norm=True):
        conv = partial(BasicConv2d, norm=norm)
        self.branch1 = conv(c, n1, 1)
        self.branch2 = Sequential(conv(c, n3_reduce, 1), conv(n3_reduce, n3, 3, padding=1))
        self.branch3 = Sequential(conv(c, n5_reduce, 1), conv(n5_reduce, n5, size, padding=size // 2))
        self.branch4 = Sequential(MaxPool2d(3, 1, 1, ceil_mode=True), conv(c, pool, 1))

    def forward(self, x):
        return F.concat(self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x))


class InceptionNaive(Module):
    """Figure 2a: no reductions and no pool projection, for comparison.

    (N, H, W, c) -> (N, H, W, n1 + n3 + n5 + c): the depth grows with every module, and a 5x5 costs 25 c n5 per pixel.
    """

    def __init__(self, c, n1, n3, n5):
        self.branch1 = BasicConv2d(c, n1, 1)
        self.branch2 = BasicConv2d(c, n3, 3, padding=1)
        self.branch3 = BasicConv2d(c, n5, 5, padding=2)
        self.branch4 = MaxPool2d(3, 1, 1)

    def forward(self, x):
        return F.concat(self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x))


def auxiliary_head(c, num_classes, hw, adaptive, norm):
    """Average pool, 1x1 convolution to 128, FC 1024, dropout 0.7, FC (section 5).

    The pool is 5x5 of stride 3, which makes 4x4 of the paper's 14x14; adaptive: 4x4 of any (H, W) = hw.
    """
    pool = AdaptiveAvgPool2d(4) if adaptive else AvgPool2d(5, 3)
    p, q = (4, 4) if adaptive else window_counts(hw, (5, 5), (3, 3), (0, 0))
    full = {"fc1": Linear(128 * p * q, 1024), "relu": ReLU(), "dropout": Dropout(0.7)}
    conv = BasicConv2d(c, 128, 1, norm=norm)
    return Sequential({"pool": pool, "conv": conv, "flatten": Flatten(), **full, "fc2": Linear(1024, num_classes)})


class TransformInput(Module):
    """Images of ImageNet's mean and standard deviation as those of 0.5: what torchvision's weights were trained on.

    x (N, H, W, 3), (v - mean) / std of values v from 0 to 1 -> (v - 0.5) / 0.5. No parameters. ValueError for other
    channels.
    """

    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

    def forward(self, x):
        if x.shape[-1] != 3:
            raise ValueError(f"googlenet: transform_input is for images of 3 channels; got x {x.shape}")
        scale, shift = np.array(self.std) / 0.5, (np.array(self.mean) - 0.5) / 0.5
        return x * x.device.asarray(scale.astype(x.dtype)) + x.device.asarray(shift.astype(x.dtype))


class GoogLeNet(Sequential):
    """x (N, H, W, in_channels) -> logits (N, num_classes); in training GoogLeNetOutputs, if it has auxiliary heads.

    trunk      {name: layer} from the image to the last inception module
    heads      {"aux1": head of inception4a, "aux2": head of inception4d}, or {}
    """

    taps = (("inception4a", "aux1"), ("inception4d", "aux2"))

    def __init__(self, trunk, heads, c, num_classes, dropout):
        end = {"avgpool": AdaptiveAvgPool2d(1), "flatten": Flatten(), "dropout": Dropout(dropout)}
        super().__init__({**trunk, **heads, **end, "fc": Linear(c, num_classes)})

    def forward(self, x):
        layers, auxiliary = dict(self.named_children()), []
        heads = {inception: layers.pop(aux) for inception, aux in self.taps if aux in layers}
        for name, layer in layers.items():
            x = layer(x)
            if self.training and name in heads:
                auxiliary.append(heads[name](x))
        return GoogLeNetOutputs(x, *reversed(auxiliary)) if auxiliary else x


def out_channels(row):
    n1, _, n3, _, n5, pool = row
    return n1 + n3 + n5 + pool


def inceptions(table, c, pools, **settings):
    """The modules of a table, with the pools {module: pool's name and layer} before them; and the depth at the end."""
    layers = {}
    for name, row in table.items():
        layers.update(pools.get(name, {}))
        layers[name] = Inception(c, *row, **settings)
        c = out_channels(row)
    return layers, c


def stem(in_channels, norm):
    """From the image to 192 maps of an eighth of its size. Without batch norm it has the paper's response norms."""
    first = BasicConv2d(in_channels, 64, 7, 2, 3, norm=norm)
    second, third = BasicConv2d(64, 64, 1, norm=norm), BasicConv2d(64, 192, 3, padding=1, norm=norm)
    norm1, norm2 = ({}, {}) if norm else ({"norm1": LocalResponseNorm(5)}, {"norm2": LocalResponseNorm(5)})
    pools = ({name: MaxPool2d(3, 2, ceil_mode=True)} for name in ("maxpool1", "maxpool2"))
    return {"conv1": first, **next(pools), **norm1, "conv2": second, "conv3": third, **norm2, **next(pools)}


def googlenet(
    num_classes=1000, in_channels=3, image_size=(224, 224), aux_logits=True, transform_input=False,
    *, size, norm, last_pool, adaptive, dropout,
):  # fmt: skip
    """Figure 3. aux_logits: with the two auxiliary heads, which are used in training only.

    transform_input: images come with ImageNet's mean and standard deviation, see TransformInput.
    """
    first, maxpool3 = stem(in_channels, norm), MaxPool2d(3, 2, ceil_mode=True)
    maxpool4 = MaxPool2d(last_pool, 2, ceil_mode=True)
    pools = {"inception4a": {"maxpool3": maxpool3}, "inception5a": {"maxpool4": maxpool4}}
    modules, c = inceptions(TABLE_1, 192, pools, size=size, norm=norm)
    hw = output_size([*first.values(), maxpool3], image_size)
    depths = {"aux1": out_channels(TABLE_1["inception4a"]), "aux2": out_channels(TABLE_1["inception4d"])}
    heads = {name: auxiliary_head(depth, num_classes, hw, adaptive, norm) for name, depth in depths.items()}
    front = {"transform_input": TransformInput()} if transform_input else {}
    return GoogLeNet({**front, **first, **modules}, heads if aux_logits else {}, c, num_classes, dropout)


def googlenet_small(num_classes=10, in_channels=3, dropout=0.4):
    """Two modules at half the image's size, two at a quarter; short enough to need no auxiliary heads."""
    first = {"conv1": BasicConv2d(in_channels, 32, 3, padding=1), "maxpool1": MaxPool2d(3, 2, 1)}
    pools = {"inception4a": {"maxpool3": MaxPool2d(3, 2, 1)}}
    modules, c = inceptions(SMALL_TABLE, 32, pools)
    return GoogLeNet({**first, **modules}, {}, c, num_classes, dropout)


PAPER = dict(size=5, last_pool=3, adaptive=False, dropout=0.4)
TORCHVISION = dict(size=3, last_pool=2, adaptive=True, dropout=0.2)
VARIANTS = {
    "googlenet_paper": Variant(partial(googlenet, norm=False, **PAPER), RECIPE, least=79),
    "googlenet_bn": Variant(partial(googlenet, norm=True, **PAPER), RECIPE, least=79),
    "googlenet_torchvision": Variant(partial(googlenet, norm=True, **TORCHVISION), RECIPE, least=15),
    "googlenet_small": Variant(googlenet_small, RECIPE, image_size=32, num_classes=10),
}
