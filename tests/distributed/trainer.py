"""A Trainer for several processes: sets of arrays, a loss and a metric of one's own."""

import sys

import numpy as np

from minigrad import nn, use_kernels
from minigrad.data import ArrayDataset, DataLoader
from minigrad.nn import functional as F
from minigrad.train import Trainer

rng = np.random.default_rng(0)
net = nn.Sequential(nn.Flatten(), nn.Linear(36, 8, rng=rng), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3, rng=rng))
pictures, labels = rng.integers(0, 256, (41, 6, 6, 1), np.uint8), np.arange(41) % 3
images = ArrayDataset(pictures, labels, ["a", "b", "c"])
metrics = {"largest": lambda y, t: (y * y).mean()}
settings = dict(epochs=2, batch_size=8, lr=0.05, workers=0, output_dir=sys.argv[1], metrics=metrics)
with use_kernels("reference"):
    trainer = Trainer(net, images, DataLoader(images, 8), loss=F.cross_entropy, kernels="reference", **settings)
    assert len(trainer.fit()) == 2 and trainer.test()["largest"] > 0
