"""What a run will do and cost, before it starts."""

import time

import numpy as np
from threadpoolctl import threadpool_limits

from kernels.virtual import virtual

from .. import nn
from ..command.errors import blaming_the_user
from ..device import CPU, get_num_threads
from ..nn.inspection import shapes_only
from ..tensor import Tensor
from .loaders import step_images
from .log import count, duration, row
from .loop import LOW_TYPES
from .setup import within_memory

PROBE, PROBES = 512, 8  # side and number of the matrix products that tell how fast this machine multiplies
EFFICIENCY = 0.25  # of a whole training step beside a matrix product: layers that only move memory take their time too
FEW_STEPS = 20  # fewer of them in all teach a net next to nothing
OPTIMIZER_SLOTS = {"sgd": 1, "adam": 2, "adamw": 2}


def describe(setup, session, device):
    """Lines that tell what the run will do: net, data, training, machine, memory and time; and what to look at first.

    UsageError for a net, an image size and a batch that don't fit each other, or that no machine has the memory for.
    """
    config, datasets = setup.config, setup.datasets
    on_cpu = device is CPU
    with blaming_the_user(ValueError, OverflowError), within_memory(config):  # a window larger than the image
        found = nn.summary(session.model, (config.image_size, config.image_size, datasets.channels))
        refuse_single_values(session, datasets)
        sized = OPTIMIZER_SLOTS[config.opt], config.amp in LOW_TYPES
        if on_cpu and found.training_bytes(1, *sized) > device.memory():
            raise MemoryError
    memory = found.training_bytes(-(-config.batch_size // setup.group.size), *sized)
    rows = {
        "net": f"{config.arch} ({setup.why})",
        "": f"{count(found.parameters, 'parameter')}, {found.macs:,} MACs an image",
        "data": describe_data(config, datasets),
        "training": describe_training(config, session.steps),
        "machine": describe_machine(device, setup.group.size),
        "memory": f"about {memory / 2**20:,.0f} MiB at the peak of a step, besides the data",
    }
    if on_cpu:
        spent = duration(estimate(found, session))
        rows["time"] = f"about {spent}, estimated from the MACs; each epoch's line says more"
    if session.global_step():
        rows["resumed"] = describe_progress(session)
    lines = [row(name, text) for name, text in rows.items()]
    return lines + [row("note", note) for note in (*setup.notes, *notes(session, memory, device))]


def describe_progress(session):
    progress = session.progress
    if progress.step == 0:
        return f"after epoch {progress.epoch} of {session.config.epochs}"
    return f"after step {progress.step} of {session.steps} of epoch {progress.epoch + 1}"


def refuse_single_values(session, datasets):
    """ValueError if batch norm would see a single value a channel: a batch of one image on maps of one pixel."""
    config = session.config
    if min(config.batch_size, len(datasets.train)) == 1:
        shape = (1, config.image_size, config.image_size, datasets.channels)
        with shapes_only(session.model):
            session.frozen.start_training(session.model)
            session.model(Tensor(virtual(shape, np.dtype(np.float32))))


def notes(session, memory, device):
    """What may well be a mistake, each in a sentence."""
    total = session.config.epochs * session.steps
    if total < FEW_STEPS:
        yield f"only {count(total, 'step')} in all: few to learn from (more --epochs, a smaller --batch-size)"
    if session.datasets.train.num_classes == 1:
        yield "one class only: there is nothing to tell apart, and any net is right"
    if session.frozen.names:
        kept, all_of = (sum(p.size for p in some) for some in (session.frozen.parameters, session.model.parameters()))
        yield f"frozen: {kept:,} of {count(all_of, 'parameter')}; the memory is estimated as if none were"
    if memory > device.memory():
        low = " or --amp bf16" if device is not CPU and session.config.amp == "none" else ""
        there = f"{device.memory() / 2**20:,.0f} MiB of memory"
        yield f"{device.name} has {there} for a step: try a smaller --batch-size{low}"


def describe_data(config, datasets):
    size = f"{config.image_size}x{config.image_size}x{datasets.channels}"
    counts = f"{len(datasets.train):,} training and {count(len(datasets.test), 'test image')}"
    augmented = ", random crops and flips" if config.augment else ""
    return f"{config.data}: {counts}, {size}, {count(datasets.train.num_classes, 'class')}{augmented}"


def describe_machine(device, processes):
    threads = f", {count(get_num_threads(), 'thread')}" if device is CPU else ""
    shared = f" in each of {processes} processes, which share each batch" if processes > 1 else ""
    return f"{device.name}{threads}{shared}, {device.kernels.__name__}"


def describe_training(config, steps):
    warm = f" after {count_of(config.lr_warmup_epochs, 'epoch')} of rise" if config.lr_warmup_epochs else ""
    mixed = f", {config.amp}" if config.amp != "none" else ""
    return (
        f"{count(config.epochs, 'epoch')} of {count(steps, 'step')} of {count(step_images(config), 'image')}; "
        f"{config.opt}, "
        f"lr {config.lr:g} {config.lr_scheduler}{warm}, weight decay {config.weight_decay:g}{mixed}"
    )


def count_of(number, thing):
    return f"{number:g} {thing if number == 1 else thing + 's'}"


def estimate(found, session):
    """Seconds that the rest of the run takes, as the MACs of the net and the speed of a matrix product tell."""
    config, progress = session.config, session.progress
    images = session.steps * step_images(config)
    tested = min(len(session.datasets.test), (config.limit_test_batches or 10**9) * config.batch_size)
    macs = training_macs(found.rows, session) * images + tested * found.macs
    return (config.epochs - progress.epoch) * macs / (EFFICIENCY * macs_per_second() * session.group.size)


def training_macs(rows, session):
    """MACs of a training step, for one image: forward, and the gradients by input and by weight.

    A layer that is frozen needs none by weight, and before the first one that is trained none by input either.
    """
    frozen = {name for name, module in session.model.named_modules() if is_one_of(module, session.frozen.modules)}
    total, reached = 0, False
    for layer in (r for r in rows if r.macs):
        trained = layer.name not in frozen
        reached = reached or trained
        total += layer.macs * (1 + reached + trained)
    return total


def is_one_of(module, modules):
    return any(module is other for other in modules)


def macs_per_second():
    """Multiply-accumulates a second: those of one thread in a product of float32 matrices, times the threads."""
    a, times = np.ones((PROBE, PROBE), np.float32), []
    with threadpool_limits(1, user_api="blas"):
        for _ in range(PROBES):
            start = time.perf_counter()
            a @ a
            times.append(time.perf_counter() - start)
    return get_num_threads() * PROBE**3 / min(times)
