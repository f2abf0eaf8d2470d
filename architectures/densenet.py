"""DenseNet: each layer reads the feature maps of all layers before it (Huang et al. 2017, arXiv:1608.06993).

    name                   weight layers   parameters   made for
    densenet121                      121    7,978,856   ImageNet
    densenet161                      161   28,681,000
    densenet169                      169   14,149,480
    densenet201                      201   20,013,928
    densenet264                      265   33,337,704   (the name counts one layer too few)
    densenet_40_12                    40    1,019,722   CIFAR, 10 classes
    densenet_100_12                  100    6,979,642
    densenet_100_24                  100   27,249,082
    densenet_bc_100_12               100      769,162
    densenet_bc_250_24               250   15,324,406
    densenet_bc_190_40               190   25,624,430
    densenet_small                    28      180,714   32x32, 10 classes; blocks at a half, a quarter and an eighth

CIFAR names are densenet_DEPTH_GROWTH, with bc for bottlenecks and compression, and take any growth and any depth
3n + 4 (bc: 6n + 4). Names of parameters are torchvision's.
"""

import re
from functools import partial

from minigrad import checkpoint
from minigrad.fusing import is_written_out
from minigrad.nn import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
)
from minigrad.nn import functional as F

from .variant import Recipe, Variant, he_in, normal_01

RECIPE = Recipe(conv=he_in, linear=normal_01)


class DenseLayer(Module):
    """BN-ReLU-conv 3x3 to `growth` new channels."""

    def __init__(self, c, growth, drop_rate=0.0):
        self.norm1 = BatchNorm2d(c)
        self.conv1 = Conv2d(c, growth, 3, padding=1, bias=False)
        self.dropout = Dropout(drop_rate)

    def units(self):
        return [(self.norm1, self.conv1)]

    def forward(self, *features):
        return self.dropout(self.conv1(self.norm1(F.concat(*features), relu=True)))


class BottleneckLayer(Module):
    """BN-ReLU-conv 1x1 to 4 growth channels, BN-ReLU-conv 3x3 to `growth` (section 3, "DenseNet-B").

    memory_efficient: the first half, whose input grows with every layer, is computed again in the backward pass
    instead of being kept (Pleiss et al. 2017, arXiv:1707.06990).
    """

    def __init__(self, c, growth, drop_rate=0.0, memory_efficient=False):
        self.norm1 = BatchNorm2d(c)
        self.conv1 = Conv2d(c, 4 * growth, 1, bias=False)
        self.norm2 = BatchNorm2d(4 * growth)
        self.conv2 = Conv2d(4 * growth, growth, 3, padding=1, bias=False)
        self.dropout = Dropout(drop_rate)
        self.memory_efficient = memory_efficient

    def units(self):
        return [(self.norm1, self.conv1), (self.norm2, self.conv2)]

    def squeeze(self, *features):
        return self.conv1(self.norm1(F.concat(*features), relu=True))

    def forward(self, *features):
        x = checkpoint(self.squeeze, *features) if self.memory_efficient else self.squeeze(*features)
        return self.dropout(self.conv2(self.norm2(x, relu=True)))


class DenseBlock(Module):
    """n layers over one growing set of feature maps: (N, H, W, c) -> (N, H, W, c + n growth).

    Layer l has l direct inputs, so a block of n layers has n (n + 1) / 2 connections. Written with concats, as in
    `joined`, each layer copies all that came before it; `in_one_buffer` computes the same without the copies.
    """

    def __init__(self, layer, n, c, growth):
        for i in range(n):
            setattr(self, f"denselayer{i + 1}", layer(c + i * growth, growth))

    def forward(self, x):
        layers = [layer for _, layer in self.named_children()]
        norms = [norm for layer in layers for norm, _ in layer.units()]
        alike = len({norm.training for norm in norms}) == 1 and all(type(norm) is BatchNorm2d for norm in norms)
        if not alike or is_written_out() or any(layer.dropout.p for layer in layers):
            return self.joined(x, layers)
        return self.in_one_buffer(x, layers)

    def joined(self, x, layers):
        """One concat a layer; layers may do anything."""
        features = [x]
        for layer in layers:
            features.append(layer(*features))
        return F.concat(*features)

    def in_one_buffer(self, x, layers):
        """The whole block as one op, for layers that are units of norm, ReLU and convolution and nothing else."""
        units = [unit for layer in layers for unit in layer.units()]
        weights = [t for norm, conv in units for t in (norm.weight, norm.bias, conv.weight)]
        running = [(norm.running_mean, norm.running_var) for norm, _ in units]
        norm, efficient = units[0][0], getattr(layers[0], "memory_efficient", False)
        settings = (len(layers[0].units()), running, norm.training, norm.momentum, norm.eps, efficient)
        return F.dense_block(x, weights, *settings)


class Transition(Sequential):
    """Between blocks: BN-ReLU-conv 1x1, which may reduce the channels, then a 2x2 average."""

    def __init__(self, c, k, ceil_mode=False):
        layers = BatchNorm2d(c), ReLU(), Conv2d(c, k, 1, bias=False), AvgPool2d(2, ceil_mode=ceil_mode)
        super().__init__(dict(zip(("norm", "relu", "conv", "pool"), layers)))


