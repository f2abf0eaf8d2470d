"""Forward and backward pass of a training step: op by op, or replayed as one CUDA graph."""

from functools import partial

import numpy as np

import architectures

from ..nn import functional as F
from ..ops.loss import check_classes
from ..precision import autocast
from ..recompute import drawing_from
from ..tensor import Tensor


def gradients(model, images, labels, *, label_smoothing=0.0, low_type=None, scale=1.0):
    """The loss and the logits of a batch (tensors); the gradients of scale times the loss are in the parameters' grad.

    images, labels, low_type: as of train_step, on the model's device. scale: a number, or an array without axes.
    """
    criterion = partial(F.cross_entropy, label_smoothing=label_smoothing)
    with autocast(low_type):
        outputs = model(images)
        loss = architectures.training_loss(criterion, outputs, labels)
    loss.backward(scale)
    return loss, outputs if isinstance(outputs, Tensor) else outputs[0]


class Seeds:
    """Seeds of dropout in the memory of the device, where a captured pass reads them; drawn anew for each replay."""

    outer = replay = None  # no checkpointed piece: see recompute.py

    def __init__(self, device):
        self.device, self.drawn = device, []

    def draw(self, make):
        """An array with room for the seed that make() gives."""
        self.drawn.append((make, self.device.empty_apart(1, np.uint64)))
        return self.drawn[-1][1]

    def refresh(self):
        """Write the seeds of the next step."""
        for make, seed in self.drawn:
            seed[...] = np.uint64(make())


class Captured:
    """One pass for batches of one shape, captured as a CUDA graph: what it reads and writes, and its launch."""

    def __init__(self, model, images, labels, **settings):
        device = images.device
        self.settings, self.shapes, self.state = settings, shapes_of(images, labels), state_of(model)
        self.images, self.labels = (Tensor(t.data.copy()) for t in (images, labels))
        self.scale, self.seeds = device.xp.ones((), np.float32), Seeds(device)
        with drawing_from(self.seeds):
            self.graph, self.result = device.capture(
                lambda: gradients(model, self.images, self.labels, scale=self.scale, **settings)
            )
        self.grads = [(p, p.grad) for p in model.parameters()]

    def fits(self, model, images, labels, settings):
        """Is it the pass for this batch, and are the model's arrays still those that it reads?"""
        state = state_of(model)
        same = len(state) == len(self.state) and all(a is b for a, b in zip(self.state, state))
        return same and self.settings == settings and self.shapes == shapes_of(images, labels)

    def replay(self, images, labels, scale):
        """`gradients` of this batch."""
        check_classes(labels.data, self.result[1].shape[-1])  # the captured pass can't report one that is wrong
        for there, given in ((self.images, images), (self.labels, labels)):
            there.data[...] = given.data
        self.scale[...] = scale
        self.seeds.refresh()
        self.graph.launch()
        for p, grad in self.grads:
            p.grad = grad
        return self.result


def shapes_of(*tensors):
    return [(t.shape, t.dtype) for t in tensors]


def state_of(model):
    """The arrays of all parameters and buffers."""
    return [t.data for module in model.modules() for t in vars(module).values() if isinstance(t, Tensor)]


class GraphedGradients:
    """`gradients`, replayed as one CUDA graph: Python and the driver then spend no time on each launch.

    The first batch runs op by op, which compiles and loads all kernels. The second is captured: the same calls are
    made, but the GPU only takes down what it is asked to do. From then on all is launched at once. What differs from
    step to step is read from memory: the batch, the scale of the loss, the seeds of dropout. Batches of another shape
    run op by op. If something can't be captured, `say` is told why, once, and all steps run op by op. The optimizer's
    step is not a part of it, so learning rates and step counts may change.
    """

    def __init__(self, say=print):
        self.say, self.run, self.captured = say, self.warm_up, None

    def __call__(self, model, images, labels, *, scale=1.0, **settings):
        return self.run(model, images, labels, scale, settings)

    def warm_up(self, model, images, labels, scale, settings):
        """The first batch."""
        self.run = self.capture
        return gradients(model, images, labels, scale=scale, **settings)

    def capture(self, model, images, labels, scale, settings):
        """The second batch, and the first after the model's arrays were replaced."""
        try:
            self.captured = Captured(model, images, labels, **settings)
            self.run = self.replay
        except RuntimeError as error:  # CUDA's errors are
            self.say(f"cuda-graph: the step can't be captured and runs op by op: {error}")
            self.run = self.op_by_op
            for p in model.parameters():
                p.grad = None
        return self.run(model, images, labels, scale, settings)

    def replay(self, model, images, labels, scale, settings):
        """All further batches."""
        if self.captured.fits(model, images, labels, settings):
            return self.captured.replay(images, labels, scale)
        if self.captured.shapes == shapes_of(images, labels):
            return self.capture(model, images, labels, scale, settings)
        return gradients(model, images, labels, scale=scale, **settings)

    def op_by_op(self, model, images, labels, scale, settings):
        """All batches, after a failure."""
        return gradients(model, images, labels, scale=scale, **settings)
