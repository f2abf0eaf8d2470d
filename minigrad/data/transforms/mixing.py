"""Transforms of a whole batch that mix its images and their labels."""

import numpy as np

from ..streams import RandomStream, permutation


def one_hot(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """labels (B,) to float32 (B, num_classes); labels that are soft already pass through."""
    if labels.ndim == 2:
        return labels
    if labels.dtype.kind not in "iu":
        raise ValueError(f"one_hot: labels must be class numbers (B,), or soft (B, num_classes); got {labels.dtype}")
    return np.eye(num_classes, dtype=np.float32)[labels]


class Mixing:
    """Called `mix(images, labels, rng)`: images (B, H, W, C), labels (B,), rng the stream of the batch.

    Returns (images, soft labels float32 (B, num_classes)). Each image gets a partner from a random permutation of the
    batch; lam ~ Beta(alpha, alpha) is the part that stays.
    """

    def __init__(self, alpha: float, num_classes: int):
        if alpha <= 0 or num_classes < 1:
            raise ValueError(f"{type(self).__name__}: alpha must be > 0, num_classes >= 1; got {alpha}, {num_classes}")
        self.alpha, self.num_classes = alpha, num_classes

    def __call__(self, images: np.ndarray, labels: np.ndarray, rng: RandomStream) -> tuple[np.ndarray, np.ndarray]:
        lam = rng.generator().beta(self.alpha, self.alpha)
        partner = permutation(rng.fold(0), len(images))
        images, lam = self.mix(images, images[partner], lam, rng.fold(1))
        labels = one_hot(labels, self.num_classes)
        return images, np.float32(lam) * labels + np.float32(1 - lam) * labels[partner]

    def mix(self, x: np.ndarray, partner: np.ndarray, lam: float, rng: RandomStream) -> tuple[np.ndarray, float]:
        """The mixed images, and the part of x that is really in them."""
        raise NotImplementedError


class Mixup(Mixing):
    """lam x_i + (1 - lam) x_j, and the same for the labels (Zhang et al. 2018)."""

    def mix(self, x: np.ndarray, partner: np.ndarray, lam: float, rng: RandomStream) -> tuple[np.ndarray, float]:
        return np.float32(lam) * x + np.float32(1 - lam) * partner, lam


class CutMix(Mixing):
    """A box of area 1 - lam comes from x_j; the labels are mixed by the box's true area (Yun et al. 2019)."""

    def mix(self, x: np.ndarray, partner: np.ndarray, lam: float, rng: RandomStream) -> tuple[np.ndarray, float]:
        size = np.array(x.shape[1:3])
        centre = np.floor(rng.uniform(2) * size)
        half = size * np.sqrt(1 - lam) / 2
        (top, left), (bottom, right) = (
            np.rint(np.clip(corner, 0, size)).astype(int) for corner in (centre - half, centre + half)
        )
        out = x.copy()
        out[:, top:bottom, left:right] = partner[:, top:bottom, left:right]
        return out, 1 - (bottom - top) * (right - left) / size.prod()
