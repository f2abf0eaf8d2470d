"""Images in tar files ("shards") as WebDataset writes them: members KEY.jpg and KEY.cls, one pair after the other.

A million files in one directory are slow to list and to open; in some hundred tar files they are read one after the
other. Their places are listed once, from the tar's own headers; then a loader reads each file forwards (see `reading`),
and `shards[i]` an image from its place.
"""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .archive import members
from .dataset import Described
from .errors import DataError
from .foreign import Limited, blaming, open_regular, read_bytes
from .image import EXTENSIONS, decoded
from .reading import Pass, runs
from .samplers import WindowSampler
from .text import printable, shown

CLASSES = "classes.txt"  # beside the parts: a name of a class on each line
PARTS = {True: ("train",), False: ("val", "test")}
LABEL = ".cls"
LONGEST_LABEL, LONGEST_LIST, LARGEST_IMAGE = 20, 1 << 24, 1 << 28  # bytes
MOST_MEMBERS = 10_000_000  # of a shard


class Place(NamedTuple):
    """Where an image lies: the number of its shard, its first byte and how many there are, and its name there."""

    shard: int
    start: int
    size: int
    name: str


class Shards(Described):
    """`root/train/*.tar` and `root/val/*.tar`, shards in the order of their names; decoded when asked for.

    classes: the names that labels count, in this order; None: the lines of `root/classes.txt`, or "class 0" and so on
    where there is no such file. A label is the text of KEY.cls, a number. Images are RGB uint8 (H, W, 3), each of its
    own size. transform, target_transform: as of ArrayDataset; least_side: as of ImageFolder. A DataLoader that trains
    takes `sampler`.

    DataError, naming the shard, if it is no tar file, compressed, damaged, or lacks an image's label; BadImage, when it
    is asked for, for an image that can't be decoded.
    """

    name = "shards"
    image_shape = (None, None, 3)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
    flip = True

    def __init__(
        self,
        root: str | Path | None = None,
        train: bool = True,
        download: bool = False,
        classes: Sequence[str] | None = None,
        *,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        least_side: int | None = None,
    ):
        self.least_side = least_side
        if root is None or download:
            raise DataError("Shards: cannot be downloaded: root must be a directory with train/*.tar")
        self.set_transforms(transform, target_transform)
        self.shards = shards_of(Path(root), train)
        self.places, self.labels = [], []
        for number, path in enumerate(self.shards):
            self.list_shard(number, path)
        self.shard_of = np.array([place.shard for place in self.places])
        self.classes = class_names(Path(root), classes, max(self.labels) + 1)

    def list_shard(self, number: int, path: Path) -> None:
        """Note where the images of a shard lie, and their labels."""
        before = len(self.places)
        for place, label in samples(number, path):
            self.places.append(place)
            self.labels.append(label)
        if len(self.places) == before:
            raise DataError(f"{shown(path)}: no image in this shard")

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.sample(index, self.read(index))

    def sample(self, index: int, data: bytes) -> tuple[np.ndarray, int]:
        """(image, label) of a sample whose bytes these are."""
        place = self.places[index]
        image = decoded(io.BytesIO(data), self.shards[place.shard] / place.name, self.least_side)
        return self.transformed(index, image, self.labels[index])

    def opened(self, index: int):
        """The file that a sample is in, open for reading."""
        return open_regular(self.shards[self.places[index].shard])

    def read(self, index: int, file=None) -> bytes:
        """The bytes of a sample, from its file, which may be open already. DataError if it is shorter than it was."""
        if file is None:
            with self.opened(index) as file:
                return self.read(index, file)
        place = self.places[index]
        path = self.shards[place.shard]
        with blaming(path, "cannot read"):
            file.seek(place.start)
            data = file.read(place.size)
        if len(data) != place.size:
            raise DataError(f"{shown(path)}: became shorter while it was in use: {shown(place.name)} is not whole")
        return data

    @property
    def sampler(self) -> WindowSampler:
        """An order for training in which a few shards at a time are read, each forwards."""
        return WindowSampler(np.bincount(self.shard_of).tolist())

    def reading(self, order: np.ndarray):
        """A Pass of these samples, int64, for those who ask for them in about this order.

        The shards themselves for an order in which nearly none of them lie one behind the other in a file.
        """
        samples, begins = runs(order, self.shard_of)
        return self if 8 * len(begins) > len(samples) + 8 * len(self.shards) else Pass(self, samples, begins)

    def __repr__(self) -> str:
        return f"Shards({len(self.shards)} shards, {len(self)} images, {self.num_classes} classes)"


