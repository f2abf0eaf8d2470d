"""A net and batches so small that a test can train on them."""

import numpy as np

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
