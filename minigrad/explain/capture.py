"""Running a net on one image and keeping what every module gives, while the net stays as it was."""

from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from ..autograd import enable_grad
from ..device import get_device
from ..nn.inspection import unchanged
from ..tensor import Tensor
from .watch import gradients_apart


class Capture(NamedTuple):
    """x (1, H, W, C), logits (1, classes), and outputs: {module name: tensor} in the order in which they were done."""

    x: Tensor
    logits: Tensor
    outputs: dict


def run(name, model, image):
    """Capture of the model in evaluation mode on one image, with a graph that reaches back to the image.

    image: (H, W, C) or (1, H, W, C), an array or a tensor, as the model wants it. ValueError for another shape.
    """
    like = next(model.parameters())
    array = like.device.asarray(image.data if isinstance(image, Tensor) else np.asarray(image))
    array = array[None] if array.ndim == 3 else array
    if array.ndim != 4 or len(array) != 1:
        raise ValueError(f"{name}: image must be one image (H, W, C), channels last; got shape {np.shape(image)}")
    x, outputs = Tensor(array.astype(like.dtype, copy=True), requires_grad=True), {}
    with unchanged(model), enable_grad():
        for path, module in model.eval().named_modules():
            module.forward = _noting(path, module.forward, outputs)
        return Capture(x, model(x), outputs)


def _noting(path, forward, outputs):
    def noting(*inputs, **settings):
        y = forward(*inputs, **settings)
        if isinstance(y, Tensor):
            outputs[path] = y
        return y

    return noting


def output(name, captured, layer):
    """The tensor that module `layer` gave. ValueError, naming some that ran, if there is none."""
    if layer not in captured.outputs:
        known = ", ".join(n for n in captured.outputs if n)
        raise ValueError(f"{name}: no module {layer!r} gave a tensor; those that did: {known}")
    return captured.outputs[layer]


def maps(captured):
    """{module name: tensor (1, P, Q, K)} of the outputs that are maps, by the innermost module that gave each."""
    seen, found = set(), {}
    for path, t in captured.outputs.items():
        if t.ndim == 4 and t.shape[1] * t.shape[2] > 1 and id(t) not in seen:
            seen.add(id(t))
            found[path] = t
    return found


def chosen_class(name, captured, class_):
    """class_, or the class with the largest logit for None. ValueError for one that the model doesn't have."""
    classes = captured.logits.shape[-1]
    if class_ is None:
        return int(captured.logits.numpy().argmax())
    if not isinstance(class_, int | np.integer):
        raise TypeError(f"{name}: class_ must be a class's number from 0 to {classes - 1}, or None; got {class_!r}")
    if not 0 <= class_ < classes:
        raise ValueError(f"{name}: class_ must be from 0 to {classes - 1}, or None for the predicted one; got {class_}")
    return int(class_)


@contextmanager
def score_gradients(model, captured, class_, *tensors):
    """Within this block the gradients of logit class_ with respect to these tensors, as NumPy arrays."""
    score = captured.logits[0, class_]
    with gradients_apart(score, *model.parameters()):
        for t in tensors:
            t.retain_grad()
        score.backward()
        host = get_device("cpu").asarray
        yield tuple(host(t.device.xp.zeros_like(t.data) if t.grad is None else t.grad) for t in tensors)


def displayable(image):
    """An image (H, W, C) for imshow: its numbers stretched over [0, 1], one channel as (H, W)."""
    image = np.asarray(image, np.float64)
    span = image.max() - image.min()
    image = (image - image.min()) / (span or 1.0)
    return image if image.shape[-1] == 3 else image.mean(-1)


def draw_map(ax, values, title="", **settings):
    """A map without ticks."""
    settings = {"cmap": "viridis", "interpolation": "nearest", **settings}
    drawn = ax.imshow(values, **settings)
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize=9)
    return drawn
