"""Chainer 7: NumPy, on one processor but for BLAS."""

from itertools import pairwise

import chainer
import numpy as np
from chainer import functions as F
from chainer import links as L


class ConvBN(chainer.Chain):
    def __init__(self, c, k, stride=1, bias=False):
        super().__init__()
        with self.init_scope():
            self.conv = L.Convolution2D(c, k, 3, stride, 1, nobias=not bias)
            self.norm = L.BatchNormalization(k)

    def forward(self, x):
        return self.norm(self.conv(x))


class Basic(chainer.Chain):
    """ResNet's block; where the shape changes, every second pixel and channels of zeros (option A)."""

    def __init__(self, c, k):
        super().__init__()
        self.extra = k - c
        with self.init_scope():
            self.first, self.second = ConvBN(c, k, 1 if c == k else 2), ConvBN(k, k)

    def forward(self, x):
        y = self.second(F.relu(self.first(x)))
        if self.extra:
            x = x[:, :, ::2, ::2]
            x = F.concat((x, np.zeros((x.shape[0], self.extra, *x.shape[2:]), np.float32)))
        return F.relu(y + x)


def mean_pool(x):
    return F.mean(x, axis=(2, 3))


def pool(x):
    return F.max_pooling_2d(x, 2, cover_all=False)


def resnet20(channels, classes):
    widths = 16, 16, 16, 16, 32, 32, 32, 64, 64, 64
    blocks = [Basic(c, k) for c, k in pairwise(widths)]
    return chainer.Sequential(ConvBN(channels, 16), F.relu, *blocks, mean_pool, L.Linear(64, classes))


def vgg_small_bn(channels, classes):
    layers, c = [], channels
    for k in (16, 32, 64, 128):
        layers += [ConvBN(c, k, bias=True), F.relu, ConvBN(k, k, bias=True), F.relu, pool]
        c = k
    return chainer.Sequential(*layers, mean_pool, L.Linear(c, classes))


NETS = {"resnet20": resnet20, "vgg_small_bn": vgg_small_bn}


def build(net, image, channels, classes, batch, mode, threads):
    model = NETS[net](channels, classes)
    optimizer = chainer.optimizers.MomentumSGD(lr=1e-3, momentum=0.9).setup(model)
    optimizer.add_hook(chainer.optimizer_hooks.WeightDecay(1e-4))
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, channels, image, image), dtype=np.float32)
    y = rng.integers(0, classes, batch).astype(np.int32)

    def train():
        model.cleargrads()
        F.softmax_cross_entropy(model(x), y).backward()
        optimizer.update()

    def forward():
        with chainer.using_config("train", False), chainer.no_backprop_mode():
            model(x)

    return train if mode == "train" else forward
