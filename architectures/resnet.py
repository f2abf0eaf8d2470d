"""ResNet: blocks that learn a residual, H(x) = F(x) + x (He et al. 2015, "Deep residual learning", arXiv:1512.03385).

    name              weight layers   parameters   made for
    resnet18                     18   11,689,512   ImageNet
    resnet34                     34   21,797,672
    resnet50                     50   25,557,032   (resnet50_v1 alike)
    resnet101                   101   44,549,160   (resnet101_v1 alike)
    resnet152                   152   60,192,808   (resnet152_v1 alike)
    resnet20                     20      269,722   CIFAR, 10 classes
    resnet32                     32      464,154
    resnet44                     44      658,586
    resnet56                     56      853,018
    resnet110                   110    1,727,962
    resnet1202                 1202   19,421,274
    plain18                      18   11,515,688   ImageNet, no shortcuts
    plain34                      34   21,623,848
    plain20                      20      269,722   CIFAR, no shortcuts
    plain56                      56      853,018
    preact_resnet18              18   11,687,720   ImageNet, pre-activation
    preact_resnet50              50   25,549,352
    preact_resnet20              20      269,722   CIFAR, pre-activation
    preact_resnet110            110    1,727,962
    preact_resnet164            164    1,703,258   (bottleneck blocks)

Weight layers leave out the projections on shortcuts, as the papers do. CIFAR names take any depth 6n + 2
(pre-activation with bottlenecks: 164 and 1001, 9n + 2). Names of parameters are torchvision's.
"""

import re
from functools import partial

from minigrad.nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Identity,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
    conv_norm,
    init,
)
from minigrad.nn import functional as F

from .variant import Recipe, Variant, he_out, normal_01

RECIPE = Recipe(conv=he_out, linear=normal_01)


class ZeroPadShortcut(Module):
    """Option A: every stride-th pixel, with `extra` channels of zeros, `before` of them in front. No parameters."""

    def __init__(self, extra, stride, before=0):
        self.extra, self.stride, self.before = extra, stride, before

    def forward(self, x):
        x = x[:, :: self.stride, :: self.stride] if self.stride > 1 else x
        return F.pad(x, ((0, 0), (0, 0), (0, 0), (self.before, self.extra - self.before)))


def projection(c, k, stride, norm):
    """A 1x1 convolution that makes shapes fit: the paper's W_s (equation 2)."""
    conv = Conv2d(c, k, 1, stride, bias=False)
    return Sequential(conv, BatchNorm2d(k)) if norm else Sequential(conv)


def shortcut_path(option, c, k, stride, norm=True):
    """What the input of a block goes through on its way around: c channels in, k out.

    option (section 4.1): "A" pads with zero channels at the end, "A_centre" with half of them at each end (as some
    published weights need), "B" projects where shapes differ, "C" projects everywhere; None is no shortcut at all,
    which makes a plain net.
    """
    if option not in ("A", "A_centre", "B", "C", None):
        raise ValueError(f"resnet: shortcut must be 'A', 'A_centre', 'B', 'C' or None (plain); got {option!r}")
    if option is None:
        return None
    if option != "C" and stride == 1 and c == k:
        return Identity()
    before = (k - c) // 2 if option == "A_centre" else 0
    return ZeroPadShortcut(k - c, stride, before) if option[0] == "A" else projection(c, k, stride, norm)


class BasicBlock(Module):
    """3x3, 3x3 (figure 5, left)."""

    expansion, preactivated = 1, False

    def __init__(self, c, width, stride=1, shortcut="B"):
        self.conv1 = Conv2d(c, width, 3, stride, 1, bias=False)
        self.bn1 = BatchNorm2d(width)
        self.conv2 = Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = BatchNorm2d(width)
        self.downsample = shortcut_path(shortcut, c, width, stride)

    def forward(self, x):
        y = conv_norm(self.conv1, self.bn1, x, relu=True)
        return join(self.conv2, self.bn2, y, self.downsample, x)

    def last_norm(self):
        return self.bn2


def join(conv, norm, y, shortcut, x):
    """relu(norm(conv(y)) + shortcut(x)); in a plain net without the shortcut."""
    if shortcut is None:
        return conv_norm(conv, norm, y, relu=True)
    return F.add_relu(conv_norm(conv, norm, y), shortcut(x))


