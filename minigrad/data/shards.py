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
from .encoded import LARGEST_IMAGE, Encoded, given_names, numbered_names
from .errors import DataError
from .foreign import Limited, blaming, open_regular
from .image import EXTENSIONS
from .text import printable, shown

PARTS = {True: ("train",), False: ("val", "test")}
LABEL = ".cls"
LONGEST_LABEL = 20  # bytes
MOST_MEMBERS = 10_000_000  # of a shard


class Place(NamedTuple):
    """Where an image lies: the number of its shard, its first byte and how many there are, and its name there."""

    shard: int
    start: int
    size: int
    name: str


class Shards(Encoded):
    """`root/train/*.tar` and `root/val/*.tar`, shards in the order of their names; decoded when asked for.

    classes: the names that labels count, in this order; None: the lines of `root/classes.txt`, or "class 0" and so on
    where there is no such file. A label is the text of KEY.cls, a number. Images are RGB uint8 (H, W, 3), each of its
    own size. transform, target_transform: as of ArrayDataset; least_side: as of ImageFolder. A DataLoader that trains
    takes `sampler`.

    DataError, naming the shard, if it is no tar file, compressed, damaged, or lacks an image's label; BadImage, when it
    is asked for, for an image that can't be decoded.
    """

    name = "shards"

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
        self.files = shards_of(Path(root), train)
        self.places, self.labels = [], []
        for number, path in enumerate(self.files):
            self.list_shard(number, path)
        self.file_of = np.array([place.shard for place in self.places])
        used = max(self.labels) + 1
        self.classes = given_names(Path(root), classes) or numbered_names(used)
        if used > len(self.classes):
            raise DataError(f"Shards: {shown(root)} has the label {used - 1}, but only {len(self.classes)} classes")

    def list_shard(self, number: int, path: Path) -> None:
        """Note where the images of a shard lie, and their labels."""
        before = len(self.places)
        for place, label in samples(number, path):
            self.places.append(place)
            self.labels.append(label)
        if len(self.places) == before:
            raise DataError(f"{shown(path)}: no image in this shard")

    def opened(self, index: int) -> io.BufferedReader:
        """The file that a sample is in, open for reading."""
        return open_regular(self.path(index))

    def piece(self, index: int, file: io.BufferedReader) -> bytes:
        """The bytes of a sample in an open file. DataError if it is shorter than it was."""
        place, path = self.places[index], self.path(index)
        with blaming(path, "cannot read"):
            file.seek(place.start)
            data = file.read(place.size)
        if len(data) != place.size:
            raise DataError(f"{shown(path)}: became shorter while it was in use: {shown(place.name)} is not whole")
        return data

    def where(self, index: int) -> str:
        """The sample's name in its file."""
        return self.places[index].name


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
