"""A net with all that it takes to name what is in a picture: names of classes, and what the images have to be like."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..autograd import no_grad
from ..data import BadImage
from ..data.image import UPRIGHT, orientation, read_image, to_rgb
from ..interop import Preprocessing, WeightsError
from ..nn import Module
from ..nn import functional as F
from ..replay import Captured
from ..tensor import Tensor


class Prediction(NamedTuple):
    """The likeliest classes of one image, best first: their names, their numbers, and their probabilities (0 to 1)."""

    names: tuple
    classes: tuple
    probabilities: tuple

    def __str__(self):
        return ", ".join(f"{name} {100 * p:.1f} %" for name, p in zip(self.names, self.probabilities))


class Classifier(Module):
    """A net ready for pictures. It is a Module, so that x (N, H, W, C) -> logits (N, classes) as of the net itself.

    net            the net, in evaluation mode
    classes        the classes' names, in order; None names them "class 0", "class 1", ...
    preprocessing  what the net expects of its images; None where it is not known (predict then needs arrays of floats)
    """

    def __init__(self, net, classes=None, preprocessing: Preprocessing | None = None):
        self.net = net.eval()
        self.replayed = Captured(self.net, say=lambda why: None)
        self.classes = None if classes is None else tuple(classes)
        self.preprocessing = preprocessing

    def forward(self, x):
        return self.net(x)

    def predict(self, images, top=5):
        """The `top` likeliest classes of each image: a list of Predictions, or one for one image.

        images  a path, a Pillow image, an array (H, W, C) of bytes, or a list of such; or float arrays (N, H, W, C),
                which are taken as preprocessed already
        """
        one = isinstance(images, str | Path) or hasattr(images, "convert") or getattr(images, "ndim", 0) == 3
        found = self.from_logits(self.logits([images] if one else images), top)
        return found[0] if one else found

    def logits(self, images):
        """Logits (N, classes) of a list of images or of an array of floats (N, H, W, C)."""
        if isinstance(images, np.ndarray) and images.dtype.kind == "f":
            x = images.astype(np.float32, copy=False)
        else:
            x = np.stack([self.prepared(image) for image in images])
        self.net.eval()
        return self.replayed(Tensor(next(self.parameters()).device.asarray(x))).numpy()

    def num_classes(self):
        """How many classes the net tells apart."""
        return self.sizes()[0]

    def sizes(self):
        """(classes, (H, W) of an image, channels) that the net was made for."""
        made = getattr(self.net, "made", None)
        if made is not None:
            return made.num_classes, made.image_size, made.in_channels
        return self.net.sizes()  # a graph's, from an ONNX file

    def prepared(self, image):
        """One image as the net expects it. WeightsError where it isn't known what that is."""
        return self.known().normalised(self.fitted(image))

    def fitted(self, image):
        """One image resized and cropped for the net: bytes (size, size, channels). WeightsError as of prepared."""
        if isinstance(image, str | Path):
            image = opened(image)
        elif hasattr(image, "convert"):
            image = as_trained_on(image)
        return self.known().fitted(image)

    def known(self):
        """The preprocessing. WeightsError where it isn't known."""
        if self.preprocessing is None:
            raise WeightsError(
                "what these weights expect of their images is not known: give preprocessing=Preprocessing(...)"
            )
        return self.preprocessing

    def from_logits(self, logits, top=5):
        """A Prediction for each row of logits."""
        with no_grad():
            probabilities = F.softmax(Tensor(np.asarray(logits, np.float32))).numpy()
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
        return [
            Prediction(tuple(map(self.name, row)), tuple(map(int, row)), tuple(map(float, p[row])))
            for row, p in zip(order, probabilities)
        ]

    def name(self, k):
        """What class number k is called."""
        return f"class {k}" if self.classes is None or k >= len(self.classes) else self.classes[k]


def as_trained_on(picture):
    """A Pillow image as where training reads a file: RGB of 8 bits, transparent parts white, upright as EXIF says."""
    from PIL import Image

    turn = UPRIGHT.get(orientation(picture))
    if turn is None and picture.mode in ("RGB", "L"):
        return picture
    array = to_rgb(picture)
    return Image.fromarray(array if turn is None else np.ascontiguousarray(turn(array)))


def opened(path):
    """A picture file as a Pillow image, decoded as training decodes it. OSError, naming the file, for what is none."""
    from PIL import Image

    try:
        return Image.fromarray(read_image(path))
    except BadImage as error:
        raise OSError(str(error)) from None
