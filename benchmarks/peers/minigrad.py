"""Ourselves."""

import numpy as np

import architectures
import minigrad
from minigrad import optim
from minigrad.train import ReplayedGradients
from minigrad.train.gradients import gradients as op_by_op


def build(net, image, channels, classes, batch, mode, threads, replay=True):
    minigrad.set_num_threads(threads)
    model = architectures.create(net, num_classes=classes, image_size=image, in_channels=channels)
    rng = np.random.default_rng(0)
    x = minigrad.tensor(rng.standard_normal((batch, image, image, channels), dtype=np.float32))
    y = minigrad.tensor(rng.integers(0, classes, batch))
    model.train(mode == "train")
    optimizer = optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)

    gradients = ReplayedGradients() if replay else op_by_op  # as minigrad.train does

    def train():
        optimizer.zero_grad()
        gradients(model, x, y)
        optimizer.step()

    captured = minigrad.capture(model) if replay else minigrad.no_grad()(model)  # as minigrad.predict does
    return train if mode == "train" else lambda: captured(x)