def has_shards(root: str | Path) -> bool:
    """Is this a directory of shards?"""
    return any((Path(root) / "train").glob("*.tar"))


def shards_of(root: Path, train: bool) -> list[Path]:
    """The shards of a part, by name. DataError if there are none."""
    for part in PARTS[train]:
        if found := sorted((root / part).glob("*.tar")):
            return found
    raise DataError(f"Shards: no {' or '.join(f'{part}/*.tar' for part in PARTS[train])} in {shown(root)}")


def samples(number: int, path: Path):
    """(Place, label) of each image of a shard. Files of other kinds are passed over."""
    key, image, label = None, None, None
    for member, stream in regular_members(path):
        here, dot, ending = printable(member.name.rpartition("/")[2]).partition(".")
        here, ending = f"{member.name.rpartition('/')[0]}/{here}", f"{dot}{ending}".lower()
        if here != key:
            yield from sample(path, key, image, label)
            key, image, label = here, None, None
        if ending == LABEL:
            label = read_label(path, member, stream)
        elif ending in EXTENSIONS:
            image = checked_place(number, path, member)
    yield from sample(path, key, image, label)


def sample(path: Path, key, image, label):
    """The pair that is complete; nothing for other files. DataError for half a pair."""
    if image is None and label is None:
        return
    if image is None or label is None:
        missing = "no label (.cls)" if label is None else "no image"
        raise DataError(f"{shown(path)}: {shown(key.lstrip('/'))} has {missing} beside it")
    yield image, label


def regular_members(path: Path):
    """(member, stream) of the files in a tar, which are read forwards. DataError for what no shard has."""
    with open_regular(path) as file, blaming(path, "is no tar file, or damaged", Exception):
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        stream = Limited(path, file, size)
        for member in members(path, stream, MOST_MEMBERS):
            if member.isreg():
                yield member, stream


def checked_place(number: int, path: Path, member) -> Place:
    if member.size > LARGEST_IMAGE:
        raise DataError(f"{shown(path)}: {shown(member.name)} has {member.size:,} bytes; at most {LARGEST_IMAGE:,}")
    return Place(number, member.offset_data, member.size, printable(member.name))


def read_label(path: Path, member, stream) -> int:
    """The number in a file KEY.cls."""
    stream.seek(member.offset_data)
    text = stream.read(min(member.size, LONGEST_LABEL)).decode("ascii", "replace").strip()
    if not text.isdecimal() or member.size > LONGEST_LABEL or len(text) > 9:
        raise DataError(f"{shown(path)}: {shown(member.name)} must hold a number from 0; it holds {text!r}")
    return int(text)


def class_names(root: Path, classes: Sequence[str] | None, used: int) -> tuple[str, ...]:
    """The names of the classes. DataError if labels go beyond them."""
    listed = root / CLASSES
    if classes is None and listed.is_file():
        with blaming(listed, "cannot be understood", ValueError):
            classes = read_bytes(listed, LONGEST_LIST).decode("utf-8").splitlines()
    names = tuple(classes) if classes is not None else tuple(f"class {i}" for i in range(used))
    if used > len(names):
        raise DataError(f"Shards: {shown(root)} has the label {used - 1}, but only {len(names)} classes")
    return names
