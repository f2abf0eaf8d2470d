"""What a data set is, and the one that holds its images in an array."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np


class DataError(RuntimeError):
    """A file is missing, damaged or not what it should be. The message names the file and what to do."""


class Dataset(Protocol):
    """`dataset[i]` is (image, label): image uint8 (H, W, C), label an int in range(num_classes)."""

    classes: Sequence[str]
    image_shape: tuple[int | None, int | None, int]  # (H, W, C); None where images differ in size

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[np.ndarray, int]: ...


class ArrayDataset:
    """Images in one array (N, H, W, C), uint8 or float in [0, 1]; labels (N,) integers; classes: the names.

    The loader transforms such a set batch by batch instead of image by image.

    Raises ValueError where shapes, types or labels do not fit.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, classes: Sequence[str]):
        self.images, self.labels, self.classes = np.asarray(images), np.asarray(labels), tuple(classes)
        _check_images(self.images)
        _check_labels(self.labels, len(self.images), len(self.classes))
        self.labels = self.labels.astype(np.int64)
        self.image_shape = self.images.shape[1:]

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.images[index], int(self.labels[index])

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.image_shape))
        return f"{type(self).__name__}({len(self)} images {shape}, {self.num_classes} classes)"


def _check_images(images: np.ndarray) -> None:
    if images.ndim != 4:
        raise ValueError(f"ArrayDataset: images must have shape (N, H, W, C); got {images.shape}")
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise ValueError(f"ArrayDataset: images must be uint8 or float; got {images.dtype}")


def _check_labels(labels: np.ndarray, count: int, num_classes: int) -> None:
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"ArrayDataset: labels must be integers of shape ({count},), one for each image; "
            f"got {labels.dtype} {labels.shape}"
        )
    outside = labels[(labels < 0) | (labels >= num_classes)]
    if outside.size:
        raise ValueError(f"ArrayDataset: label {outside[0]} is not in range({num_classes}), the number of classes")


def default_root() -> Path:
    """Where data sets live unless told otherwise: $MINIGRAD_DATA, else ~/.cache/minigrad/data."""
    return Path(os.environ.get("MINIGRAD_DATA") or Path.home() / ".cache" / "minigrad" / "data")
