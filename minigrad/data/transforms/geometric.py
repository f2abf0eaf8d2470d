"""Transforms that move pixels: pad, crop, flip, resize."""

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..streams import RandomStream
from .base import ImageTransform, Transform, pair


class Pad(Transform):
    """`padding` pixels of value `fill` on all four sides."""

    def __init__(self, padding: int, fill: float = 0):
        if padding < 0:
            raise ValueError(f"Pad: padding must be at least 0; got {padding}")
        self.padding, self.fill = padding, fill

    def batch(self, images: np.ndarray, rng: RandomStream) -> np.ndarray:
        n, h, w, c = images.shape
        p = self.padding
        out = np.full((n, h + 2 * p, w + 2 * p, c), self.fill, images.dtype)
        out[:, p : p + h, p : p + w] = images
        return out


class RandomCrop(Transform):
    """A window of `size` at a uniformly random place, after `padding` pixels of value `fill` on all sides."""

    random = True

    def __init__(self, size: int | Sequence[int], padding: int = 0, fill: float = 0):
        self.size, self.pad = pair("RandomCrop", size), Pad(padding, fill)

    def batch(self, images: np.ndarray, rng: RandomStream) -> np.ndarray:
        images = self.pad(images)
        check_window("RandomCrop", images, self.size)
        windows = sliding_window_view(images, self.size, axis=(1, 2))  # (N, tops, lefts, C, h, w), no copy
        top, left = np.floor(rng.uniform(2) * windows.shape[1:3]).astype(int).T
        return windows[np.arange(len(images)), top, left].transpose(0, 2, 3, 1)


class CenterCrop(Transform):
    """The middle window of `size`."""

    def __init__(self, size: int | Sequence[int]):
        self.size = pair("CenterCrop", size)

    def batch(self, images: np.ndarray, rng: RandomStream) -> np.ndarray:
        h, w = self.size
        check_window("CenterCrop", images, self.size)
        top, left = round((images.shape[1] - h) / 2), round((images.shape[2] - w) / 2)
        return images[:, top : top + h, left : left + w]


def check_window(name: str, images: np.ndarray, size: tuple[int, int]) -> None:
    if images.shape[1] < size[0] or images.shape[2] < size[1]:
        raise ValueError(f"{name}: image {images.shape[1:3]} (with its padding) is smaller than size {size}")


class RandomHorizontalFlip(Transform):
    """Left and right exchanged with probability p."""

    random = True

    def __init__(self, p: float = 0.5):
        if not 0 <= p <= 1:
            raise ValueError(f"RandomHorizontalFlip: p must be in [0, 1]; got {p}")
        self.p = p

    def batch(self, images: np.ndarray, rng: RandomStream) -> np.ndarray:
        flipped = np.flatnonzero(rng.uniform(1)[:, 0] < self.p)
        if not len(flipped):
            return images
        if len(flipped) == len(images):
            return mirrored(images)
        out = images.copy()
        out[flipped] = mirrored(images[flipped])
        return out


def mirrored(images: np.ndarray) -> np.ndarray:
    """Images (N, H, W, C) with left and right exchanged: rows as wholes are quicker than pixel after pixel."""
    n, h, w, c = images.shape
    order = np.arange(w * c).reshape(w, c)[::-1].reshape(-1)
    return images.reshape(n * h, w * c)[:, order].reshape(images.shape)


class RandomRotation(ImageTransform):
    """Turned counter-clockwise about its middle by a random angle; the size stays, corners get the value `fill`.

    degrees: an angle is uniform in [-degrees, degrees], or in (low, high). uint8 images of 1 or 3 channels.
    """

    random = True

    def __init__(self, degrees: float | Sequence[float], fill: int = 0):
        low, high = (-degrees, degrees) if isinstance(degrees, (int, float)) else degrees
        if not low <= high:
            raise ValueError(f"RandomRotation: degrees must be at least 0, or (low, high); got {degrees}")
        self.degrees, self.fill = (low, high), fill

    def image(self, image: np.ndarray, rng: RandomStream) -> np.ndarray:
        low, high = self.degrees
        picture, bilinear = as_picture("RandomRotation", image)
        fill = self.fill if image.shape[2] == 1 else (self.fill,) * 3
        angle = low + (high - low) * float(rng.uniform(1)[0])
        return np.asarray(picture.rotate(angle, bilinear, fillcolor=fill)).reshape(image.shape)


