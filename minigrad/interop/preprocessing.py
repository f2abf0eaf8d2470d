"""What a net expects of its images: it belongs to the weights as much as the filters do."""

import math
from dataclasses import asdict, dataclass

import numpy as np

from .errors import WeightsError


@dataclass(frozen=True)
class Preprocessing:
    """From a photograph to a net's input: resize, crop, order of channels, scale, mean, standard deviation.

    size     side of the square that the net sees, in pixels
    resize   the short side is first brought to this length (bilinear), then the centre is cropped; None: the image is
             resized to size x size itself, unless it has that size
    mean, std   one for each channel, in the order and the scale below
    scale    what a byte of 255 becomes before mean and std: 1.0 or 255.0
    channels    "RGB", "BGR" or "L" (grey)
    """

    size: int
    mean: tuple
    std: tuple
    resize: int | None = None
    scale: float = 1.0
    channels: str = "RGB"

    def __post_init__(self):
        object.__setattr__(self, "mean", tuple(map(float, self.mean)))
        object.__setattr__(self, "std", tuple(map(float, self.std)))
        if self.channels not in ("RGB", "BGR", "L"):
            raise WeightsError(f"Preprocessing: channels must be 'RGB', 'BGR' or 'L'; got {self.channels!r}")
        finite = all(map(math.isfinite, (*self.mean, *self.std, self.scale)))
        fits = len(self.mean) == len(self.std) == len(self.channels)
        if not (finite and fits and min(self.std) > 0 and self.scale > 0):
            raise WeightsError(f"Preprocessing: a mean and a std > 0 for each channel, and a scale > 0; got {self}")

    def __call__(self, image):
        """A Pillow image, or bytes (H, W, 3) or (H, W, 1) in RGB, as float32 (size, size, channels)."""
        return self.normalised(np.asarray(self.fitted(image)))

    def normalised(self, images):
        """Bytes (..., H, W, C), channels in RGB order, as the float32 numbers that the net expects."""
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.shape[-1] != len(self.channels):
            raise ValueError(f"images must be bytes (..., {len(self.channels)}); got {images.dtype} {images.shape}")
        ordered = images[..., ::-1] if self.channels == "BGR" else images
        x = ordered.astype(np.float32) * np.float32(self.scale / 255)
        return (x - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)

    def fitted(self, image):
        """Resized and cropped bytes (size, size, channels)."""
        from PIL import Image

        if not isinstance(image, Image.Image):
            array = np.asarray(image)
            image = Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)
        image = image.convert("L" if self.channels == "L" else "RGB")
        return np.atleast_3d(np.asarray(self.resized(image)))

    def resized(self, image):
        """A Pillow image at the size that the crop is taken from."""
        from PIL import Image

        if self.resize is None:
            wanted = self.size, self.size
            return image if image.size == wanted else image.resize(wanted, Image.Resampling.BILINEAR)
        short = min(image.size)
        wanted = tuple(round(n * self.resize / short) for n in image.size)
        image = image.resize(wanted, Image.Resampling.BILINEAR)
        left, top = ((n - self.size) // 2 for n in image.size)
        return image.crop((left, top, left + self.size, top + self.size))

    def to_dict(self):
        """What JSON can hold; Preprocessing(**d) gives it back."""
        return asdict(self)


IMAGENET_MEAN_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5,) * 3, (0.5,) * 3
CAFFE_RESNET = Preprocessing(224, (103.939, 116.779, 123.68), (1, 1, 1), 256, 255.0, "BGR")
BVLC = Preprocessing(224, (104, 117, 123), (1, 1, 1), 256, 255.0, "BGR")
BVLC_ALEXNET = Preprocessing(227, (104, 117, 123), (1, 1, 1), 256, 255.0, "BGR")
CIFAR_AKAMASTER = Preprocessing(32, *IMAGENET_MEAN_STD)
CIFAR_DENSENET = Preprocessing(32, (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
CIFAR_RAW = Preprocessing(32, (0, 0, 0), (1, 1, 1), scale=255.0)
