"""--find-lr: a short trial in which the learning rate rises until the loss does, too (Smith 2015, arXiv:1506.01186)."""

import math
from itertools import chain, count, islice

import numpy as np

from ..command.files import write_atomically
from ..command.screen import Bar, say
from ..explain.figure import figure, png
from ..nn import reseed
from ..random import seeded
from .directory import blaming_the_directory, planned
from .loop import LOW_TYPES, train_step

LOWEST, HIGHEST, STEPS = 1e-6, 10.0, 100
SMOOTHING = 0.9  # share of the mean so far in the running mean of the losses
TOO_HIGH = 4.0  # times the lowest loss: there is nothing left to be seen


def find_lr(session, command):
    """Try rates on a session's net, which is not of use afterwards; draw them and say which is a good one. Status 0."""
    rates, losses = tried(session)
    best = steepest(rates, losses)
    directory = planned(session.config, command)
    with blaming_the_directory(directory):
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(directory / "lr.png", drawn(rates, losses, best))
    seen = f"where the loss falls fastest, in {len(rates)} steps; drawn in {directory / 'lr.png'}"
    say(f"--lr {best:.2g}  ({seen})", always=True)
    return 0


def tried(session):
    """(rates, running means of the losses) of steps with rising rates, until the loss rises far, too."""
    rates, losses, mean = [], [], 0.0
    batches = chain.from_iterable(session.labelled(session.loader.iterate(epoch)) for epoch in count())
    with Bar("finding lr", STEPS) as bar:
        for i, batch in enumerate(islice(batches, STEPS)):
            rate = LOWEST * (HIGHEST / LOWEST) ** (i / (STEPS - 1))
            for group in session.optimizer.param_groups:
                group["lr"] = rate
            loss = stepped(session, i, batch)
            mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
            now = mean / (1 - SMOOTHING ** (i + 1))
            if not math.isfinite(now) or (losses and now > TOO_HIGH * min(losses)):
                break
            rates.append(rate)
            losses.append(now)
            bar.update()
    return np.array(rates), np.array(losses)


def stepped(session, number, batch, **more):
    """The loss of a trial step; infinite where it isn't finite. more: settings of train_step."""
    config = session.config
    reseed(session.model, config.seed, number)
    settings = dict(criterion=session.parts.criterion, scaler=session.scaler, low_type=LOW_TYPES.get(config.amp))
    settings |= dict(portions=config.grad_accum, weigh=session.parts.weigh, clip_grad_norm=config.clip_grad_norm)
    settings |= more
    session.frozen.start_training(session.model)
    try:
        with seeded(config.seed, number):
            return train_step(session.model, session.optimizer, *batch, **settings).loss
    except FloatingPointError:
        return math.inf


def steepest(rates, losses):
    """The rate at which the loss falls fastest as the rate's logarithm grows; before the lowest loss."""
    until = max(int(np.argmin(losses)) + 1, 2)
    if len(rates) < 2:
        return LOWEST
    return float(rates[:until][np.argmin(np.gradient(losses[:until]))])


def drawn(rates, losses, best):
    """A PNG (bytes) of the loss at each rate."""
    fig, axes = figure(figsize=(7, 4))
    axes.plot(rates, losses)
    axes.axvline(best, color="tab:green", linestyle="--", label=f"{best:.2g}")
    axes.set(xscale="log", xlabel="learning rate", title="loss (running mean) as the learning rate rises")
    axes.grid(alpha=0.3)
    axes.legend()
    return png(fig)
