"""What a run will do and cost, before it starts."""

import time

import numpy as np
from threadpoolctl import threadpool_limits

from .. import nn
from ..device import CPU, get_num_threads
from .errors import blaming_the_user
from .log import duration
from .loop import LOW_TYPES

PROBE, PROBES = 512, 8  # side and number of the matrix products that tell how fast this machine multiplies
EFFICIENCY = 0.25  # of a whole training step beside a matrix product: layers that only move memory take their time too
TRAINING_MACS = 3  # a step computes a forward product and the gradients by input and by weight
OPTIMIZER_SLOTS = {"sgd": 1, "adam": 2, "adamw": 2}


def describe(setup, session, device):
    """Lines that tell what the run will do: net, data, training, machine, memory and time."""
    config, datasets = setup.config, setup.datasets
    with blaming_the_user(ValueError):  # a window larger than the image
        found = nn.summary(session.model, (config.image_size, config.image_size, datasets.channels))
    memory = found.training_bytes(config.batch_size, OPTIMIZER_SLOTS[config.opt], config.amp in LOW_TYPES)
    on_cpu = device is CPU
    threads = f"{get_num_threads()} threads, " if on_cpu else ""
    rows = {
        "net": f"{config.arch} ({setup.why})",
        "": f"{found.parameters:,} parameters, {found.macs:,} MACs an image",
        "data": describe_data(config, datasets),
        "training": describe_training(config, session.steps),
        "machine": f"{device.name}, {threads}{device.kernels.__name__}",
        "memory": f"about {memory / 2**20:,.0f} MiB at the peak of a step, besides the data",
    }
    if on_cpu:
        spent = duration(estimate(found, session))
        rows["time"] = f"about {spent}, estimated from the MACs; each epoch's line says more"
    return [f"{name:<9} {text}" for name, text in rows.items()]


def describe_data(config, datasets):
    size = f"{config.image_size}x{config.image_size}x{datasets.channels}"
    counts = f"{len(datasets.train):,} training and {len(datasets.test):,} test images"
    augmented = ", random crops and flips" if config.augment else ""
    return f"{config.data}: {counts}, {size}, {datasets.train.num_classes} classes{augmented}"


def describe_training(config, steps):
    warm = f" after {config.lr_warmup_epochs:g} epochs of rise" if config.lr_warmup_epochs else ""
    mixed = f", {config.amp}" if config.amp != "none" else ""
    return (
        f"{config.epochs} epochs of {steps} steps of {config.batch_size} images; {config.opt}, "
        f"lr {config.lr:g} {config.lr_scheduler}{warm}, weight decay {config.weight_decay:g}{mixed}"
    )


def estimate(found, session):
    """Seconds that the rest of the run takes, as the MACs of the net and the speed of a matrix product tell."""
    config, progress = session.config, session.progress
    images = session.steps * config.batch_size
    tested = min(len(session.datasets.test), (config.limit_test_batches or 10**9) * config.batch_size)
    macs = (TRAINING_MACS * images + tested) * found.macs
    return (config.epochs - progress.epoch) * macs / (EFFICIENCY * macs_per_second())


def macs_per_second():
    """Multiply-accumulates a second: those of one thread in a product of float32 matrices, times the threads."""
    a, times = np.ones((PROBE, PROBE), np.float32), []
    with threadpool_limits(1, user_api="blas"):
        for _ in range(PROBES):
            start = time.perf_counter()
            a @ a
            times.append(time.perf_counter() - start)
    return get_num_threads() * PROBE**3 / min(times)
