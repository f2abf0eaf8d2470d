"""Transforms that change values: scale, normalise, jitter of colours."""

from collections.abc import Callable, Sequence

import numpy as np

from ..streams import RandomStream
from .base import ImageTransform, Transform, check_images, to_float

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601: how bright red, green and blue look


class ToFloat(Transform):
    """Bytes to float32 in [0, 1]."""

    def batch(self, images: np.ndarray, rng: RandomStream) -> np.ndarray:
        return to_float(images)


class Normalize(Transform):
    """(x - mean) / std for each channel, float32; bytes are first scaled to [0, 1], the scale of mean and std."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        self.mean, self.std = tuple(mean), tuple(std)
        if len(self.mean) != len(self.std) or min(self.std, default=0) <= 0:
            raise ValueError(f"Normalize: needs a mean and a std > 0 for each channel; got mean {mean}, std {std}")

    def batch(self, images: np.ndarray, rng: RandomStream) -> np.ndarray:
        self.check(images)
        return self.into(np.empty(images.shape, np.float32), images)

    def check(self, images: np.ndarray) -> None:
        """ValueError for what is no image (H, W, C), or images (N, H, W, C), of so many channels."""
        check_images(self, images)
        h, w, c = images.shape[-3:]
        if c != len(self.mean):
            raise ValueError(f"Normalize: image has {c} channels but mean has {len(self.mean)}; image {(h, w, c)}")

    def into(self, out: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Normalised images (..., H, W, C), written into `out`, float32 of that shape; `out`."""
        w = images.shape[-2]  # the channels repeated along a row: a long inner loop
        rows, images = (x.reshape(-1, w * len(self.mean)) for x in (out, images))
        if images.dtype == np.uint8:
            np.divide(images, np.float32(255), out=rows)
        else:
            rows[...] = images
        rows -= np.tile(np.array(self.mean, np.float32), w)
        rows /= np.tile(np.array(self.std, np.float32), w)
        return out


class Grayscale(Transform):
    """RGB to grey by its brightness (ITU-R 601), of the same type; the grey 1 or 3 times."""

    def __init__(self, num_output_channels: int = 1):
        if num_output_channels not in (1, 3):
            raise ValueError(f"Grayscale: num_output_channels must be 1 or 3; got {num_output_channels}")
        self.num_output_channels = num_output_channels

    def batch(self, images: np.ndarray, rng: RandomStream) -> np.ndarray:
        check_rgb("Grayscale", images)
        grey = images @ LUMA
        grey = np.rint(grey).astype(np.uint8) if images.dtype == np.uint8 else grey.astype(images.dtype)
        return np.repeat(grey[..., None], self.num_output_channels, axis=-1)


class ColorJitter(ImageTransform):
    """Random brightness, contrast, saturation and hue, in random order; float32 RGB in [0, 1].

    brightness, contrast, saturation b: factor uniform in [max(0, 1 - b), 1 + b]. hue h: shift uniform in [-h, h], as a
    part of the full circle, h <= 0.5.
    """

    random = True

    def __init__(self, brightness: float = 0, contrast: float = 0, saturation: float = 0, hue: float = 0):
        if min(brightness, contrast, saturation, hue) < 0 or hue > 0.5:
            raise ValueError(
                "ColorJitter: settings must be >= 0 and hue <= 0.5; "
                f"got {brightness=}, {contrast=}, {saturation=}, {hue=}"
            )
        self.brightness, self.contrast, self.saturation, self.hue = brightness, contrast, saturation, hue

    def image(self, image: np.ndarray, rng: RandomStream) -> np.ndarray:
        check_rgb("ColorJitter", image)
        u = rng.uniform(8)
        image = to_float(image)
        for j in np.argsort(u[4:]):
            image = self.steps()[j](image, u[j])
        return image

    def steps(self) -> tuple[Callable, ...]:
        """The four changes, each a function of an image and a random number u in [0, 1)."""
        return (
            lambda image, u: blend(image, np.float32(0), factor(self.brightness, u)),
            lambda image, u: blend(image, (image @ LUMA).mean(), factor(self.contrast, u)),
            lambda image, u: blend(image, (image @ LUMA)[..., None], factor(self.saturation, u)),
            lambda image, u: shift_hue(image, self.hue * (2 * u - 1)) if self.hue else image,
        )


def factor(strength: float, u: float) -> np.float32:
    low, high = max(0.0, 1 - strength), 1 + strength
    return np.float32(low + (high - low) * u)


def blend(image: np.ndarray, other: np.ndarray | np.float32, factor: np.float32) -> np.ndarray:
    return np.clip(factor * image + (1 - factor) * other, 0, 1)


def shift_hue(image: np.ndarray, shift: float) -> np.ndarray:
    """RGB (..., 3) in [0, 1] with its hue turned by `shift` of the full circle; value and saturation stay."""
    value, low = image.max(-1, keepdims=True), image.min(-1, keepdims=True)
    chroma = value - low
    r, g, b = np.moveaxis((value - image) / np.where(chroma > 0, chroma, 1), -1, 0)
    is_red, is_green = image[..., 0] == value[..., 0], image[..., 1] == value[..., 0]
    hue = np.where(is_red, b - g, np.where(is_green, 2 + r - b, 4 + g - r)) / 6 + shift
    # Each of r, g, b follows the same trapezium around the circle of hues, a third of a turn apart.
    k = (np.array([5, 3, 1]) + hue[..., None] * 6) % 6
    return (value - chroma * np.clip(np.minimum(k, 4 - k), 0, 1)).astype(np.float32)


class PCALighting(Transform):
    """AlexNet's colour augmentation (Krizhevsky et al. 2012, section 4.1), float32 RGB.

    Adds sum_i a_i lambda_i p_i to every pixel, where p_i, lambda_i are the eigenvectors and eigenvalues of the RGB
    covariance of ImageNet and a_i ~ N(0, std), one draw for an image. Values are not clipped, as in the paper.
    """

    random = True
    eigenvalues = np.array([0.2175, 0.0188, 0.0045])  # of pixels in [0, 1], published with fb.resnet.torch
    eigenvectors = np.array(
        [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
    )  # one a column

    def __init__(self, std: float = 0.1):
        if std < 0:
            raise ValueError(f"PCALighting: std must be >= 0; got {std}")
        self.std = std

    def batch(self, images: np.ndarray, rng: RandomStream) -> np.ndarray:
        check_rgb("PCALighting", images)
        shift = np.einsum("ni,i,ci->nc", rng.normal(3) * self.std, self.eigenvalues, self.eigenvectors)
        return to_float(images) + shift[:, None, None].astype(np.float32)


def check_rgb(name: str, images: np.ndarray) -> None:
    if images.shape[-1] != 3:
        raise ValueError(f"{name}: image must have 3 channels in its last axis; got shape {images.shape}")
