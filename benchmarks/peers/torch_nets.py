"""The nets in plain PyTorch: the same layers as in `architectures`, under no particular names."""

from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

relu = nn.ReLU(inplace=True)


def conv_bn(c, k, size, stride=1, padding=0):
    return nn.Sequential(nn.Conv2d(c, k, size, stride, padding, bias=False), nn.BatchNorm2d(k), relu)


def head(c, classes):
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, classes)


# AlexNet and VGG


def classifier(hidden, classes):
    first = nn.Flatten(), nn.Dropout(0.5), nn.LazyLinear(hidden), relu
    return *first, nn.Dropout(0.5), nn.Linear(hidden, hidden), relu, nn.Linear(hidden, classes)


def alexnet_owt(channels, classes):
    return nn.Sequential(
        nn.Conv2d(channels, 64, 11, 4, 2), relu, nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, 1, 2), relu,
        nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, 1, 1), relu, nn.Conv2d(384, 256, 3, 1, 1), relu,
        nn.Conv2d(256, 256, 3, 1, 1), relu, nn.MaxPool2d(3, 2), nn.AdaptiveAvgPool2d(6), *classifier(4096, classes),
    )  # fmt: skip


def alexnet_small(channels, classes):
    return nn.Sequential(
        nn.Conv2d(channels, 32, 5, 1, 2), relu, nn.MaxPool2d(3, 2), nn.Conv2d(32, 64, 5, 1, 2), relu,
        nn.MaxPool2d(3, 2), nn.Conv2d(64, 96, 3, 1, 1), relu, nn.Conv2d(96, 96, 3, 1, 1), relu,
        nn.Conv2d(96, 64, 3, 1, 1), relu, nn.MaxPool2d(3, 2), *classifier(256, classes),
    )  # fmt: skip


def vgg_features(groups, c, norm):
    layers = []
    for group in groups:
        for k in group:
            layers += [nn.Conv2d(c, k, 3, 1, 1), *([nn.BatchNorm2d(k)] if norm else []), relu]
            c = k
        layers.append(nn.MaxPool2d(2))
    return layers


def vgg16(channels, classes):
    groups = (64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3
    full = nn.Flatten(), nn.Linear(25088, 4096), relu, nn.Dropout(0.5), nn.Linear(4096, 4096), relu, nn.Dropout(0.5)
    features = vgg_features(groups, channels, norm=False)
    return nn.Sequential(*features, nn.AdaptiveAvgPool2d(7), *full, nn.Linear(4096, classes))


def vgg_small_bn(channels, classes):
    groups = (16,) * 2, (32,) * 2, (64,) * 2, (128,) * 2
    return nn.Sequential(*vgg_features(groups, channels, norm=True), *head(128, classes))


# ResNet


class Residual(nn.Module):
    def __init__(self, body, shortcut):
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x), inplace=True)


def projection(c, k, stride):
    if c == k and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(c, k, 1, stride, bias=False), nn.BatchNorm2d(k))


def basic(c, k, stride):
    tail = nn.Conv2d(k, k, 3, 1, 1, bias=False), nn.BatchNorm2d(k)
    return Residual(nn.Sequential(conv_bn(c, k, 3, stride, 1), *tail), projection(c, k, stride))


def bottleneck(c, k, stride):
    tail = nn.Conv2d(k, 4 * k, 1, bias=False), nn.BatchNorm2d(4 * k)
    body = nn.Sequential(conv_bn(c, k, 1), conv_bn(k, k, 3, stride, 1), *tail)
    return Residual(body, projection(c, 4 * k, stride))


def resnet(block, expansion, depths, channels, classes):
    layers, c = [conv_bn(channels, 64, 7, 2, 3), nn.MaxPool2d(3, 2, 1)], 64
    for stage, (k, n) in enumerate(zip((64, 128, 256, 512), depths)):
        for i in range(n):
            layers.append(block(c, k, 2 if stage and not i else 1))
            c = k * expansion
    return nn.Sequential(*layers, *head(c, classes))


def resnet18(channels, classes):
    return resnet(basic, 1, (2, 2, 2, 2), channels, classes)


def resnet50(channels, classes):
    return resnet(bottleneck, 4, (3, 4, 6, 3), channels, classes)


class PadShortcut(nn.Module):
    """Option A: every second pixel, new channels zero."""

    def __init__(self, extra):
        super().__init__()
        self.extra = extra

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.extra))


def resnet20(channels, classes):
    layers, c = [conv_bn(channels, 16, 3, 1, 1)], 16
    for k in (16, 16, 16, 32, 32, 32, 64, 64, 64):
        tail = nn.Conv2d(k, k, 3, 1, 1, bias=False), nn.BatchNorm2d(k)
        body = nn.Sequential(conv_bn(c, k, 3, 1 if c == k else 2, 1), *tail)
        layers.append(Residual(body, nn.Identity() if c == k else PadShortcut(k - c)))
        c = k
    return nn.Sequential(*layers, *head(64, classes))


# DenseNet


