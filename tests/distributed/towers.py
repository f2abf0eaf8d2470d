"""A small net of two towers that learns for some steps, in one process or two: python towers.py FILE.npz.

Written are the weights and, under "loss", the loss of each step.
"""

import sys

import numpy as np

from architectures import towers
from architectures.alexnet import TowerNorm, assemble
from minigrad import distributed, nn, use_kernels
from minigrad.nn import functional as F
from minigrad.optim import SGD
from minigrad.tensor import Tensor


def net():
    """AlexNet's order of layers, for images of 8x8."""
    features = {
        **{"conv1": nn.Conv2d(3, 8, 3, padding=1), "relu1": nn.ReLU(), "norm1": TowerNorm(2)},
        **{"pool1": nn.MaxPool2d(2), "conv2": nn.Conv2d(8, 12, 3, padding=1, groups=2), "relu2": nn.ReLU()},
        **{"conv3": nn.Conv2d(12, 8, 3, padding=1), "relu3": nn.ReLU()},
        **{"conv4": nn.Conv2d(8, 4, 3, padding=1, groups=2), "relu4": nn.ReLU(), "pool5": nn.MaxPool2d(2)},
    }
    model, rng = assemble(features, (8, 8), 6, 3, dropout=0.5), np.random.default_rng(5)
    for p in model.parameters():
        p.data[...] = 0.3 * rng.standard_normal(p.shape)
    return model


def batch(step):
    rng = np.random.default_rng(step)
    return rng.standard_normal((4, 8, 8, 3)), rng.integers(0, 3, 4)


def learned(group, steps=3):
    """(weights, gradients of the first step, losses) of the whole net after some steps of a group."""
    model = towers.split(net().double(), group).train()
    optimizer, losses, first = SGD(list(model.parameters()), 0.1, momentum=0.9, weight_decay=0.01), [], {}
    for step in range(steps):
        x, labels = batch(step)
        nn.reseed(model, 1, step)
        loss = F.cross_entropy(model(Tensor(x)), labels)
        loss.backward()
        first = first or {name: p.grad.copy() for name, p in model.named_parameters()}
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return towers.whole_state_dict(model, group), first, losses


if __name__ == "__main__":
    group = distributed.init_process_group()
    with use_kernels("reference"):
        weights, _, losses = learned(group)
    if group.rank == 0:
        np.savez(sys.argv[1], loss=losses, **weights)
