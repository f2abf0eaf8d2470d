"""Transforms that blank a part of the image."""

import numpy as np

from ..streams import RandomStream
from .base import Transform
from .geometric import check_box_ranges, random_box


class Cutout(Transform):
    """Zeros in a square of side `length` around a random pixel, cut off at the border (DeVries and Taylor 2017).

    After Normalize a zero is the mean.
    """

    random = True

    def __init__(self, length: int):
        if length < 1:
            raise ValueError(f"Cutout: length must be at least 1; got {length}")
        self.length = length

    def batch(self, images: np.ndarray, rng: RandomStream) -> np.ndarray:
        start = np.floor(rng.uniform(2) * images.shape[1:3]).astype(int) - self.length // 2
        return fill(images, start, np.full_like(start, self.length), 0)


class RandomErasing(Transform):
    """With probability p, `value` in a random box (Zhong et al. 2017); scale and ratio as in RandomResizedCrop."""

    random = True

    def __init__(
        self,
        p: float = 0.5,
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
        value: float = 0,
    ):
        if not 0 <= p <= 1:
            raise ValueError(f"RandomErasing: p must be in [0, 1]; got {p}")
        check_box_ranges("RandomErasing", scale, ratio)
        self.p, self.scale, self.ratio, self.value = p, scale, ratio, value

    def batch(self, images: np.ndarray, rng: RandomStream) -> np.ndarray:
        boxes = random_box(rng.fold(0), images.shape[1:3], self.scale, self.ratio)
        boxes[rng.uniform(1)[:, 0] >= self.p] = 0  # an empty box
        return fill(images, boxes[:, :2], boxes[:, 2:], self.value)


def fill(images: np.ndarray, start: np.ndarray, size: np.ndarray, value: float) -> np.ndarray:
    """A copy of the images (N, H, W, C) with `value` in box i of image i; start and size are (N, 2)."""
    out = images.copy()
    stop = start + size
    for image, (top, left), (bottom, right) in zip(out, np.maximum(start, 0).tolist(), stop.tolist(), strict=True):
        image[top:bottom, left:right] = value
    return out