class Resize(ImageTransform):
    """Bilinear, antialiased. An int is the new length of the short side; (height, width) is the exact new size."""

    def __init__(self, size: int | Sequence[int]):
        pair("Resize", size)
        self.size = size

    def image(self, image: np.ndarray, rng: RandomStream) -> np.ndarray:
        return resize("Resize", image, self.target(*image.shape[:2]))

    def target(self, h: int, w: int) -> tuple[int, int]:
        """(H', W') that an image of h x w pixels is resized to."""
        if not isinstance(self.size, int):
            return self.size[0], self.size[1]
        short = min(h, w)
        return max(1, self.size * h // short), max(1, self.size * w // short)


class RandomResizedCrop(ImageTransform):
    """A box of random area and shape, resized to `size` (Szegedy et al. 2015, section 6).

    scale: the box's part of the image's area; ratio: width over height, uniform in its logarithm.
    """

    random = True

    def __init__(
        self,
        size: int | Sequence[int],
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
    ):
        check_box_ranges("RandomResizedCrop", scale, ratio)
        self.size, self.scale, self.ratio = pair("RandomResizedCrop", size), scale, ratio

    def image(self, image: np.ndarray, rng: RandomStream) -> np.ndarray:
        box = random_box(rng[None], image.shape[:2], self.scale, self.ratio)[0]
        top, left, h, w = box.tolist() if box[2] else self.central(*image.shape[:2])
        return resize("RandomResizedCrop", image[top : top + h, left : left + w], self.size)

    def central(self, height: int, width: int) -> tuple[int, int, int, int]:
        """For an image so narrow that no box fitted: the largest central one whose ratio is allowed."""
        h = min(height, round(width / self.ratio[0]))
        w = min(width, round(height * self.ratio[1]))
        return (height - h) // 2, (width - w) // 2, max(1, h), max(1, w)


def check_box_ranges(name: str, scale: tuple[float, float], ratio: tuple[float, float]) -> None:
    for argument, (low, high) in (("scale", scale), ("ratio", ratio)):
        if not 0 < low <= high:
            raise ValueError(f"{name}: {argument} must be (low, high) with 0 < low <= high; got {(low, high)}")


def random_box(
    rng: RandomStream, image_size: tuple[int, int], scale: tuple[float, float], ratio: tuple[float, float]
) -> np.ndarray:
    """N boxes (top, left, height, width), int (N, 4): the first of ten proposals that fits, zeros where none does.

    All ten are always drawn, so that the number of draws does not depend on the image.
    """
    height, width = image_size
    u = rng.uniform(40).reshape(-1, 10, 4)
    area = height * width * (scale[0] + (scale[1] - scale[0]) * u[..., 0])
    shape = np.exp(np.log(ratio[0]) + np.log(ratio[1] / ratio[0]) * u[..., 1])
    h, w = np.rint(np.sqrt(area / shape)), np.rint(np.sqrt(area * shape))
    fits = (h >= 1) & (w >= 1) & (h <= height) & (w <= width)
    top, left = np.floor(u[..., 2] * (height - h + 1)), np.floor(u[..., 3] * (width - w + 1))
    boxes = np.stack([top, left, h, w], axis=-1) * fits[..., None]
    return boxes[np.arange(len(u)), fits.argmax(axis=1)].astype(int)


def as_picture(name: str, image: np.ndarray):
    """(a Pillow image, Pillow's word for bilinear). ValueError for what Pillow can't take."""
    from PIL import Image

    if image.dtype != np.uint8:
        raise ValueError(f"{name} works on uint8 images: put it before ToFloat and Normalize; got {image.dtype}")
    if image.shape[2] not in (1, 3):
        raise ValueError(f"{name}: image must have 1 or 3 channels; got {image.shape[2]}")
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image), Image.Resampling.BILINEAR


def resize(name: str, image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The image (H, W, C) at this (height, width)."""
    picture, bilinear = as_picture(name, image)
    return np.asarray(picture.resize((size[1], size[0]), bilinear)).reshape(*size, image.shape[2])
