"""Forward and backward pass of a training step."""

from ..nn import functional as F
from ..precision import autocast
from ..tensor import Tensor


def gradients(model, images, labels, *, criterion=F.cross_entropy, low_type=None, scale=1.0, backward=Tensor.backward):
    """The loss and the logits of a batch (tensors); the gradients of scale times the loss are in the parameters' grad.

    images, labels, criterion, low_type: as of train_step, on the model's device. scale: a number, or an array without
    axes. backward: Tensor.backward, or what takes its place, as a GradientReducer's.
    A model that returns a tuple, as GoogLeNet in training, has the logits first, and `loss(criterion, labels)`.
    """
    with autocast(low_type, model.parameters()), images.device.moving_together():
        outputs = model(images)
        loss = criterion(outputs, labels) if isinstance(outputs, Tensor) else outputs.loss(criterion, labels)
    backward(loss, scale)
    return loss, outputs if isinstance(outputs, Tensor) else outputs[0]
