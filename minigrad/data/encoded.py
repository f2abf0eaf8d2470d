"""Images that lie encoded in a few large files, which a loader reads forwards and `dataset[i]` at any place."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .dataset import Described
from .foreign import blaming, read_bytes
from .image import decoded
from .reading import Pass, runs
from .samplers import WindowSampler

CLASSES = "classes.txt"  # beside the parts: a name of a class on each line
LONGEST_LIST, LARGEST_IMAGE = 1 << 24, 1 << 28  # bytes


class Encoded(Described):
    """What such data sets have in common. A class of them gives `opened`, `piece` and `where`.

    files: their paths; file_of: the number of each sample's file, rising, int (N,); labels: an int for each sample;
    least_side: as of ImageFolder.
    """

    image_shape = (None, None, 3)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
    flip = True
    files: Sequence[Path]
    file_of: np.ndarray
    labels: Any
    least_side: int | None = None

    def opened(self, index: int) -> Any:
        """The file that a sample is in, open for reading: something with `close`."""
        raise NotImplementedError

    def piece(self, index: int, file: Any) -> bytes:
        """The encoded image of a sample in a file that is open."""
        raise NotImplementedError

    def where(self, index: int) -> str:
        """The place of a sample in its file, for errors."""
        raise NotImplementedError

    def path(self, index: int) -> Path:
        """The file that a sample is in."""
        return self.files[self.file_of[index]]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[np.ndarray, Any]:
        return self.sample(index, self.read(index))

    def read(self, index: int) -> bytes:
        """The encoded image of a sample, from a file that is opened for it."""
        file = self.opened(index)
        try:
            return self.piece(index, file)
        finally:
            file.close()

    def sample(self, index: int, data: bytes) -> tuple[np.ndarray, Any]:
        """(image, label) of a sample whose encoded image this is."""
        image = decoded(io.BytesIO(data), self.path(index) / self.where(index), self.least_side)
        return self.transformed(index, image, int(self.labels[index]))

    @property
    def sampler(self) -> WindowSampler:
        """An order for training in which a few files at a time are read, each forwards."""
        return WindowSampler(np.bincount(self.file_of).tolist())

    def reading(self, order: np.ndarray):
        """A Pass of these samples, int64, for those who ask for them in about this order.

        The data set itself for an order in which nearly none of them lie one behind the other in a file.
        """
        samples, begins = runs(order, self.file_of)
        return self if 8 * len(begins) > len(samples) + 8 * len(self.files) else Pass(self, samples, begins)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.files)} files, {len(self)} images, {self.num_classes} classes)"


def given_names(root: Path, classes: Sequence[str] | None) -> tuple[str, ...]:
    """The names of the classes that were asked for, else those of `root/classes.txt`, else ()."""
    path = root / CLASSES
    if classes is None and path.is_file():
        with blaming(path, "cannot be understood", ValueError):
            classes = read_bytes(path, LONGEST_LIST).decode("utf-8").splitlines()
    return tuple(classes or ())


def numbered_names(number: int) -> tuple[str, ...]:
    """Names of so many classes that have none."""
    return tuple(f"class {i}" for i in range(number))
