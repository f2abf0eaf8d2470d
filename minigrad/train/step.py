"""A training step: forward, backward, unscaling, clipping and the optimizer's update, op by op."""

import math
from typing import NamedTuple

from ..optim import clip_grad_norm_
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


def op_by_op(model, optimizer, images, labels, *, scaler, clip_grad_norm=None, count=count_correct, **settings):
    """train_step on tensors that are on the model's device. settings: of `gradients`.

    count: how many rows of logits are right; None: of outputs that are no classes, 0.
    """
    loss, logits = gradients(model, images, labels, scale=scaler.get_scale(), **settings)
    value = loss.item()  # after the backward pass was launched: a GPU is not kept waiting for it
    refuse_not_finite(value, scaler, optimizer)
    if clip_grad_norm is not None:
        scaler.unscale_(optimizer)
        clip_grad_norm_(optimizer.params, clip_grad_norm)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    return StepResult(value, 0 if count is None else int(count(logits.data, labels.data)), len(labels))


def refuse_not_finite(loss, scaler, optimizer):
    """FloatingPointError, with the gradients cleared, for a loss that the scaler can do nothing about."""
    if not math.isfinite(loss) and scaler.get_scale() <= 1:
        optimizer.zero_grad()
        raise FloatingPointError(f"the loss is {loss}")
