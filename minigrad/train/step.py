"""A training step: forward, backward, unscaling, clipping and the optimizer's update, op by op."""

import math
from itertools import pairwise
from typing import NamedTuple

from ..distributed.group import Group
from ..optim import clip_grad_norm_
from ..tensor import Tensor
from .gradients import gradients


class StepResult(NamedTuple):
    """loss: mean over the batch; correct: how many images were classified rightly; images: how many there were."""

    loss: float
    correct: int
    images: int


def count_correct(logits, labels):
    """How many rows of logits (N, classes) are largest at their label; of a soft label its largest class counts."""
    wanted = labels if labels.ndim == 1 else labels.argmax(1)
    return (logits.argmax(1) == wanted).sum()


def op_by_op(
    model, optimizer, images, labels, *, scaler, clip_grad_norm=None, count=count_correct, portions=1, weigh=len,
    reducer=None, gradients=gradients, **settings,
):  # fmt: skip
    """train_step on tensors that are on the model's device. settings: of `gradients`.

    count: how many rows of logits are right; None: of outputs that are no classes, 0.
    portions: into how many parts the batch is divided, whose gradients are added up, each by its share in the mean.
    weigh: what labels count in the loss's mean: how many there are, or the sum of their classes' weights.
    gradients: what computes them, or replays it (replay.py).
    reducer: a GradientReducer of processes that share a batch, of which this one has these images; None: it has all.
    """
    group = Group() if reducer is None else reducer.group
    parts, (number, total) = portions_of(images, labels, portions), group.sums(len(labels), weigh(labels))
    value, correct = 0.0, 0
    for part, targets in parts:
        share = weigh(targets) / total if total else math.nan  # the mean of nothing is not finite
        if reducer is not None and part is parts[-1][0]:  # the mean over processes of all gradients that are there now
            settings["backward"] = reducer.backward
        scale = scaler.get_scale() * share * group.size
        loss, logits = gradients(model, part, targets, scale=scale, **settings)
        own = loss.item()  # after the backward pass was launched: a GPU is not kept waiting for it
        value += share * own if share else 0.0
        correct += 0 if count is None else int(count(logits.data, targets.data))
    value, correct = group.sums(value, correct)
    refuse_not_finite(value, scaler, optimizer)
    if clip_grad_norm is not None:
        scaler.unscale_(optimizer)
        clip_grad_norm_(optimizer.params, clip_grad_norm)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    return StepResult(value, int(correct), int(number))


def refuse_not_finite(loss, scaler, optimizer):
    """FloatingPointError, with the gradients cleared, for a loss that the scaler can do nothing about."""
    if not math.isfinite(loss) and scaler.get_scale() <= 1:
        optimizer.zero_grad()
        raise FloatingPointError(f"the loss is {loss}")


def portions_of(images, labels, number):
    """(images, labels) of each of so many parts of a batch, as equal as they can be; of few images fewer parts."""
    if number == 1:
        return [(images, labels)]
    ends = sorted({i * len(labels) // number for i in range(number + 1)})
    return [(Tensor(images.data[a:b]), Tensor(labels.data[a:b])) for a, b in pairwise(ends)]
