"""MNIST, Fashion-MNIST and the idx format that both come in."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import ClassVar

import numpy as np

from minigrad.data.dataset import ArrayDataset, DataError, default_root
from minigrad.data.download import RemoteFile, fetch

_UINT8 = 0x08  # the idx type code


def read_idx(path: str | Path) -> np.ndarray:
    """The uint8 array in an idx file, raw or gzipped (format: http://yann.lecun.com/exdb/mnist/).

    Raises DataError, naming the file, if it is not idx, holds another type, or has too few or too many bytes.
    """
    data = _read_bytes(Path(path))
    if len(data) < 4 or data[:2] != b"\0\0":
        raise DataError(f"{path}: not an idx file: it must start with two zero bytes; got {data[:4].hex(' ')!r}")
    kind, ndim = data[2], data[3]
    if kind != _UINT8:
        raise DataError(f"{path}: idx type code is 0x{kind:02x}; only 0x08 (uint8) is supported")
    start = 4 + 4 * ndim
    if len(data) < start:
        raise DataError(f"{path}: truncated: {len(data)} bytes are less than its header of {start}")
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", ndim, offset=4))
    expected = int(np.prod(shape, dtype=object))  # Python integers: a damaged header can claim any size
    if len(data) - start != expected:
        raise DataError(f"{path}: header says shape {shape}, {expected} bytes; the file has {len(data) - start}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _read_bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot read: {error}") from error


class MNIST(ArrayDataset):
    """60,000 training and 10,000 test images of handwritten digits, 28x28x1.

    Reads the four idx files, raw or .gz, from `root`, `root/mnist` or `root/MNIST/raw` (torchvision's place); with
    download=True missing ones are brought into `root/mnist`. root: see `default_root`.
    """

    folder, torchvision_folder = "mnist", "MNIST/raw"
    names = tuple("0123456789")
    mirrors = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    )
    md5: ClassVar = {
        "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
    }

    def __init__(self, root: str | Path | None = None, train: bool = True, download: bool = False):
        self.root = default_root() if root is None else Path(root)
        part = "train" if train else "t10k"
        image_file = self._find(f"{part}-images-idx3-ubyte", download)
        images = read_idx(image_file)
        labels = read_idx(self._find(f"{part}-labels-idx1-ubyte", download))
        if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
            raise DataError(f"{image_file}: must be (N, 28, 28) with labels (N,); got {images.shape}, {labels.shape}")
        super().__init__(images[..., None], labels, self.names)

    def _find(self, name: str, download: bool) -> Path:
        places = [self.root / self.folder, self.root / self.torchvision_folder, self.root]
        for path in (place / (name + ending) for place in places for ending in ("", ".gz")):
            if path.is_file():
                return path
        file = RemoteFile(f"{name}.gz", self.md5[name], self.mirrors)
        if download:
            return fetch(file, places[0])
        raise DataError(
            f"{type(self).__name__}: no {name} (or .gz) in {self.root}: pass download=True, "
            f"or by hand: {file.by_hand(places[0])}"
        )


class FashionMNIST(MNIST):
    """60,000 training and 10,000 test images of clothes, 28x28x1 (Xiao, Rasul, Vollgraf 2017; MIT licence).

    As MNIST, in `root`, `root/fashion-mnist` or `root/FashionMNIST/raw`.
    """

    folder, torchvision_folder = "fashion-mnist", "FashionMNIST/raw"
    names = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
    mirrors = (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    )
    md5: ClassVar = {
        "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
    }


class EmbeddedFashionMNIST(ArrayDataset):
    """10,000 training and 2,000 test images of Fashion-MNIST that ship with the package: image i is of class i % 10.

    Each part is one PNG with a column for every class (`make_embedded.py` writes them). There is nothing to find or
    download: root and download are there so that all data sets are called alike.
    """

    directory = Path(__file__).parent / "embedded"

    def __init__(self, root: str | Path | None = None, train: bool = True, download: bool = False):
        from PIL import Image

        with Image.open(self.directory / f"fashion_mnist_{'train' if train else 'test'}.png") as picture:
            mosaic = np.asarray(picture)
        rows = mosaic.reshape(-1, 28, 10, 28).swapaxes(1, 2)  # (images a class, 10 classes, 28, 28)
        images = rows.reshape(-1, 28, 28, 1)
        super().__init__(images, np.arange(len(images)) % 10, FashionMNIST.names)
