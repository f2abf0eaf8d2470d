"""Images in folders, one folder a class: ImageNet's layout."""

import difflib
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from .dataset import Described
from .errors import DataError, say
from .image import EXTENSIONS, read_image
from .scan import folders, images_below, summary
from .splits import find_part, parts_among
from .text import printable, reason, shown

__all__ = ["EXTENSIONS", "ImageFolder", "read_image"]
HOLD_OUT = 5  # without a val folder, one image in five is for testing


class ImageFolder(Described):
    """`root/train/<class>/*.jpg` and `root/val/<class>/*.jpg`; class names in sorted order; decoded when asked for.

    train: True, False (the folder `val`, else `test`), or None for all images of `root/<class>/`. If root has no such
        parts, every fifth image of each class, in sorted order, is the test set. `Train`, `training`, `valid`,
        `validation` and `testing` are understood, too.
    classes: the names that labels count, in this order. None: those of the training part, whichever part is read, so
        that a label means the same in both.
    transform, target_transform: as of `ArrayDataset`: called with each image, and with each label.
    least_side: how small large JPEGs may be decoded, see `read_image`; None: whole.

    Images are RGB uint8 (H, W, 3), each of its own size (see `read_image`): batches need a transform with Resize or a
    crop. Links are followed. Hidden files are no images; empty ones and those of other kinds are passed over, which is
    said, as is a class without images to test on.

    Raises DataError, naming the path, for a missing or empty folder, a class of the training part without images, and a
    class that the training part doesn't have; BadImage, when it is asked for, for an image that cannot be decoded.
    """

    name = "imagefolder"
    image_shape = (None, None, 3)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
    flip = True

    def __init__(
        self,
        root: str | Path | None = None,
        train: bool | None = True,
        download: bool = False,
        classes: Sequence[str] | None = None,
        *,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        least_side: int | None = None,
    ):
        self.least_side = least_side
        if root is None or download:
            raise DataError("ImageFolder: cannot be downloaded: root must be a directory with train/<class>/*.jpg")
        self.set_transforms(transform, target_transform)
        root = existing(root)
        self.directory, hold_out = find_part(root, train)
        found = class_folders(self.directory)
        reference = tuple(classes) if classes is not None else reference_classes(root, train, hold_out)
        self.classes = tuple(found) if reference is None else reference
        check_known(self.directory, found, self.classes)
        images, passed = self.collect(found)
        check_images(self.directory, images, passed, own=reference is None)
        if hold_out:
            images = held_out(root, images, train)
        self.paths = [path for paths in images.values() for path in paths]
        self.labels = [label for label, paths in enumerate(images.values()) for _ in paths]

    def collect(self, found: dict[str, Path]) -> tuple[dict[str, list[Path]], dict[str, Counter]]:
        """({class: paths}, {class: what was passed over}) of every class, found or not."""
        looked = {name: images_below(found[name]) if name in found else ([], Counter()) for name in self.classes}
        return {name: paths for name, (paths, _) in looked.items()}, {n: passed for n, (_, passed) in looked.items()}

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.transformed(index, read_image(self.paths[index], self.least_side), self.labels[index])

    def __repr__(self) -> str:
        return f"ImageFolder({shown(self.directory)}: {len(self)} images, {self.num_classes} classes)"


def existing(root: str | Path) -> Path:
    """The directory as a Path. DataError if there is none."""
    try:
        if not Path(root).is_dir():
            raise DataError(f"ImageFolder: {shown(root)} is not a directory")
    except (OSError, ValueError) as error:
        raise DataError(f"ImageFolder: {shown(root)}: {reason(error)}") from error
    return Path(root)


def class_folders(directory: Path) -> dict[str, Path]:
    """{name of the class: its folder}, sorted. A name is printable text, accents composed, whatever the file system."""
    found = {}
    for folder in folders(directory):
        name = printable(unicodedata.normalize("NFC", folder.name))
        if name in found:
            raise DataError(f"ImageFolder: {shown(directory)} has two folders whose names read {name!r}")
        found[name] = folder
    return dict(sorted(found.items()))


def reference_classes(root: Path, train: bool | None, hold_out: bool) -> tuple[str, ...] | None:
    """The classes of the training part, when another part is read and there is one; else None."""
    parts = {} if train is not False or hold_out else parts_among(root, folders(root))
    return tuple(class_folders(parts["train"])) if "train" in parts else None


def check_known(directory: Path, found: dict[str, Path], classes: Sequence[str]) -> None:
    """DataError for a folder that is none of the classes."""
    unknown = [name for name in found if name not in classes]
    if not unknown:
        return
    names = ", ".join(map(repr, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
    near = difflib.get_close_matches(unknown[0], classes, n=1)
    hint = f"; is {unknown[0]!r} meant to be {near[0]!r}?" if near else ""
    raise DataError(f"ImageFolder: {shown(directory)} has classes that are not among those trained on: {names}{hint}")


def check_images(directory: Path, images: dict, passed: dict[str, Counter], own: bool) -> None:
    """DataError where there are no images; what else is worth knowing is said. own: the classes are this folder's."""
    total, empty = sum(passed.values(), Counter()), [name for name, paths in images.items() if not paths]
    left = f" (passed over: {summary(total)})" if total else ""
    if len(empty) == len(images):
        kinds = ", ".join(sorted(EXTENSIONS))
        raise DataError(f"ImageFolder: no images in {shown(directory)}/<class>/ ({kinds}){left}")
    names = ", ".join(map(repr, empty[:5])) + (", ..." if len(empty) > 5 else "")
    if empty and own:
        advice = "convert its files, or remove its folder"
        raise DataError(f"ImageFolder: {shown(directory)}: no images that can be read in class {names}{left}: {advice}")
    if empty:
        say(f"{shown(directory)}: no images of class {names}")
    if total:
        say(f"{shown(directory)}: passed over: {summary(total)}")
    if len(images) == 1:
        say(f"{shown(directory)}: only one class, {next(iter(images))!r}: every net is right about it")


def held_out(root: Path, images: dict[str, list[Path]], train: bool | None) -> dict[str, list[Path]]:
    """Of each class the images to train or to test on. A class of a single image has none to test on."""
    chosen = {
        name: [path for i, path in enumerate(paths) if (i % HOLD_OUT == 0 and len(paths) > 1) != train]
        for name, paths in images.items()
    }
    total, mine = (sum(map(len, parts.values())) for parts in (images, chosen))
    tested = total - mine if train else mine
    say(f"{shown(root)}: no folder val or test: {tested} of {total} images, every fifth of a class, are for testing")
    return chosen
