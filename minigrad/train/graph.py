"""A training step as one CUDA graph: captured once, then replayed."""

import numpy as np

from ..device import use_kernels
from ..ops.loss import check_classes, outside_classes
from ..optim.clip import clip_factor
from ..recompute import drawing_from
from ..tensor import Tensor
from .gradients import gradients
from .step import StepResult, count_correct, op_by_op, refuse_not_finite


class Seeds:
    """Numbers of each pass in the memory of the device, where a captured pass reads them; drawn anew for each replay.

    They are dropout's seeds, and the batch's share in running statistics that are the mean of all batches. To
    `drawing_from` (recompute.py) it is what a Tape is for a checkpointed piece: draw(make, dtype) gives each number.
    There is no piece around it, and none that is run again: outer and replay are None.
    """

    outer = replay = None

    def __init__(self, device):
        self.device, self.drawn = device, []

    def draw(self, make, dtype):
        """An array of this type with room for the number that make() gives."""
        self.drawn.append((make, self.device.empty_apart(1, dtype)))
        return self.drawn[-1][1]

    def refresh(self):
        """Write the numbers of the next step."""
        for make, number in self.drawn:
            number[...] = number.dtype.type(make())


class Captured:
    """A step for batches of one shape, captured as a CUDA graph: what it reads and writes, and its launch.

    What the host decides op by op, the device decides here, by the same arithmetic. scale, inverse: of the loss.
    go: is the update to be made? report: what the host reads when all is done.
    """

    def __init__(self, model, optimizer, images, labels, scaled, **settings):
        device = images.device
        self.xp, self.settings, self.shapes = device.xp, (scaled, settings), shapes_of(images, labels)
        self.state, before = state_of(model, optimizer), counts_of(optimizer)
        self.images, self.labels = (Tensor(t.data.copy()) for t in (images, labels))
        self.scale, self.inverse = self.xp.ones((), np.float32), self.xp.ones((), np.float64)
        self.go, self.report = self.xp.zeros((), np.bool_), self.xp.zeros(3, np.float64)
        self.seeds = Seeds(device)
        self.updates = device.own_kernels.GraphedUpdates(device.empty_apart, self.go)
        try:
            with drawing_from(self.seeds):
                self.graph, self.grads = device.capture(lambda: self.step(model, optimizer, scaled, **settings))
        finally:
            optimizer.state[:] = before

    def step(self, model, optimizer, scaled, clip_grad_norm=None, **settings):
        """What is captured. Returns all parameters and their gradients."""
        loss, logits = gradients(model, self.images, self.labels, scale=self.scale, **settings)
        self.classes = logits.shape[1]
        grads = [p.grad for p in optimizer.params if p.grad is not None]
        go = self.xp.isfinite(loss.data)
        if scaled:
            go = self.updates.scale_all(grads, self.inverse) & (go | (self.inverse < 1))
        if clip_grad_norm is not None:
            self.clip(grads, clip_grad_norm)
        with use_kernels(self.updates):
            optimizer.step()
        self.go[...] = go & self.classes_are_right()
        self.updates.launch(len(grads))
        for i, number in enumerate((loss.data, count_correct(logits.data, self.labels.data), self.go)):
            self.report[i] = number
        return [(p, p.grad) for p in model.parameters()]

    def clip(self, grads, max_norm):
        """clip_grad_norm_"""
        factor = clip_factor(self.xp.sqrt(self.updates.squared_norm(grads)), max_norm)
        self.updates.scale_all(grads, self.xp.where(factor >= 1, 1.0, factor))

    def classes_are_right(self):
        """check_classes"""
        labels = self.labels.data
        return True if labels.ndim == 2 else ~outside_classes(labels, self.classes).any()

    def fits(self, model, optimizer, images, labels, scaled, **settings):
        """Is it the step for this batch, and are the arrays still those that it reads?"""
        state = state_of(model, optimizer)
        same = len(state) == len(self.state) and all(a is b for a, b in zip(state, self.state))
        return same and self.settings == (scaled, settings) and self.shapes == shapes_of(images, labels)

    def replay(self, optimizer, images, labels, scaler):
        """The step of this batch; None, with nothing done, if the optimizer now makes other launches.

        Before the launch the optimizer counts, and gives its settings, as for a step that is made. If the device then
        finds that it is not, the counts are put back.
        """
        before = counts_of(optimizer)
        try:
            if not self.asked(optimizer):
                return None
            self.launch(images, labels, scaler.get_scale())
            loss, correct, go = self.report.get().tolist()  # the host waits once
            if go:
                before = counts_of(optimizer)
            else:
                check_classes(labels.data, self.classes)
                refuse_not_finite(loss, scaler, optimizer)
        finally:
            optimizer.state[:] = before
            optimizer.zero_grad()
        scaler.note(optimizer, bool(go), stepped=True)
        scaler.update()
        return StepResult(loss, int(correct), len(labels))

    def asked(self, optimizer):
        """Send the settings of the optimizer's step."""
        for p, grad in self.grads:
            p.grad = grad
        with use_kernels(self.updates):
            optimizer.step()
        return self.updates.send()

    def launch(self, images, labels, scale):
        """Write the rest of what differs from step to step, and make all launches."""
        for there, given in ((self.images, images), (self.labels, labels)):
            there.data[...] = given.data
        self.scale[...], self.inverse[...] = scale, 1 / scale
        self.seeds.refresh()
        self.graph.launch()

    def close(self):
        """Give the memory of the graph back; no step can be replayed any more."""
        self.grads = []
        self.graph.close()


