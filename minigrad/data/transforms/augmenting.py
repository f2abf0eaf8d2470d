"""Policies that draw from fourteen simple changes of an image: RandAugment and TrivialAugment."""

from collections.abc import Callable

import numpy as np

from ..streams import RandomStream
from .base import ImageTransform
from .geometric import as_picture


def sheared(x: float, y: float) -> Callable:
    """A shear of the picture about its middle."""

    def move(picture, strength):
        a, b = x * strength, y * strength
        w, h = picture.size
        return affine(picture, (1, a, -a * h / 2, b, 1, -b * w / 2))

    return move


def shifted(x: float, y: float) -> Callable:
    """A shift, in parts of the picture's width and height."""
    return lambda picture, strength: affine(
        picture, (1, 0, x * strength * picture.width, 0, 1, y * strength * picture.height)
    )


def affine(picture, matrix):
    from PIL import Image

    return picture.transform(picture.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)


def turned(degrees: float) -> Callable:
    return lambda picture, strength: picture.rotate(degrees * strength)


def enhanced(kind: str, most: float) -> Callable:
    """Pillow's enhancer of this kind, its factor from 1 - most to 1 + most."""

    def enhance(picture, strength):
        from PIL import ImageEnhance

        return getattr(ImageEnhance, kind)(picture).enhance(1 + most * strength)

    return enhance


def posterized(most: int) -> Callable:
    """Up to `most` of the eight bits of each value are cleared."""

    def posterize(picture, strength):
        from PIL import ImageOps

        return ImageOps.posterize(picture, 8 - round(most * abs(strength)))

    return posterize


def solarized(picture, strength):
    """Values from a threshold on are inverted; at full strength all."""
    from PIL import ImageOps

    return ImageOps.solarize(picture, round(255 * (1 - abs(strength))) + (strength == 0))


def whole(name: str) -> Callable:
    """One of Pillow's changes that know no strength."""

    def change(picture, strength):
        from PIL import ImageOps

        return getattr(ImageOps, name)(picture)

    return change


def changes(shear: float, shift: float, angle: float, factor: float, bits: int) -> tuple[Callable, ...]:
    """The fourteen, each called (picture, strength in [-1, 1]); the numbers are what a strength of 1 means."""
    return (
        lambda picture, strength: picture, sheared(shear, 0), sheared(0, shear), shifted(shift, 0), shifted(0, shift),
        turned(angle), *(enhanced(kind, factor) for kind in ("Brightness", "Color", "Contrast", "Sharpness")),
        posterized(bits), solarized, whole("autocontrast"), whole("equalize"),
    )  # fmt: skip


def changed(name: str, image: np.ndarray, change: Callable, strength: float) -> np.ndarray:
    return np.asarray(change(as_picture(name, image)[0], strength)).reshape(image.shape)


class RandAugment(ImageTransform):
    """num_ops random changes one after the other, all of the same magnitude (Cubuk et al. 2020); uint8 images.

    magnitude: from 0, no change, to num_magnitude_bins - 1, the strongest. Its sign is random.
    """

    random = True
    changes = changes(0.3, 150 / 331, 30.0, 0.9, 4)

    def __init__(self, num_ops: int = 2, magnitude: int = 9, num_magnitude_bins: int = 31):
        if num_ops < 0 or not 0 <= magnitude < num_magnitude_bins or num_magnitude_bins < 2:
            raise ValueError(
                "RandAugment: num_ops must be at least 0 and magnitude in range(num_magnitude_bins), which is at "
                f"least 2; got {num_ops=}, {magnitude=}, {num_magnitude_bins=}"
            )
        self.num_ops, self.magnitude, self.num_magnitude_bins = num_ops, magnitude, num_magnitude_bins

    def image(self, image: np.ndarray, rng: RandomStream) -> np.ndarray:
        for which, sign in rng.uniform(2 * self.num_ops).reshape(-1, 2):
            strength = self.magnitude / (self.num_magnitude_bins - 1) * (1 if sign < 0.5 else -1)
            image = changed("RandAugment", image, self.changes[int(which * len(self.changes))], strength)
        return image


class TrivialAugmentWide(ImageTransform):
    """One random change of random magnitude, with nothing to tune (Mueller and Hutter 2021, wide space); uint8 images.

    num_magnitude_bins: how many magnitudes there are, from none to the strongest.
    """

    random = True
    changes = changes(0.99, 32 / 224, 135.0, 0.99, 6)

    def __init__(self, num_magnitude_bins: int = 31):
        if num_magnitude_bins < 2:
            raise ValueError(f"TrivialAugmentWide: num_magnitude_bins must be at least 2; got {num_magnitude_bins}")
        self.num_magnitude_bins = num_magnitude_bins

    def image(self, image: np.ndarray, rng: RandomStream) -> np.ndarray:
        which, magnitude, sign = rng.uniform(3)
        strength = int(magnitude * self.num_magnitude_bins) / (self.num_magnitude_bins - 1) * (1 if sign < 0.5 else -1)
        return changed("TrivialAugmentWide", image, self.changes[int(which * len(self.changes))], strength)
