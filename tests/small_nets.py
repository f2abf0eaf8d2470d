"""A net and batches so small that a test can train on them."""

import numpy as np

import architectures
from minigrad import nn


def small_net():
    rng = np.random.default_rng(0)
    layers = (
        nn.Conv2d(1, 4, 3, padding=1, bias=False, rng=rng),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.2),
    )
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(36, 3, rng=rng))


def batch(n=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 6, 6, 1), np.float32), rng.integers(0, 3, n)


def brightness():
    """A net that says class 0 of bright pictures and class 1 of dark ones."""
    net = architectures.create("lenet5", 2, 28)
    for t in net.parameters():
        t.data[...] = 0.0
    net.c1.weight.data[0, 2, 2, 0] = net.c3.weight.data[0, 2, 2, 0] = 1.0
    net.c5.weight.data[0, 0] = net.f6.weight.data[0, 0] = 1.0
    net.output.weight.data[:, 0] = 9.0, -9.0
    return net
