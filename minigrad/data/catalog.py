"""Every data set by name: how to load it, and the customary transforms."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from .cifar import CIFAR10, CIFAR100
from .dataset import DataError, Dataset
from .folder import ImageFolder
from .mnist import MNIST, EmbeddedFashionMNIST, FashionMNIST
from .parquet import Parquet, has_parquet
from .shards import Shards, has_shards
from .transforms import (
    CenterCrop,
    Compose,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    Resize,
)

IN_FOLDERS = ImageFolder, Shards, Parquet
KINDS = {kind.name: kind for kind in (EmbeddedFashionMNIST, FashionMNIST, MNIST, CIFAR10, CIFAR100, *IN_FOLDERS)}
DEFAULT = EmbeddedFashionMNIST.name
STATISTICS = {name: (kind.mean, kind.std) for name, kind in KINDS.items()}  # of each channel, bytes as [0, 1]
PHOTOGRAPH = 224  # the customary side of a crop, where images differ in size


def names() -> tuple[str, ...]:
    """The names that `load` and `default_transforms` know; the first is the default."""
    return tuple(KINDS)


def load(
    name: str = DEFAULT, root: str | Path | None = None, download: bool = False, classes: Sequence[str] | None = None
) -> tuple[Dataset, Dataset]:
    """(training set, test set). root and download: as the data set's class has them; classes: see `load_part`.

    Raises ValueError for an unknown name, listing the nearest, and DataError for files that are missing or damaged.
    """
    return load_part(name, True, root, download, classes), load_part(name, False, root, download, classes)


def load_part(
    name: str,
    train: bool,
    root: str | Path | None = None,
    download: bool = False,
    classes: Sequence[str] | None = None,
    least_side: int | None = None,
) -> Dataset:
    """The training set (train True) or the test set of a data set; errors as `load`.

    least_side: how small large JPEGs may be decoded, see `read_image`. DataError where there are no files of images.

    classes: names that the labels must count, in this order, for example those of a checkpoint. The images of a folder
    are labelled by them. Any other data set has its own order: DataError if it is another one.
    """
    kind = KINDS[known(name)]
    if kind in IN_FOLDERS:
        return kind(root, train, download, classes=classes, least_side=least_side)
    if least_side is not None:
        raise DataError(f"{name}: least_side is for files of images; this data set has its images decoded")
    if classes is not None and tuple(classes) != tuple(kind.classes):
        raise DataError(f"{name}: its classes are {listed(kind.classes)}, asked for are {listed(classes)}")
    return kind(root, train, download)


def kind_of_directory(path: str | Path) -> str:
    """The name of the kind that a directory of images is: shards, parquet, else imagefolder."""
    if has_shards(path):
        return Shards.name
    return Parquet.name if has_parquet(path) else ImageFolder.name


def default_transforms(data: str | Dataset, image_size: int | None = None, train: bool = True) -> Compose:
    """The customary chain for a data set, giving square images of side `image_size`, normalised.

    data: a name of the catalogue, or a data set of your own that says what `Described` lists. Without a mean and a
    standard deviation values go to [-1, 1].

    Images of one size: pad and crop, flip (where the data set allows it), and resize if `image_size` is not their own;
    for testing without crop and flip. Images of any size: random resized crop and flip; for testing the short side to
    8/7 of the size, and the centre. image_size None means the data set's own size, 224 for images of any size.

    Raises ValueError for an unknown name or an image_size below 1.
    """
    dataset = KINDS[known(data)] if isinstance(data, str) else data
    if image_size is not None and image_size < 1:
        raise ValueError(f"default_transforms: image_size must be at least 1; got {image_size}")
    native = native_size(dataset)
    chain = photograph(image_size or PHOTOGRAPH, train) if native is None else small(dataset, native, image_size, train)
    return Compose([*chain, Normalize(*statistics(dataset))])


def native_size(dataset) -> int | None:
    """The side of its images; None where they differ in size, or are not square."""
    side = getattr(dataset, "native_size", None)
    height, width, _ = getattr(dataset, "image_shape", (None, None, 3))
    return height if side is None and height == width else side


def statistics(dataset) -> tuple[Sequence[float], Sequence[float]]:
    """(mean, std) of each channel."""
    mean, std = getattr(dataset, "mean", None), getattr(dataset, "std", None)
    if mean is not None and std is not None:
        return mean, std
    half = (0.5,) * dataset.image_shape[2]
    return half, half


def small(dataset, native: int, size: int | None, train: bool) -> list:
    """Transforms for images of one size. They are resized last: the same picture, fewer pixels moved."""
    shift, flip = getattr(dataset, "padding", 0), getattr(dataset, "flip", False)
    chain = [RandomCrop(native, shift)] if train and shift else []
    chain += [RandomHorizontalFlip()] if train and flip else []
    return chain + ([] if size in (None, native) else [Resize((size, size))])


def photograph(size: int, train: bool) -> list:
    """Transforms for images of any size."""
    if train:
        return [RandomResizedCrop(size), RandomHorizontalFlip()]
    return [Resize(round(size * 256 / 224)), CenterCrop(size)]


def known(name: str) -> str:
    """The name, if it is one of the catalogue's; else ValueError with the nearest."""
    if name not in KINDS:
        near = difflib.get_close_matches(str(name), KINDS, n=3) or names()
        raise ValueError(f"unknown data set {name!r}; the nearest names: {', '.join(near)}")
    return name


def listed(classes: Sequence[str], most: int = 5) -> str:
    """The first names, and how many there are if these are not all."""
    more = f", ... ({len(classes)})" if len(classes) > most else ""
    return ", ".join(map(str, classes[:most])) + more