class DenseLayer(nn.Module):
    def __init__(self, c, growth):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(c), nn.Conv2d(c, 4 * growth, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(4 * growth), nn.Conv2d(4 * growth, growth, 3, 1, 1, bias=False)

    def forward(self, features):
        x = self.conv1(F.relu(self.norm1(torch.cat(features, 1)), inplace=True))
        return self.conv2(F.relu(self.norm2(x), inplace=True))


class DenseBlock(nn.Module):
    def __init__(self, n, c, growth):
        super().__init__()
        self.layers = nn.ModuleList(DenseLayer(c + i * growth, growth) for i in range(n))

    def forward(self, x):
        features = [x]
        for layer in self.layers:
            features.append(layer(features))
        return torch.cat(features, 1)


def densenet(stem, c, growth, depths, classes):
    layers = list(stem)
    for i, n in enumerate(depths):
        layers.append(DenseBlock(n, c, growth))
        c += n * growth
        layers += [nn.BatchNorm2d(c), relu]
        if i < len(depths) - 1:
            layers += [nn.Conv2d(c, c // 2, 1, bias=False), nn.AvgPool2d(2)]
            c //= 2
    return nn.Sequential(*layers, *head(c, classes))


def densenet121(channels, classes):
    return densenet([conv_bn(channels, 64, 7, 2, 3), nn.MaxPool2d(3, 2, 1)], 64, 32, (6, 12, 24, 16), classes)


def densenet_bc_100_12(channels, classes):
    return densenet([nn.Conv2d(channels, 24, 3, 1, 1, bias=False)], 24, 12, (16, 16, 16), classes)


def densenet_small(channels, classes):
    return densenet([conv_bn(channels, 32, 3, 1, 1), nn.MaxPool2d(3, 2, 1)], 32, 16, (4, 4, 4), classes)


# GoogLeNet, as torchvision has it: batch norm, and 3x3 in the "5x5" branch, but for the small one


class Inception(nn.Module):
    def __init__(self, c, k1, r3, k3, r5, k5, kp, size=3):
        super().__init__()
        self.branches = nn.ModuleList([
            conv_bn(c, k1, 1),
            nn.Sequential(conv_bn(c, r3, 1), conv_bn(r3, k3, 3, 1, 1)),
            nn.Sequential(conv_bn(c, r5, 1), conv_bn(r5, k5, size, 1, size // 2)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), conv_bn(c, kp, 1)),
        ])  # fmt: skip

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


def auxiliary(c, classes):
    full = nn.Flatten(), nn.Linear(2048, 1024), relu, nn.Dropout(0.7), nn.Linear(1024, classes)
    return nn.Sequential(nn.AdaptiveAvgPool2d(4), conv_bn(c, 128, 1), *full)


class GoogLeNet(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.to_4a = nn.Sequential(
            conv_bn(channels, 64, 7, 2, 3), pool, conv_bn(64, 64, 1), conv_bn(64, 192, 3, 1, 1), pool,
            Inception(192, 64, 96, 128, 16, 32, 32), Inception(256, 128, 128, 192, 32, 96, 64), pool,
            Inception(480, 192, 96, 208, 16, 48, 64),
        )  # fmt: skip
        self.to_4d = nn.Sequential(
            Inception(512, 160, 112, 224, 24, 64, 64), Inception(512, 128, 128, 256, 24, 64, 64),
            Inception(512, 112, 144, 288, 32, 64, 64),
        )  # fmt: skip
        self.to_end = nn.Sequential(
            Inception(528, 256, 160, 320, 32, 128, 128), nn.MaxPool2d(2, 2, ceil_mode=True),
            Inception(832, 256, 160, 320, 32, 128, 128), Inception(832, 384, 192, 384, 48, 128, 128),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(1024, classes),
        )  # fmt: skip
        self.aux1, self.aux2 = auxiliary(512, classes), auxiliary(528, classes)

    def forward(self, x):
        at_4a = self.to_4a(x)
        at_4d = self.to_4d(at_4a)
        y = self.to_end(at_4d)
        return (y, self.aux1(at_4a), self.aux2(at_4d)) if self.training else y


def googlenet_small(channels, classes):
    inception = partial(Inception, size=5)
    return nn.Sequential(
        conv_bn(channels, 32, 3, 1, 1), nn.MaxPool2d(3, 2, 1), inception(32, 32, 24, 48, 8, 16, 16),
        inception(112, 32, 32, 64, 8, 16, 16), nn.MaxPool2d(3, 2, 1), inception(128, 64, 48, 96, 12, 32, 32),
        inception(224, 96, 64, 128, 16, 32, 32), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4),
        nn.Linear(288, classes),
    )  # fmt: skip


NETS = {
    "vgg16": vgg16,
    "alexnet_owt": alexnet_owt,
    "resnet18": resnet18,
    "googlenet_torchvision": GoogLeNet,
    "resnet50": resnet50,
    "densenet121": densenet121,
    "resnet20": resnet20,
    "densenet_bc_100_12": densenet_bc_100_12,
    "densenet_small": densenet_small,
    "vgg_small_bn": vgg_small_bn,
    "googlenet_small": googlenet_small,
    "alexnet_small": alexnet_small,
}