def shapes_of(*tensors):
    return [(t.shape, t.dtype) for t in tensors]


def state_of(model, optimizer):
    """The arrays of all parameters and buffers, and of the optimizer."""
    state = [a for own in optimizer.state for a in own.values() if np.ndim(a)]
    return [t.data for _, t in (*model.named_parameters(), *model.named_buffers())] + state


def counts_of(optimizer):
    """Its state as it is, though counts go on: a list for optimizer.state[:]. The arrays are not copied."""
    return [dict(own) for own in optimizer.state]


class GraphedStep:
    """`op_by_op`, replayed as one CUDA graph: Python and the driver then spend no time on each launch.

    It is in one of four phases, whose method `run` is: warm_up, capture, replay, op_by_op.

    Until a first update is made, steps run op by op, which compiles and loads all kernels and gives the optimizer its
    state. The next is captured: the same calls are made, but the GPU only records what it is asked to do. From then on
    all is launched at once. What differs from step to step is read from memory: the batch, the scale of the loss,
    the seeds of dropout, the optimizer's settings. Batches of another shape run op by op. If something can't be
    captured, `say` is told why, once, and all steps run op by op.
    """

    def __init__(self, say=print):
        self.say, self.run, self.captured = say, self.warm_up, None

    def __call__(self, model, optimizer, images, labels, *, scaler, **settings):
        return self.run(model, optimizer, images, labels, scaler, settings)

    def op_by_op(self, model, optimizer, images, labels, scaler, settings):
        """Phase "op by op": all steps after a failure, without a graph."""
        return op_by_op(model, optimizer, images, labels, scaler=scaler, **settings)

    def warm_up(self, model, optimizer, *rest):
        """Phase "warm-up": steps op by op, until one is not skipped; also after arrays or launches have changed."""
        self.drop()
        before = [p.version[0] for p in optimizer.params]
        result = self.op_by_op(model, optimizer, *rest)
        if before != [p.version[0] for p in optimizer.params]:
            self.run = self.capture
        return result

    def capture(self, model, optimizer, images, labels, scaler, settings):
        """Phase "capture": one step, recorded as a graph and replayed; then "replay", or "op by op" where it failed."""
        try:
            self.captured = Captured(model, optimizer, images, labels, scaler.enabled, **settings)
            self.run = self.replay
        except (RuntimeError, MemoryError) as error:  # CUDA's errors are of the first kind
            self.say(f"cuda-graph: the step can't be captured and runs op by op: {error}")
            self.run = self.op_by_op
            for p in model.parameters():
                p.grad = None
        if self.captured is None:
            images.device.free_unused()
        return self.run(model, optimizer, images, labels, scaler, settings)

    def drop(self):
        """Give the memory of the captured step back."""
        if self.captured is not None:
            self.captured.close()
        self.captured = None

    def replay(self, model, optimizer, images, labels, scaler, settings):
        """Phase "replay": all further steps, as long as batch, arrays and launches are those of the graph."""
        result = None
        if self.captured.fits(model, optimizer, images, labels, scaler.enabled, **settings):
            result = self.captured.replay(optimizer, images, labels, scaler)
        elif self.captured.shapes != shapes_of(images, labels):
            return self.op_by_op(model, optimizer, images, labels, scaler, settings)
        return result or self.warm_up(model, optimizer, images, labels, scaler, settings)
