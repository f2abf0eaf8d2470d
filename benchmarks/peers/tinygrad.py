"""tinygrad on the CPU: kernels compiled with clang, the step captured once (TinyJit)."""

import os
from itertools import pairwise

os.environ.setdefault("DEV", "CPU")

from tinygrad import Context, Tensor, TinyJit, nn


class ConvBN:
    def __init__(self, c, k, stride=1, bias=False):
        self.conv, self.norm = nn.Conv2d(c, k, 3, stride, 1, bias=bias), nn.BatchNorm(k)

    def __call__(self, x):
        return self.norm(self.conv(x))


class Basic:
    """ResNet's block; where the shape changes, every second pixel and channels of zeros (option A)."""

    def __init__(self, c, k):
        self.extra, self.first, self.second = k - c, ConvBN(c, k, 1 if c == k else 2), ConvBN(k, k)

    def __call__(self, x):
        y = self.second(self.first(x).relu())
        if self.extra:
            x = x[:, :, ::2, ::2].pad((None, (0, self.extra), None, None))
        return (y + x).relu()


def resnet20(channels, classes):
    widths = 16, 16, 16, 16, 32, 32, 32, 64, 64, 64
    blocks = [Basic(c, k) for c, k in pairwise(widths)]
    return [ConvBN(channels, 16), Tensor.relu, *blocks, lambda x: x.mean((2, 3)), nn.Linear(64, classes)]


def vgg_small_bn(channels, classes):
    layers, c = [], channels
    for k in (16, 32, 64, 128):
        layers += [ConvBN(c, k, bias=True), Tensor.relu, ConvBN(k, k, bias=True), Tensor.relu, Tensor.max_pool2d]
        c = k
    return [*layers, lambda x: x.mean((2, 3)), nn.Linear(c, classes)]


NETS = {"resnet20": resnet20, "vgg_small_bn": vgg_small_bn}


def build(net, image, channels, classes, batch, mode, threads):
    Tensor.manual_seed(0)
    layers = NETS[net](channels, classes)
    x = Tensor.randn(batch, channels, image, image).realize()
    y = Tensor.randint(batch, high=classes).realize()
    weights = [t for name, t in nn.state.get_state_dict(layers).items() if name.endswith(("weight", "bias"))]
    optimizer = nn.optim.SGD(weights, lr=1e-3, momentum=0.9, weight_decay=1e-4)

    def train():
        optimizer.zero_grad()
        loss = x.sequential(layers).sparse_categorical_crossentropy(y).backward()
        return loss.realize(*optimizer.schedule_step())

    run = TinyJit(train if mode == "train" else lambda: x.sequential(layers).realize())

    def step():
        with Context(TRAINING=int(mode == "train")):
            run().numpy()

    return step
