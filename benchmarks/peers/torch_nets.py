"""The five nets in plain PyTorch, for comparison: the layers that minigrad's nets have, under no particular names."""

import torch
from torch import nn
from torch.nn import functional as F


def conv_bn(c, k, size, stride=1, padding=0):
    return nn.Sequential(nn.Conv2d(c, k, size, stride, padding, bias=False), nn.BatchNorm2d(k), nn.ReLU(inplace=True))


def alexnet():
    relu = nn.ReLU(inplace=True)
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2), relu, nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, 1, 2), relu, nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, 1, 1), relu, nn.Conv2d(384, 256, 3, 1, 1), relu, nn.Conv2d(256, 256, 3, 1, 1), relu,
        nn.MaxPool2d(3, 2), nn.AdaptiveAvgPool2d(6), nn.Flatten(),
        nn.Dropout(0.5), nn.Linear(9216, 4096), relu,
        nn.Dropout(0.5), nn.Linear(4096, 4096), relu, nn.Linear(4096, 1000),
    )  # fmt: skip


def vgg16():
    layers, c = [], 3
    for k in (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"):
        if k == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(c, k, 3, 1, 1), nn.ReLU(inplace=True)]
            c = k
    head = [nn.Flatten(), nn.Linear(25088, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5)]
    head += [nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(4096, 1000)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(7), *head)


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


def resnet(block, expansion, depths):
    layers, c = [conv_bn(3, 64, 7, 2, 3), nn.MaxPool2d(3, 2, 1)], 64
    for stage, (k, n) in enumerate(zip((64, 128, 256, 512), depths)):
        for i in range(n):
            layers.append(block(c, k, 2 if stage and not i else 1))
            c = k * expansion
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 1000))


class PadShortcut(nn.Module):
    """Option A: every second pixel, new channels zero."""

    def __init__(self, c, k):
        super().__init__()
        self.pad = (k - c) // 2

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))


def resnet20():
    layers, c = [conv_bn(3, 16, 3, 1, 1)], 16
    for k in (16, 32, 64):
        for _ in range(3):
            stride = 1 if c == k else 2
            tail = nn.Conv2d(k, k, 3, 1, 1, bias=False), nn.BatchNorm2d(k)
            shortcut = nn.Identity() if c == k else PadShortcut(c, k)
            layers.append(Residual(nn.Sequential(conv_bn(c, k, 3, stride, 1), *tail), shortcut))
            c = k
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


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
        if i < len(depths) - 1:
            layers += [nn.BatchNorm2d(c), nn.ReLU(inplace=True), nn.Conv2d(c, c // 2, 1, bias=False), nn.AvgPool2d(2)]
            c //= 2
    tail = [nn.BatchNorm2d(c), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, classes)]
    return nn.Sequential(*layers, *tail)


def densenet121():
    return densenet([conv_bn(3, 64, 7, 2, 3), nn.MaxPool2d(3, 2, 1)], 64, 32, (6, 12, 24, 16), 1000)


def densenet_bc_100_12():
    return densenet([nn.Conv2d(3, 24, 3, 1, 1, bias=False)], 24, 12, (16, 16, 16), 10)


class Inception(nn.Module):
    def __init__(self, c, k1, r3, k3, r5, k5, kp):
        super().__init__()
        self.branches = nn.ModuleList([
            conv_bn(c, k1, 1),
            nn.Sequential(conv_bn(c, r3, 1), conv_bn(r3, k3, 3, 1, 1)),
            nn.Sequential(conv_bn(c, r5, 1), conv_bn(r5, k5, 3, 1, 1)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), conv_bn(c, kp, 1)),
        ])  # fmt: skip

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


class Auxiliary(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = conv_bn(c, 128, 1)
        self.fc1, self.fc2 = nn.Linear(2048, 1024), nn.Linear(1024, 1000)

    def forward(self, x):
        x = self.conv(F.adaptive_avg_pool2d(x, 4)).flatten(1)
        return self.fc2(F.dropout(F.relu(self.fc1(x)), 0.7, self.training))


class GoogLeNet(nn.Module):
    """torchvision's: batch norm, 3x3 in the "5x5" branch, auxiliary heads in training."""

    def __init__(self):
        super().__init__()
        pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.to_4a = nn.Sequential(
            conv_bn(3, 64, 7, 2, 3), pool, conv_bn(64, 64, 1), conv_bn(64, 192, 3, 1, 1), pool,
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
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(1024, 1000),
        )  # fmt: skip
        self.aux1, self.aux2 = Auxiliary(512), Auxiliary(528)

    def forward(self, x):
        at_4a = self.to_4a(x)
        at_4d = self.to_4d(at_4a)
        y = self.to_end(at_4d)
        return (y, self.aux1(at_4a), self.aux2(at_4d)) if self.training else y


NETS = {
    "alexnet_owt": alexnet,
    "vgg16": vgg16,
    "googlenet_torchvision": GoogLeNet,
    "resnet18": lambda: resnet(basic, 1, (2, 2, 2, 2)),
    "resnet50": lambda: resnet(bottleneck, 4, (3, 4, 6, 3)),
    "densenet121": densenet121,
    "resnet20": resnet20,
    "densenet_bc_100_12": densenet_bc_100_12,
}
