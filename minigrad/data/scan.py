"""What lies in a folder of images, and what of it is passed over."""

import os
from collections import Counter
from pathlib import Path

from .errors import DataError
from .image import EXTENSIONS
from .text import reason, shown

CLUTTER = frozenset(  # what systems leave in folders, lower case; names with a dot in front are clutter, too
    ("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "lost+found")
    + ("system volume information",)
)


def entries(directory: Path) -> list[os.DirEntry]:
    """What is in a directory, by name, without clutter. DataError if it can't be read."""
    try:
        with os.scandir(directory) as found:
            return sorted((e for e in found if not is_clutter(e.name)), key=lambda e: e.name)
    except (OSError, ValueError) as error:
        raise DataError(f"{shown(directory)}: cannot read this folder: {reason(error)}") from error


def is_clutter(name: str) -> bool:
    return name.startswith(".") or name.lower() in CLUTTER


def folders(directory: Path) -> list[Path]:
    """The folders in a directory, and links to folders."""
    return [Path(e.path) for e in entries(directory) if kind_of(e) == "folder"]


def kind_of(entry: os.DirEntry) -> str:
    """folder, file, or why it is neither. Links are followed."""
    try:
        if entry.is_dir():
            return "folder"
        if entry.is_file():
            return "file"
    except OSError:  # a link to itself
        pass
    return "broken link" if entry.is_symlink() else "special file"


def images_below(directory: Path) -> tuple[list[Path], Counter]:
    """(the images in a directory and below, sorted; how many files of each sort were passed over).

    A folder that several links lead to is read once. A link to a folder above is passed over: its images belong to
    others.
    """
    paths, passed, seen, waiting = [], Counter(), set(), [directory]
    while waiting:
        folder = waiting.pop()
        if already(folder, seen):
            continue
        for entry in entries(folder):
            kind = kind_of(entry)
            if kind == "folder" and leads_up(entry, folder):
                passed["link to a folder above"] += 1
            elif kind == "folder":
                waiting.append(Path(entry.path))
            elif (sort := sort_of(entry, kind)) is None:
                paths.append(Path(entry.path))
            else:
                passed[sort] += 1
    return sorted(paths), passed


def leads_up(entry: os.DirEntry, folder: Path) -> bool:
    """Is it a link to this folder or to one that it lies in?"""
    return entry.is_symlink() and folder.resolve().is_relative_to(Path(entry.path).resolve())


def already(folder: Path, seen: set) -> bool:
    """Whether this folder was read before, under whatever name."""
    try:
        status = os.stat(folder)
    except OSError as error:
        raise DataError(f"{shown(folder)}: cannot read this folder: {reason(error)}") from error
    identity = status.st_dev, status.st_ino
    known = identity in seen
    seen.add(identity)
    return known


def sort_of(entry: os.DirEntry, kind: str) -> str | None:
    """What sort of file is passed over; None for an image."""
    if kind != "file":
        return kind
    ending = os.path.splitext(entry.name)[1].lower()
    if ending not in EXTENSIONS:
        return ending or "no extension"
    return None if entry.stat().st_size else "empty file"


def summary(passed: Counter) -> str:
    """For example "12 .heic, 1 empty file"."""
    return ", ".join(f"{number} {sort}" for sort, number in passed.most_common(5))
