"""Inception-v4, GoogLeNet's later iteration (Szegedy et al. 2016, arXiv:1602.07261, figures 3 to 9).

    name           weight layers   parameters   made for
    inception_v4             150   42,679,816   ImageNet, 299x299; no auxiliary head

Large filters are split into 1x7 and 7x1, or 1x3 and 3x1. Convolutions without padding ("V" in the figures) shrink the
image, hence 299 rather than 224. torchvision has no such net; parameter names are those of timm's.
"""

from minigrad.nn import AdaptiveAvgPool2d, AvgPool2d, Dropout, Flatten, Linear, MaxPool2d, Module, Sequential
from minigrad.nn import functional as F

from .googlenet import BasicConv2d
from .variant import Recipe, Variant, he_in, normal_01

RECIPE = Recipe(conv=he_in, linear=normal_01)


def conv(c, k, height, width=None, stride=1):
    """A convolution that keeps height and width ("same" padding)."""
    width = height if width is None else width
    return BasicConv2d(c, k, (height, width), stride, (height // 2, width // 2))


def valid(c, k, size, stride=1):
    """A convolution without padding."""
    return BasicConv2d(c, k, size, stride)


def averaged(c, k):
    """3x3 average that does not count the padding, then 1x1."""
    return Sequential(AvgPool2d(3, 1, 1, count_include_pad=False), conv(c, k, 1))


class Branches(Module):
    """The branches of a module, joined by channels; each is named as in the state_dict."""

    def __init__(self, **branches):
        for name, branch in branches.items():
            setattr(self, name, branch)

    def forward(self, x):
        return F.concat(*(branch(x) for _, branch in self.named_children()))


def mixed_3a():
    return Branches(maxpool=MaxPool2d(3, 2), conv=valid(64, 96, 3, 2))


def mixed_4a():
    left = Sequential(conv(160, 64, 1), valid(64, 96, 3))
    right = Sequential(conv(160, 64, 1), conv(64, 64, 1, 7), conv(64, 64, 7, 1), valid(64, 96, 3))
    return Branches(branch0=left, branch1=right)


def mixed_5a():
    return Branches(conv=valid(192, 192, 3, 2), maxpool=MaxPool2d(3, 2))


def inception_a():
    """Figure 4: 384 channels at 35x35."""
    return Branches(
        branch0=conv(384, 96, 1),
        branch1=Sequential(conv(384, 64, 1), conv(64, 96, 3)),
        branch2=Sequential(conv(384, 64, 1), conv(64, 96, 3), conv(96, 96, 3)),
        branch3=averaged(384, 96),
    )


def reduction_a():
    """Figure 7 with table 1's k, l, m, n = 192, 224, 256, 384: 35x35 to 17x17."""
    deep = Sequential(conv(384, 192, 1), conv(192, 224, 3), valid(224, 256, 3, 2))
    return Branches(branch0=valid(384, 384, 3, 2), branch1=deep, branch2=MaxPool2d(3, 2))


def inception_b():
    """Figure 5: 1024 channels at 17x17."""
    twice = conv(192, 192, 7, 1), conv(192, 224, 1, 7), conv(224, 224, 7, 1), conv(224, 256, 1, 7)
    return Branches(
        branch0=conv(1024, 384, 1),
        branch1=Sequential(conv(1024, 192, 1), conv(192, 224, 1, 7), conv(224, 256, 7, 1)),
        branch2=Sequential(conv(1024, 192, 1), *twice),
        branch3=averaged(1024, 128),
    )


def reduction_b():
    """Figure 8: 17x17 to 8x8."""
    deep = conv(1024, 256, 1), conv(256, 256, 1, 7), conv(256, 320, 7, 1), valid(320, 320, 3, 2)
    shallow = Sequential(conv(1024, 192, 1), valid(192, 192, 3, 2))
    return Branches(branch0=shallow, branch1=Sequential(*deep), branch2=MaxPool2d(3, 2))


class InceptionC(Module):
    """Figure 6: 1536 channels at 8x8. Two branches fork once more, into 1x3 and 3x1."""

    def __init__(self):
        self.branch0 = conv(1536, 256, 1)
        self.branch1_0 = conv(1536, 384, 1)
        self.branch1_1a, self.branch1_1b = conv(384, 256, 1, 3), conv(384, 256, 3, 1)
        self.branch2_0 = conv(1536, 384, 1)
        self.branch2_1, self.branch2_2 = conv(384, 448, 3, 1), conv(448, 512, 1, 3)
        self.branch2_3a, self.branch2_3b = conv(512, 256, 1, 3), conv(512, 256, 3, 1)
        self.branch3 = averaged(1536, 256)

    def forward(self, x):
        short, long = self.branch1_0(x), self.branch2_2(self.branch2_1(self.branch2_0(x)))
        forks = self.branch1_1a(short), self.branch1_1b(short), self.branch2_3a(long), self.branch2_3b(long)
        return F.concat(self.branch0(x), *forks, self.branch3(x))


def inception_v4(num_classes=1000, in_channels=3, dropout=0.2):
    """Figure 9. x (N, H, W, in_channels) -> logits (N, num_classes)"""
    stem = valid(in_channels, 32, 3, 2), valid(32, 32, 3), conv(32, 64, 3), mixed_3a(), mixed_4a(), mixed_5a()
    a, b = [inception_a() for _ in range(4)], [inception_b() for _ in range(7)]
    features = Sequential(*stem, *a, reduction_a(), *b, reduction_b(), *(InceptionC() for _ in range(3)))
    head = {"global_pool": AdaptiveAvgPool2d(1), "flatten": Flatten(), "head_drop": Dropout(dropout)}
    return Sequential({"features": features, **head, "last_linear": Linear(1536, num_classes)})


VARIANTS = {"inception_v4": Variant(inception_v4, RECIPE, image_size=299, least=75)}
