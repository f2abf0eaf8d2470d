"""What a data set is, and the one that holds its images in an array."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .errors import DataError
from .streams import own_stream
from .transforms.base import Lambda, Transform

__all__ = ["ArrayDataset", "DataError", "Dataset", "Described", "default_root"]


class Dataset(Protocol):
    """`dataset[i]` is (image, label): image uint8 (H, W, C), label an int in range(num_classes)."""

    @property
    def classes(self) -> Sequence[str]:
        """The names that labels count."""
        ...

    @property
    def image_shape(self) -> tuple[int | None, ...]:
        """(H, W, C); None where images differ in size."""
        ...

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[np.ndarray, Any]: ...


class Described:
    """What a data set tells about itself. A data set of your own may define any of these, as class or as object.

    name: in the catalogue; mean, std: of each channel over the training images, bytes scaled to [0, 1]; None: unknown.
    native_size: the side of its images; None where they differ in size. padding: how far training may shift an image,
    in pixels; flip: whether an image and its mirror image are of one class.
    transform, target_transform: what the data set itself does to each image and to each label, or None.
    """

    name: str
    classes: Sequence[str]
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    native_size: int | None = None
    padding: int = 0
    flip: bool = False
    transform: Transform | None = None
    target_transform: Callable | None = None

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)

    @property
    def class_to_idx(self) -> dict[str, int]:
        """{name of a class: its label}."""
        return {name: label for label, name in enumerate(self.classes)}

    @property
    def transforms_itself(self) -> bool:
        """Does it change its samples before it gives them?"""
        return self.transform is not None or self.target_transform is not None

    def set_transforms(self, transform: Callable | None, target_transform: Callable | None) -> None:
        """What is done to each image and to each label. TypeError for what can't be called."""
        for name, given in dict(transform=transform, target_transform=target_transform).items():
            if given is not None and not callable(given):
                raise TypeError(f"{type(self).__name__}: {name} must be a function or None; got {type(given).__name__}")
        if transform is not None and not isinstance(transform, Transform):
            transform = Lambda(without_draws(transform))
        self.transform = transform
        self.target_transform = target_transform

    def transformed(self, index: int, image: np.ndarray, label: int) -> tuple[np.ndarray, Any]:
        """The sample as the data set gives it. What its transform draws depends on the sample, see `own_stream`."""
        if self.transform is not None:
            image = self.transform(image, own_stream(index))
        return image, label if self.target_transform is None else self.target_transform(label)


def without_draws(fn: Callable) -> Callable:
    """A function of one image as one of an image and what it might draw from."""
    return lambda image, rng: fn(image)


class ArrayDataset(Described):
    """Images in one array (N, H, W, C), uint8 or float in [0, 1]; labels (N,) integers; classes: the names.

    The loader transforms such a set batch by batch instead of image by image.
    transform: called with each image (H, W, C) when it is asked for, as torchvision's; a function `fn(image)` or one
    of `minigrad.data.transforms`, whose draws are then those of the loader's epoch and sample. target_transform: with
    each label. A DataLoader with a transform of its own goes on with what they give, image by image.

    Raises ValueError where shapes, types or labels do not fit.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        classes: Sequence[str],
        transform: Callable | None = None,
        target_transform: Callable | None = None,
    ):
        self.images, self.labels, self.classes = np.asarray(images), np.asarray(labels), tuple(classes)
        check_images(self.images)
        check_labels(self.labels, len(self.images), len(self.classes))
        self.labels = self.labels.astype(np.int64)
        self.set_transforms(transform, target_transform)
        self.image_shape = self.images.shape[1:] if transform is None else np.shape(self[0][0])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.transformed(index, self.images[index], int(self.labels[index]))

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.image_shape))
        return f"{type(self).__name__}({len(self)} images {shape}, {self.num_classes} classes)"


def check_images(images: np.ndarray) -> None:
    """ValueError unless these are images (N, H, W, C) of a type that a net can be fed with."""
    if images.ndim != 4:
        raise ValueError(f"ArrayDataset: images must have shape (N, H, W, C); got {images.shape}")
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise ValueError(f"ArrayDataset: images must be uint8 or float; got {images.dtype}")


def check_labels(labels: np.ndarray, count: int, num_classes: int) -> None:
    """ValueError unless these are `count` integers in range(num_classes)."""
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
