"""Which folder is which part of a data set."""

import re
from pathlib import Path

from .errors import DataError, say
from .scan import folders
from .text import shown

WORDS = {  # any mixture of upper and lower case
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
FOR = {True: ("train",), False: ("val", "test")}  # train: the parts to take, the best first


def find_part(root: Path, train: bool | None) -> tuple[Path, bool]:
    """(where the images of a part are, whether the part has still to be chosen among them).

    train: True, False, or None for all images. DataError where the folders don't say which is which.
    """
    below = folders(root)
    parts = parts_among(root, below)
    if not parts:
        check_no_other_parts(root, below)
        return root, train is not None
    names = " and ".join(repr(shown(path.name)) for path in parts.values())
    if train is None:
        raise DataError(f"ImageFolder: {shown(root)} has the parts {names}: take one of these folders")
    say_what_is_beside(root, below, parts)
    for kind in FOR[train]:
        if kind in parts:
            return parts[kind], False
    advice = f"; {shown(parts['train'])} alone gets a fifth of its images held out" if "train" in parts else ""
    raise DataError(f"ImageFolder: {shown(root)} has {names} but no {' or '.join(FOR[train])}{advice}")


def parts_among(root: Path, below: list[Path]) -> dict[str, Path]:
    """{train, val or test: folder}. A lone folder of such a name that holds no folders is a class: a train, a test."""
    parts = {}
    for folder in below:
        kind = kind_of(folder.name)
        if kind in parts:
            raise DataError(f"ImageFolder: {shown(root)} has both {parts[kind].name!r} and {folder.name!r}: which one?")
        if kind is not None:
            parts[kind] = folder
    if len(parts) == 1 and len(below) > 1 and not any(folders(path) for path in parts.values()):
        return {}
    return parts


def kind_of(name: str) -> str | None:
    """train, val or test, if the name says just that."""
    return next((kind for kind, words in WORDS.items() if name.lower() in words), None)


def resembles(name: str) -> str | None:
    """train, val or test, if that is a word of the name, as in "seg_train", "Training Set" or "val2017"."""
    words = (re.sub(r"(set|data|images?)$", "", word) for word in re.split(r"[^a-z]+", name.lower()))
    return next((kind for kind in map(kind_of, words) if kind is not None), None)


def check_no_other_parts(root: Path, below: list[Path]) -> None:
    """DataError if the folders, which are about to be taken for classes, look like parts or hold parts."""
    alike = {resembles(path.name): path for path in below if resembles(path.name) and folders(path)}
    if len(alike) > 1:
        names = " and ".join(repr(shown(path.name)) for path in alike.values())
        raise DataError(f"ImageFolder: {names} in {shown(root)} look like parts, not classes: rename to train and val")
    for path in below:
        inside = {kind_of(folder.name) for folder in folders(path)}
        if "train" in inside and len(inside - {None}) > 1:
            raise DataError(
                f"ImageFolder: {shown(path)} holds parts of a data set, so it can't be a class of {shown(root)}: "
                "take that folder, or, if all classes are like that, make it train/<class>, val/<class>"
            )


def say_what_is_beside(root: Path, below: list[Path], parts: dict[str, Path]) -> None:
    """Folders beside the parts are in no part."""
    others = [repr(shown(path.name)) for path in below if path not in parts.values()]
    if others:
        more = ", ..." if len(others) > 3 else ""
        say(f"{shown(root)}: passed over, beside the parts: {', '.join(others[:3])}{more}")
