"""MNIST, Fashion-MNIST and the idx format that both come in."""

import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np

from .dataset import ArrayDataset, default_root
from .download import RemoteFile, fetch
from .errors import DataError, MissingData
from .foreign import blaming, compare, unzipped
from .text import shown

UINT8 = 0x08  # the idx type code
LIMIT = 1 << 30  # bytes


def read_idx(path: str | Path, limit: int = LIMIT) -> np.ndarray:
    """The uint8 array in an idx file, raw or gzipped (format: http://yann.lecun.com/exdb/mnist/).

    Raises DataError, naming the file, if it is not idx, holds another type, has too few or too many bytes, or more than
    `limit`.
    """
    with unzipped(path, limit + 1) as stream, blaming(path, "cannot read"):
        shape = read_header(path, stream)
        start, expected = stream.tell(), math.prod(shape)
        if expected > limit - start:
            raise DataError(f"{shown(path)}: header says shape {shape}; at most {limit:,} bytes are read")
        data = stream.read_array(expected)
        if len(data) < expected or stream.read(1):
            found = "more" if len(data) == expected else len(data)
            raise DataError(f"{shown(path)}: header says shape {shape}, {expected} bytes; the file has {found}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def read_header(path, stream) -> tuple[int, ...]:
    """The shape. Behind two zero bytes come the type, the number of axes and their lengths, high byte first."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise DataError(f"{shown(path)}: not an idx file: it must start with two zero bytes; got {magic.hex(' ')!r}")
    kind, ndim = magic[2], magic[3]
    if kind != UINT8:
        raise DataError(f"{shown(path)}: idx type code is 0x{kind:02x}; only 0x08 (uint8) is supported")
    lengths = stream.read(4 * ndim)
    if len(lengths) < 4 * ndim:
        raise DataError(
            f"{shown(path)}: truncated: {4 + len(lengths)} bytes are less than its header of {4 + 4 * ndim}"
        )
    return struct.unpack(f">{ndim}I", lengths)


def idx_header(array: np.ndarray) -> bytes:
    """The bytes in front of this array in an idx file."""
    return struct.pack(f">4B{array.ndim}I", 0, 0, UINT8, array.ndim, *array.shape)


class MNIST(ArrayDataset):
    """60,000 training and 10,000 test images of handwritten digits, 28x28x1.

    Reads the four idx files, raw or .gz, from `root`, `root/mnist` or `root/MNIST/raw` (torchvision's place); with
    download=True missing ones are brought into `root/mnist`. root: see `default_root`. What is read is compared with
    the published checksums, see `foreign.compare`.
    """

    name = "mnist"
    mean, std = (0.1307,), (0.3081,)
    native_size, padding, flip = 28, 2, False  # a mirrored digit is no digit
    classes = tuple("0123456789")
    folder, torchvision_folder = "mnist", "MNIST/raw"
    mirrors = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    )
    md5: ClassVar = {  # of the .gz that the mirrors have
        "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
    }
    raw_md5: ClassVar = {  # of what is in them, however it is packed
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    }

    def __init__(
        self,
        root: str | Path | None = None,
        train: bool = True,
        download: bool = False,
        *,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
    ):
        self.root = default_root() if root is None else Path(root)
        part, official = ("train", 60_000) if train else ("t10k", 10_000)
        image_file, images = self.read(f"{part}-images-idx3-ubyte", download, official)
        _, labels = self.read(f"{part}-labels-idx1-ubyte", download, official)
        if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
            raise DataError(
                f"{shown(image_file)}: must be (N, 28, 28) with labels (N,); got {images.shape}, {labels.shape}"
            )
        super().__init__(images[..., None], labels, self.classes, transform, target_transform)

    def read(self, name: str, download: bool, official: int) -> tuple[Path, np.ndarray]:
        """(path, array) of one of the files; official: how many rows the published one has."""
        path = self.find(name, download)
        array = read_idx(path, limit=1 << 27)
        compare(path, (idx_header(array), array), self.raw_md5.get(name), len(array) == official)
        return path, array

    def find(self, name: str, download: bool) -> Path:
        """Where the file is, after a download if need be. MissingData if it is nowhere."""
        places = [self.root / self.folder, self.root / self.torchvision_folder, self.root]
        with blaming(self.root, "cannot read", (OSError, ValueError)):
            for path in (place / (name + ending) for place in places for ending in ("", ".gz")):
                if path.is_file():
                    return path
        file = RemoteFile(f"{name}.gz", self.md5[name], self.mirrors)
        if download:
            return fetch(file, places[0])
        missing = f"{type(self).__name__}: no {name} (or .gz) in {shown(self.root)}"
        raise MissingData(missing, self.root, file.by_hand(places[0]))


class FashionMNIST(MNIST):
    """60,000 training and 10,000 test images of clothes, 28x28x1 (Xiao, Rasul, Vollgraf 2017; MIT licence).

    As MNIST, in `root`, `root/fashion-mnist` or `root/FashionMNIST/raw`.
    """

    name = "fashion-mnist"
    mean, std, flip = (0.2860,), (0.3530,), True
    classes = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
    folder, torchvision_folder = "fashion-mnist", "FashionMNIST/raw"
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
    raw_md5: ClassVar = {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    }


class EmbeddedFashionMNIST(ArrayDataset):
    """10,000 training and 2,000 test images of Fashion-MNIST that ship with the package: image i is of class i % 10.

    Each part is one PNG with a column for every class (`make_embedded.py` writes them). There is nothing to find or
    download: root and download are there so that all data sets are called alike.
    """

    name = "fashion-mnist-10k"
    mean, std = FashionMNIST.mean, FashionMNIST.std  # of the full 60,000
    native_size, padding, flip = FashionMNIST.native_size, FashionMNIST.padding, FashionMNIST.flip
    classes = FashionMNIST.classes
    directory = Path(__file__).parent / "embedded"

    def __init__(
        self,
        root: str | Path | None = None,
        train: bool = True,
        download: bool = False,
        *,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
    ):
        from PIL import Image

        with Image.open(self.directory / f"fashion_mnist_{'train' if train else 'test'}.png") as picture:
            mosaic = np.asarray(picture)
        rows = mosaic.reshape(-1, 28, 10, 28).swapaxes(1, 2)  # (images a class, 10 classes, 28, 28)
        images = rows.reshape(-1, 28, 28, 1)
        super().__init__(images, np.arange(len(images)) % 10, self.classes, transform, target_transform)
