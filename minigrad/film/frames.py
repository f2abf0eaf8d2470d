"""What the film shows of one epoch's net: arrays small enough for a page."""

import base64

import numpy as np

from ..autograd import no_grad
from ..explain import capture
from ..explain.arrays import heat, mosaic, number
from ..explain.gradient_flow import gradient_flow
from ..nn import Conv2d
from ..nn import functional as F
from ..tensor import Tensor

FILTERS, STAGES, CHANNELS, CLASSES = 36, 6, 16, 5  # the most of each that are shown


class Scene:
    """What all frames share: images (N, H, W, C) and labels (N,), which of them is followed, its layers, classes."""

    def __init__(self, images, labels, image):
        self.images, self.labels, self.image, self.stages = images, labels, images[image], None
        self.label, self.weights, self.classes = int(labels[image]), None, None

    def told(self):
        """What the page says once."""
        shown = capture.displayable(self.image)
        class_ = self.classes[self.label]
        return dict(image=colours(shown if shown.ndim == 3 else shown[..., None].repeat(3, -1)), label=class_,
                    weights=self.weights)  # fmt: skip


def checked_images(images, labels, image, classifier, default):
    """(images, labels, image). ValueError for what doesn't fit the net, or an image that is not there."""
    images, labels = default() if images is None and labels is None else (images, labels)
    if images is None or labels is None:
        raise ValueError("film: give images and labels, or neither")
    images, labels = np.asarray(images, np.float32), np.asarray(labels)
    classes, _, channels = classifier.sizes()
    if images.ndim != 4 or images.shape[3] != channels or labels.shape != images.shape[:1]:
        raise ValueError(
            f"film: images must be (N, H, W, {channels}) with labels (N,); got {images.shape} and {labels.shape}"
        )
    if not 0 <= labels.min(initial=0) <= labels.max(initial=0) < classes:
        raise ValueError(f"film: labels must be from 0 to {classes - 1}; got {labels.min()} to {labels.max()}")
    if not 0 <= image < len(images):
        raise ValueError(f"film: image must be from 0 to {len(images) - 1}; got {image!r}")
    return images, labels, image


def frame(classifier, scene):
    """{filters, flow, path, classes} of an epoch's net, as the page draws them."""
    net = classifier.net.eval()
    flow = gradient_flow(net, loss(net, scene))
    scene.weights = [layer.name for layer in flow.layers]
    captured = capture.run("film", net, scene.image)
    scene.classes = scene.classes or [classifier.name(k) for k in range(captured.logits.shape[-1])]
    return dict(
        filters=filters(net),
        flow=[layer.rms for layer in flow.layers],
        path=path(captured, scene),
        classes=guesses(captured.logits, scene.classes),
    )


def loss(net, scene):
    outputs = net(Tensor(next(net.parameters()).device.asarray(scene.images)))
    return F.cross_entropy(outputs, scene.labels)


def filters(net):
    """{name, tiles}: the first convolution's filters; in colour where they see three channels, else their first."""
    found = next(((name, m) for name, m in net.named_modules() if isinstance(m, Conv2d)), None)
    if found is None:
        return None
    name, weight = found[0], found[1].weight.numpy()[:FILTERS]
    top = float(np.abs(weight).max()) or 1.0
    if weight.shape[-1] == 3:
        return dict(name=name, tiles=[colours(w / (2 * top) + 0.5) for w in weight], top=number(top))
    return dict(name=name, tiles=[heat(w[..., 0], top) for w in weight], top=number(top))


def path(captured, scene):
    """[{name, shape, heat}] of layers from the image to the logits, the same ones in each frame."""
    maps = capture.maps(captured)
    if scene.stages is None:
        names = list(maps)
        chosen = np.unique(np.linspace(0, len(names) - 1, STAGES).round().astype(int)) if names else ()
        scene.stages = [names[i] for i in chosen]
    return [stage(name, maps[name].numpy()[0]) for name in scene.stages]


def stage(name, values):
    plane = mosaic(values[..., :CHANNELS])
    return dict(name=name, shape=list(values.shape), heat=heat(plane, float(np.abs(plane).max())))


@no_grad()
def guesses(logits, classes):
    """[[class, probability]] of the likeliest classes, best first."""
    p = F.softmax(Tensor(logits.numpy())).numpy()[0]
    return [[classes[k], float(p[k])] for k in np.argsort(-p, kind="stable")[:CLASSES]]


def colours(values):
    """An image (H, W, 3) of numbers in [0, 1] as bytes, red, green and blue."""
    data = (np.clip(values, 0, 1) * 255).round().astype(np.uint8)
    return dict(width=values.shape[1], height=values.shape[0], rgb=base64.b64encode(data.tobytes()).decode())