class Bottleneck(Module):
    """1x1 to a quarter of the channels, 3x3, 1x1 back (figure 5, right).

    The stride is in the 3x3, as in torchvision ("v1.5"): better by half a per cent than in the first 1x1.
    """

    expansion, preactivated = 4, False
    strides_first = False

    def __init__(self, c, width, stride=1, shortcut="B"):
        first, second = (stride, 1) if self.strides_first else (1, stride)
        self.conv1 = Conv2d(c, width, 1, first, bias=False)
        self.bn1 = BatchNorm2d(width)
        self.conv2 = Conv2d(width, width, 3, second, 1, bias=False)
        self.bn2 = BatchNorm2d(width)
        self.conv3 = Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = BatchNorm2d(4 * width)
        self.downsample = shortcut_path(shortcut, c, 4 * width, stride)

    def forward(self, x):
        y = conv_norm(self.conv1, self.bn1, x, relu=True)
        y = conv_norm(self.conv2, self.bn2, y, relu=True)
        return join(self.conv3, self.bn3, y, self.downsample, x)

    def last_norm(self):
        return self.bn3


class BottleneckV1(Bottleneck):
    """The paper's own: the stride is in the first 1x1."""

    strides_first = True


class PreActBlock(Module):
    """BN-ReLU before each convolution, so that the shortcut is a clean identity from end to end.

    (He et al. 2016, "Identity mappings in deep residual networks", arXiv:1603.05027, figure 4e.)
    """

    expansion, preactivated = 1, True

    def __init__(self, c, width, stride=1, shortcut="B"):
        self.bn1 = BatchNorm2d(c)
        self.conv1 = Conv2d(c, width, 3, stride, 1, bias=False)
        self.bn2 = BatchNorm2d(width)
        self.conv2 = Conv2d(width, width, 3, 1, 1, bias=False)
        self.downsample = shortcut_path(shortcut, c, width, stride, norm=False)

    def forward(self, x):
        a = self.bn1(x, relu=True)
        y = self.conv2(conv_norm(self.conv1, self.bn2, a, relu=True))
        return y + around(self.downsample, x, a)


def around(shortcut, x, a):
    """The identity carries x itself; a shortcut that changes the shape starts from the activated a."""
    return x if isinstance(shortcut, Identity) else shortcut(a)


class PreActBottleneck(Module):
    """The bottleneck block with BN-ReLU before each of its three convolutions."""

    expansion, preactivated = 4, True

    def __init__(self, c, width, stride=1, shortcut="B"):
        self.bn1 = BatchNorm2d(c)
        self.conv1 = Conv2d(c, width, 1, bias=False)
        self.bn2 = BatchNorm2d(width)
        self.conv2 = Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn3 = BatchNorm2d(width)
        self.conv3 = Conv2d(width, 4 * width, 1, bias=False)
        self.downsample = shortcut_path(shortcut, c, 4 * width, stride, norm=False)

    def forward(self, x):
        a = self.bn1(x, relu=True)
        y = conv_norm(self.conv1, self.bn2, a, relu=True)
        y = self.conv3(conv_norm(self.conv2, self.bn3, y, relu=True))
        return y + around(self.downsample, x, a)


def stage(block, c, width, depth, stride, shortcut):
    """`depth` blocks, the first of which changes the size and the channels."""
    first = block(c, width, stride, shortcut)
    rest = (block(width * block.expansion, width, 1, shortcut) for _ in range(depth - 1))
    return Sequential(first, *rest)


def stem(block, c, conv):
    """The convolution that comes first; pre-activation blocks bring the BN-ReLU that would follow it themselves."""
    return {"conv1": conv} if block.preactivated else {"conv1": conv, "bn1": BatchNorm2d(c), "relu": ReLU()}


def stages(block, c, widths, depths, shortcut):
    """layer1, layer2, ...: all but the first begin with stride 2."""
    layers = {}
    for i, (width, depth) in enumerate(zip(widths, depths), 1):
        layers[f"layer{i}"] = stage(block, c, width, depth, 1 if i == 1 else 2, shortcut)
        c = width * block.expansion
    return layers


def head(block, c, num_classes):
    """Global average and one FC, after the BN-ReLU that pre-activation blocks leave to do."""
    norm = {"norm": BatchNorm2d(c), "relu_norm": ReLU()} if block.preactivated else {}
    return {**norm, "avgpool": AdaptiveAvgPool2d(1), "flatten": Flatten(), "fc": Linear(c, num_classes)}


