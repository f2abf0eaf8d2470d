"""Ourselves."""

import numpy as np

import architectures
import minigrad
from minigrad import nn, optim


def build(net, image, channels, classes, batch, mode, threads):
    minigrad.set_num_threads(threads)
    model = architectures.create(net, num_classes=classes, image_size=image, in_channels=channels)
    rng = np.random.default_rng(0)
    x = minigrad.tensor(rng.standard_normal((batch, image, image, channels), dtype=np.float32))
    y = rng.integers(0, classes, batch)
    model.train(mode == "train")
    optimizer = optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)

    def train():
        optimizer.zero_grad()
        architectures.training_loss(nn.functional.cross_entropy, model(x), y).backward()
        optimizer.step()

    captured = minigrad.capture(model)  # as minigrad.predict does
    return train if mode == "train" else lambda: captured(x)