def imagenet_stem(in_channels, c, ceil_mode=False):
    """7x7 convolution and max-pool, stride 2 each (table 1)."""
    conv = Conv2d(in_channels, c, 7, 2, 3, bias=False)
    return {"conv0": conv, "norm0": BatchNorm2d(c), "relu0": ReLU(), "pool0": MaxPool2d(3, 2, 1, ceil_mode=ceil_mode)}


def cifar_stem(in_channels, c):
    """One 3x3 convolution (section 3, "implementation details")."""
    return {"conv0": Conv2d(in_channels, c, 3, padding=1, bias=False)}


def small_stem(in_channels, c):
    """The ImageNet stem's order with a 3x3 filter: its pool makes the blocks four times cheaper than CIFAR's."""
    conv = Conv2d(in_channels, c, 3, padding=1, bias=False)
    return {"conv0": conv, "norm0": BatchNorm2d(c), "relu0": ReLU(), "pool0": MaxPool2d(3, 2, 1)}


class DenseNet(Module):
    """Stem, dense blocks with transitions between them, BN-ReLU, global average, one FC.

    x (N, H, W, in_channels) -> logits (N, num_classes)
    stem         what comes before the first block, which receives `c` channels
    layer        DenseLayer or BottleneckLayer
    transition   what comes between blocks
    blocks       the number of layers of each block
    compression  a transition keeps this share of the channels (theta; the "C" of BC is 0.5)
    """

    def __init__(
        self, stem, layer, blocks, growth, c, compression, num_classes=1000, in_channels=3, transition=Transition
    ):
        features = stem(in_channels, c)
        for i, n in enumerate(blocks, 1):
            features[f"denseblock{i}"] = DenseBlock(layer, n, c, growth)
            c += n * growth
            if i < len(blocks):
                features[f"transition{i}"] = transition(c, int(c * compression))
                c = int(c * compression)
        self.features = Sequential({**features, "norm5": BatchNorm2d(c), "relu5": ReLU()})
        self.avgpool, self.flatten = AdaptiveAvgPool2d(1), Flatten()
        self.classifier = Linear(c, num_classes)

    def forward(self, x):
        return self.classifier(self.flatten(self.avgpool(self.features(x))))


def imagenet_densenet(
    blocks, growth, num_classes=1000, in_channels=3, drop_rate=0.0, memory_efficient=False, ceil_mode=False
):
    """DenseNet-BC with four blocks (table 1). ceil_mode: all its pools round their sizes up, as Caffe's do."""
    layer = partial(BottleneckLayer, drop_rate=drop_rate, memory_efficient=memory_efficient)
    stem, transition = (partial(part, ceil_mode=ceil_mode) for part in (imagenet_stem, Transition))
    return DenseNet(stem, layer, blocks, growth, 2 * growth, 0.5, num_classes, in_channels, transition)


def cifar_densenet(n, growth, num_classes=10, in_channels=3, drop_rate=0.0):
    """Three blocks of n plain layers, nothing compressed."""
    layer = partial(DenseLayer, drop_rate=drop_rate)
    return DenseNet(cifar_stem, layer, (n,) * 3, growth, 16, 1.0, num_classes, in_channels)


def cifar_densenet_bc(n, growth, num_classes=10, in_channels=3, drop_rate=0.0, memory_efficient=False):
    """Three blocks of n bottleneck layers, transitions that halve the channels."""
    layer = partial(BottleneckLayer, drop_rate=drop_rate, memory_efficient=memory_efficient)
    return DenseNet(cifar_stem, layer, (n,) * 3, growth, 2 * growth, 0.5, num_classes, in_channels)


def small_densenet(num_classes=10, in_channels=3, drop_rate=0.0, memory_efficient=False):
    """DenseNet-BC with three blocks of 4 layers and growth 16, to be trained in minutes on a CPU."""
    layer = partial(BottleneckLayer, drop_rate=drop_rate, memory_efficient=memory_efficient)
    return DenseNet(small_stem, layer, (4, 4, 4), 16, 32, 0.5, num_classes, in_channels)


def imagenet(blocks, growth):
    return Variant(partial(imagenet_densenet, blocks, growth), RECIPE, least=29)


def parse(name):
    """densenet_DEPTH_GROWTH or densenet_bc_DEPTH_GROWTH; None for other names."""
    found = re.fullmatch(r"densenet(_bc)?_(\d+)_(\d+)", name)
    if not found:
        return None
    depth, growth = int(found[2]), int(found[3])
    build, per_n = (cifar_densenet_bc, 6) if found[1] else (cifar_densenet, 3)
    if depth < per_n + 4 or (depth - 4) % per_n or growth < 1:
        raise ValueError(f"{name}: depth must be {per_n}n + 4 and growth at least 1; got {depth} and {growth}")
    settings = dict(image_size=32, num_classes=10, least=4)
    return Variant(partial(build, (depth - 4) // per_n, growth), RECIPE, **settings)


CIFAR_NAMES = "40_12", "100_12", "100_24", "bc_100_12", "bc_250_24", "bc_190_40"
VARIANTS = {
    "densenet121": imagenet((6, 12, 24, 16), 32),
    "densenet161": imagenet((6, 12, 36, 24), 48),
    "densenet169": imagenet((6, 12, 32, 32), 32),
    "densenet201": imagenet((6, 12, 48, 32), 32),
    "densenet264": imagenet((6, 12, 64, 48), 32),
    **{f"densenet_{d}": parse(f"densenet_{d}") for d in CIFAR_NAMES},
    "densenet_small": Variant(small_densenet, RECIPE, image_size=32, num_classes=10, least=7),
}