class ResNet(Sequential):
    """Stem, stages, head.   x (N, H, W, in_channels) -> logits (N, num_classes)

    zero_init_residual: each block starts as the identity (Goyal et al. 2017, arXiv:1706.02677, section 5.1).
    """

    def __init__(self, stem, stages, head, zero_init_residual=False):
        super().__init__({**stem, **stages, **head})
        if zero_init_residual:
            self.zero_last_gammas()

    def zero_last_gammas(self):
        blocks = [m for m in self.modules() if hasattr(m, "last_norm")]
        if not blocks:
            raise ValueError("resnet: zero_init_residual needs blocks that end in batch norm, not pre-activation ones")
        for block in blocks:
            init.constant_(block.last_norm().weight, 0.0)


def imagenet_resnet(
    block, depths, num_classes=1000, in_channels=3, shortcut="B", zero_init_residual=False, ceil_mode=False
):
    """Table 1: 7x7 stem and max-pool, four stages of 64 to 512 channels.

    ceil_mode: the max-pool has no padding and rounds its size up, as in the paper's own nets, which were Caffe's. Of
    112 pixels it makes 56 either way, but looks at others.
    """
    maxpool = MaxPool2d(3, 2, 0 if ceil_mode else 1, ceil_mode=ceil_mode)
    first = {**stem(block, 64, Conv2d(in_channels, 64, 7, 2, 3, bias=False)), "maxpool": maxpool}
    middle = stages(block, 64, (64, 128, 256, 512), depths, shortcut)
    return ResNet(first, middle, head(block, 512 * block.expansion, num_classes), zero_init_residual)


def cifar_resnet(block, n, num_classes=10, in_channels=3, shortcut="A", zero_init_residual=False):
    """Section 4.2: 3x3 stem, three stages of n blocks with 16, 32 and 64 channels."""
    first = stem(block, 16, Conv2d(in_channels, 16, 3, 1, 1, bias=False))
    middle = stages(block, 16, (16, 32, 64), (n, n, n), shortcut)
    return ResNet(first, middle, head(block, 64 * block.expansion, num_classes), zero_init_residual)


DEPTHS = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}
PREACTIVATED = {BasicBlock: PreActBlock, Bottleneck: PreActBottleneck}


def imagenet(block, depths, **settings):
    return Variant(partial(imagenet_resnet, block, depths, **settings), RECIPE)


def cifar(block, n, **settings):
    return Variant(partial(cifar_resnet, block, n, **settings), RECIPE, image_size=32, num_classes=10)


def parse(name):
    """The CIFAR net of any depth: resnetD, plainD, preact_resnetD with D = 6n + 2. None for other names.

    Pre-activation nets of more than 110 layers have bottleneck blocks and D = 9n + 2, as in their paper.
    """
    found = re.fullmatch(r"(resnet|plain|preact_resnet)(\d+)", name)
    if not found:
        return None
    kind, depth = found[1], int(found[2])
    deep = kind == "preact_resnet" and depth > 110
    per_n = 9 if deep else 6
    if depth < per_n + 2 or (depth - 2) % per_n:
        raise ValueError(f"{name}: a CIFAR net of this kind has {per_n}n + 2 layers; {depth} is not such a number")
    n = (depth - 2) // per_n
    if kind == "preact_resnet":
        return cifar(PreActBottleneck, n, shortcut="B") if deep else cifar(PreActBlock, n)
    return cifar(BasicBlock, n, shortcut=None if kind == "plain" else "A")


VARIANTS = {
    **{f"resnet{d}": imagenet(*net) for d, net in DEPTHS.items()},
    **{f"resnet{d}_v1": imagenet(BottleneckV1, DEPTHS[d][1]) for d in (50, 101, 152)},
    **{f"plain{d}": imagenet(*DEPTHS[d], shortcut=None) for d in (18, 34)},
    **{f"preact_resnet{d}": imagenet(PREACTIVATED[b], depths) for d, (b, depths) in DEPTHS.items()},
    **{f"resnet{d}": parse(f"resnet{d}") for d in (20, 32, 44, 56, 110, 1202)},
    **{f"plain{d}": parse(f"plain{d}") for d in (20, 32, 44, 56, 110)},
    **{f"preact_resnet{d}": parse(f"preact_resnet{d}") for d in (20, 32, 44, 56, 110, 164, 1001)},
}
