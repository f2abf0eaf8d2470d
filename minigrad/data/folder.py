"""Images in folders, one folder a class: ImageNet's layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from minigrad.data.dataset import DataError

EXTENSIONS = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"))
_HOLD_OUT = 5  # without a val folder, one image in five is for testing


class ImageFolder:
    """`root/train/<class>/*.jpg` and `root/val/<class>/*.jpg`; class names in sorted order; decoded when asked for.

    train: True, False (the folder `val`, else `test`), or None for all images of `root/<class>/`. If root has no such
        split, every fifth image of each class, in sorted order, is the test set.

    Images are RGB uint8 (H, W, 3), each of its own size: batches need a transform with Resize or a crop.

    Raises DataError, naming the path, for a missing or empty folder and for an image that cannot be decoded.
    """

    image_shape = (None, None, 3)

    def __init__(self, root: str | Path | None = None, train: bool | None = True, download: bool = False):
        if root is None or download:
            raise DataError("ImageFolder: cannot be downloaded: root must be a directory with train/<class>/*.jpg")
        root = Path(root)
        if not root.is_dir():
            raise DataError(f"ImageFolder: {root} is not a directory")
        self.directory, hold_out = _split_directory(root, train)
        self.classes = tuple(sorted(d.name for d in self.directory.iterdir() if d.is_dir() and d.name[0] != "."))
        self.paths, self.labels = [], []
        for label, name in enumerate(self.classes):
            paths = _images_below(self.directory / name)
            if hold_out:
                paths = [path for i, path in enumerate(paths) if (i % _HOLD_OUT == 0) != train]
            self.paths += paths
            self.labels += [label] * len(paths)
        if not self.paths:
            raise DataError(f"ImageFolder: no images in {self.directory}/<class>/ ({', '.join(sorted(EXTENSIONS))})")

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return read_image(self.paths[index]), self.labels[index]

    def __repr__(self) -> str:
        return f"ImageFolder({self.directory}: {len(self)} images, {self.num_classes} classes)"


def _split_directory(root: Path, train: bool | None) -> tuple[Path, bool]:
    """Where the images are, and whether the split has still to be made among them."""
    splits = [root / name for name in ("train", "val", "test") if (root / name).is_dir()]
    if train is None or not splits:
        return root, train is not None
    wanted = ("train",) if train else ("val", "test")
    for directory in splits:
        if directory.name in wanted:
            return directory, False
    raise DataError(f"ImageFolder: {root} has {splits[0].name} but no {' or '.join(wanted)}")


def _images_below(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.suffix.lower() in EXTENSIONS and path.is_file())


def read_image(path: str | Path) -> np.ndarray:
    """The image as RGB uint8 (H, W, 3). Raises DataError, naming the file, if it is damaged or no image."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return np.array(picture.convert("RGB"))
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error and more
        raise DataError(f"{path}: cannot decode image: {error}") from error
