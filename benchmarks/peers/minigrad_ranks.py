"""Ourselves, in several processes."""

import time

import numpy as np

import architectures
import minigrad
from minigrad import distributed, nn, optim


class Silent(distributed.Group):
    """So many processes that send nothing: what they compute alone."""

    def __init__(self, rank, size):
        self.rank, self.size = rank, size


def connect():
    """Meet the others: the own rank."""
    return distributed.init_process_group().rank


def build(net, image, channels, classes, batch, threads, synchronised=False, silent=False):
    """A step on this process's share of the batch; it returns what happened when."""
    group = distributed.init_process_group()
    minigrad.set_num_threads(threads)
    model = architectures.create(net, num_classes=classes, image_size=image, in_channels=channels)
    if synchronised:
        model = distributed.SyncBatchNorm.convert_sync_batchnorm(model)
    rng, own = np.random.default_rng(0), batch // group.size
    x = minigrad.tensor(rng.standard_normal((own, image, image, channels), dtype=np.float32))
    y = rng.integers(0, classes, own)
    model.train()
    optimizer, events = optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4), []

    def observe(event, bucket=None):
        events.append((event, bucket, time.perf_counter()))

    group = Silent(group.rank, max(group.size, 2)) if silent else group
    reducer = distributed.GradientReducer(model.parameters(), group, observe=observe)

    def step():
        events.clear()
        observe("start")
        optimizer.zero_grad()
        loss = architectures.training_loss(nn.functional.cross_entropy, model(x), y)
        reducer.backward(loss)
        optimizer.step()
        observe("done")
        return [*events, *(("bytes", i, bucket.array.nbytes) for i, bucket in enumerate(reducer.buckets))]

    return step
