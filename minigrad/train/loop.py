"""The training loop: a step, an epoch, a test."""

import math
import time
from contextlib import nullcontext

from ..autograd import no_grad
from ..distributed.group import Group
from ..explain import detect_anomaly
from ..nn import functional as F
from ..nn import reseed
from ..optim import GradScaler
from ..random import seeded
from ..tensor import Tensor
from .errors import Diverged
from .measures import Classes, Meter
from .results import draw
from .step import op_by_op
from .transfer import prefetch_to_device

ALONE = Group()
LOW_TYPES = {"bf16": "bfloat16", "fp16": "float16"}  # --amp: autocast's type


def train_step(
    model, optimizer, images, labels, *, criterion=F.cross_entropy, clip_grad_norm=None, low_type=None, scaler=None,
    step=op_by_op, **settings,
):  # fmt: skip
    """One step of gradient descent on one batch; the model should be in training mode.

        images (N, H, W, C) floats   labels (N,) classes, or (N, classes) probabilities   ->   StepResult

    Arrays or tensors, which are moved to the model's device. A model that returns a tuple of logits and others says
    itself what their loss is, by `loss(criterion, labels)`, as GoogLeNet's does. Gradients are cleared at the end.
    criterion: the loss of outputs and labels, a mean over the batch; low_type: the 16-bit type of autocast, or None;
    scaler: a GradScaler, which skips steps whose gradients overflow; step: what makes it of tensors on the model's
    device, `op_by_op` or a GraphedStep; settings: of the step.
    FloatingPointError, with no parameter changed, if the loss is not finite. A scaler skips such a step instead, until
    its scale has come down to 1. (Batch norm's running statistics are those of the forward pass, skipped or not.)
    """
    device = next(model.parameters()).device
    scaler = GradScaler(enabled=False) if scaler is None else scaler
    images, labels = on_device(images, device), on_device(labels, device)
    settings |= dict(criterion=criterion, low_type=low_type, clip_grad_norm=clip_grad_norm)
    return step(model, optimizer, images, labels, scaler=scaler, **settings)


def on_device(value, device):
    """An array or a tensor as a tensor on this device."""
    return value.to(device) if isinstance(value, Tensor) else Tensor(device.asarray(value))


@no_grad()
def evaluate(model, batches, parts, between=lambda: None, group=ALONE):
    """Test a model in evaluation mode on batches of (images, labels) -> TestResult. Its mode is put back.

    parts: what is measured (see parts.Named), or the number of classes; between: called after each batch; what it
    raises ends the test; group: processes, each of which tests on batches of its own.
    """
    device, training = next(model.parameters()).device, model.training
    meter = Meter(Classes(parts) if isinstance(parts, int) else parts)
    model.eval()
    try:
        for images, labels in prefetch_to_device(batches, device):
            meter.add(meter.parts.scores(model, on_device(images, device)), on_device(labels, device))
            between()
    finally:
        model.train(training)
    meter.gather(group)
    return meter.result()


def fit(session, log, request, callbacks=()):
    """Train until all epochs are done, or patience is out.

    Each epoch is saved, tested, recorded, saved with its record, and said. What it leaves besides is written before the
    checkpoint that counts it, so that a run that was killed in between writes it again.

    request: a StopRequest; callbacks: each is called with an epoch's record when it is done. Stopped, with the session
    ready to be saved, when a signal asked for it; Diverged when numbers are not finite.
    """
    while not session.is_over():
        train_epoch(session, log, request)
        session.say_skipped(session.loader)
        session.save()  # whatever happens in the test: the trained epoch is there
        start, compiling = time.perf_counter(), session.compilation.seconds()
        result = session.test(request.check_alone)
        if not math.isfinite(result.loss):
            raise Diverged(f"the test loss after epoch {session.progress.epoch + 1} is {result.loss}")
        tested = time.perf_counter() - start - (session.compilation.seconds() - compiling)
        seconds, rate = session.progress.seconds + tested, session.progress.images_per_second
        record = session.progress.finish_epoch(result, session.epoch_lr())
        log.record(session.progress.history, result)
        if session.is_over():
            draw(session, result)
        session.save(best=session.progress.is_best())
        log.epoch(record, seconds, rate)
        for call in callbacks:
            call(record)
    session.finish_saving()


def train_epoch(session, log, request):
    """The steps of the epoch under way that are not done yet. Their time leaves out what was spent on compiling."""
    progress, device = session.progress, next(session.model.parameters()).device
    session.frozen.start_training(session.model)
    with log.bar(session) as bar:
        start, compiling = time.perf_counter(), session.compilation.seconds()
        for images, labels in prefetch_to_device(session.batches(), device):
            result = guarded_step(session, images, labels)
            now, compiled = time.perf_counter(), session.compilation.seconds()
            progress.add(result, now - start - (compiled - compiling))
            start, compiling = now, compiled
            session.compilation.close()
            bar.step_done(progress, session.seconds_left())
            session.save_if_due()
            request.check()


def guarded_step(session, images, labels):
    """train_step with the session's settings, then schedule and average. What it draws depends on (seed, step) only.

    (In the second and further of several processes on (seed, step, rank).)
    """
    config, number = session.config, session.global_step()
    keys = (config.seed, number, session.group.rank) if session.group.rank else (config.seed, number)
    reseed(session.model, *keys)
    settings = dict(criterion=session.parts.criterion, clip_grad_norm=config.clip_grad_norm)
    if config.grad_accum > 1:
        settings |= dict(portions=config.grad_accum, weigh=session.parts.weigh)
    if session.parts.count is None:
        settings["count"] = None
    settings |= dict(low_type=LOW_TYPES.get(config.amp), scaler=session.scaler, step=session.step)
    if session.reducer is not None:
        settings |= dict(reducer=session.reducer, weigh=session.parts.weigh)
    session.between_steps = False
    try:
        with seeded(*keys), detect_anomaly() if config.detect_anomaly else nullcontext():
            result = train_step(session.model, session.optimizer, images, labels, **settings)
    except FloatingPointError as error:
        lr = session.scheduler.get_last_lr()[0]
        what, *details = str(error).splitlines()
        when = f"at step {number + 1} (epoch {session.progress.epoch + 1}), lr {lr:.3g}"
        raise Diverged("\n".join((f"{what} {when}", *details))) from error
    session.scheduler.step()
    if session.average is not None:
        session.average.update()
    session.between_steps = True
    return result
