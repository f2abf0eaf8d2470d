"""The loss curves of the five families are PyTorch's, for a hundred steps from the same weights and batches."""

import loss_curves
import numpy as np
import pytest
from loss_curves import CLASSES, FAMILIES, FILE, SGD, SIDE

import architectures
from minigrad import nn, optim
from minigrad.interop.layout import from_torch
from minigrad.train.loop import train_step

# Both compute in float64, in different orders: about 1e-16 at first, which a hundred steps enlarge, most where batch
# norm is: 5e-14 was the most (AVX2; others may sum in other orders). An eps of 1e-5 for 1e-3 makes 7e-5 in one step.
RELATIVE = 1e-10
FLATTENED = {"classifier.fc6.weight": (2, 2, 64)}  # maps that are flattened: PyTorch has their channels first


def net_of(name):
    net = architectures.create(name, num_classes=CLASSES, in_channels=1, image_size=SIDE).to("float64")
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    named = list(net.named_parameters())
    theirs = [tuple(p.shape[i] for i in (0, 3, 1, 2)) if p.ndim == 4 else p.shape for _, p in named]
    for (full, parameter), array in zip(named, loss_curves.weights(theirs)):
        parameter.data[...] = from_torch(full, array, parameter.shape, FLATTENED.get(full))
    return net.train()


@pytest.mark.long
@pytest.mark.parametrize("name", FAMILIES)
def test_the_first_steps_are_pytorchs(name):
    net = net_of(name)
    optimizer = optim.SGD(net.parameters(), **SGD)
    losses = [train_step(net, optimizer, x, labels).loss for x, labels in loss_curves.batches()]
    with np.load(FILE) as file:
        expected = file[name]
    np.testing.assert_allclose(losses, expected, rtol=RELATIVE)
    assert expected[-1] < expected[0] / 3  # something was learned
