"""Every data set by name: how to load it, its statistics, and the customary transforms."""

from __future__ import annotations

import difflib
from pathlib import Path

from minigrad.data.cifar import CIFAR10, CIFAR100
from minigrad.data.dataset import Dataset
from minigrad.data.folder import ImageFolder
from minigrad.data.mnist import MNIST, EmbeddedFashionMNIST, FashionMNIST
from minigrad.data.transforms import (
    CenterCrop,
    Compose,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    Resize,
)

DEFAULT = "fashion-mnist-10k"
_DATASETS = {
    DEFAULT: EmbeddedFashionMNIST,
    "fashion-mnist": FashionMNIST,
    "mnist": MNIST,
    "cifar10": CIFAR10,
    "cifar100": CIFAR100,
    "imagefolder": ImageFolder,
}
STATISTICS = {  # mean and standard deviation of each channel over the training images, bytes scaled to [0, 1]
    "fashion-mnist-10k": ((0.2860,), (0.3530,)),
    "fashion-mnist": ((0.2860,), (0.3530,)),
    "mnist": ((0.1307,), (0.3081,)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "imagefolder": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),  # of ImageNet
}
_NATIVE_SIZE_AND_PADDING = {
    "fashion-mnist-10k": (28, 2),
    "fashion-mnist": (28, 2),
    "mnist": (28, 2),
    "cifar10": (32, 4),
    "cifar100": (32, 4),
}


def names() -> tuple[str, ...]:
    """The names that `load` and `default_transforms` know; the first is the default."""
    return tuple(_DATASETS)


def load(name: str = DEFAULT, root: str | Path | None = None, download: bool = False) -> tuple[Dataset, Dataset]:
    """(training set, test set). root and download: as the data set's class has them.

    Raises ValueError for an unknown name, listing the nearest, and DataError for files that are missing or damaged.
    """
    dataset = _DATASETS[_known(name)]
    return dataset(root, True, download), dataset(root, False, download)


def default_transforms(name: str, image_size: int | None = None, train: bool = True) -> Compose:
    """The customary chain for a data set, giving square images of side `image_size`, normalised.

    Small images: pad and crop, flip (not for digits), and resize if `image_size` is not their own; for testing without
    crop and flip. Image folders: random resized crop and flip; for testing the short side to 8/7 of the size, and the
    centre. image_size None means the data set's own size, 224 for image folders.

    Raises ValueError for an unknown name or an image_size below 1.
    """
    normalize = Normalize(*STATISTICS[_known(name)])
    if image_size is not None and image_size < 1:
        raise ValueError(f"default_transforms: image_size must be at least 1; got {image_size}")
    if name == "imagefolder":
        return Compose([*_photograph(image_size or 224, train), normalize])
    native, padding = _NATIVE_SIZE_AND_PADDING[name]
    chain = []
    if train:
        chain.append(RandomCrop(native, padding))
    if train and name != "mnist":
        chain.append(RandomHorizontalFlip())
    if image_size not in (None, native):  # after the crop: the same picture, fewer pixels moved
        chain.append(Resize((image_size, image_size)))
    return Compose([*chain, normalize])


def _photograph(size: int, train: bool) -> list:
    if train:
        return [RandomResizedCrop(size), RandomHorizontalFlip()]
    return [Resize(round(size * 256 / 224)), CenterCrop(size)]


def _known(name: str) -> str:
    if name not in _DATASETS:
        near = difflib.get_close_matches(str(name), _DATASETS, n=3) or names()
        raise ValueError(f"unknown data set {name!r}; the nearest names: {', '.join(near)}")
    return name
