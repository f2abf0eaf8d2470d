"""From the name or the address of known weights to a file: the one at hand, or downloaded and checked."""

import difflib
import os
from pathlib import Path

from ..data.download import RemoteFile, check_digest, fetch
from ..data.errors import DataError
from ..data.text import shown
from .errors import WeightsError
from .zoo import KNOWN

LARGEST = 1 << 30  # bytes; VGG-19's have 575 million


def directory():
    """Where downloaded weights are kept: `weights` in $MINIGRAD_CACHE, else in ~/.cache/minigrad."""
    return Path(os.environ.get("MINIGRAD_CACHE") or Path.home() / ".cache" / "minigrad") / "weights"


def located(path):
    """A file of weights: the path as it is, or the file of a known name or address, downloaded unless it is there.

    WeightsError, in one line that says which file to put where, if it can't be had; also for an address that is not
    one of architectures.weights(), for a checksum is known of these only. Other paths come back as they are.
    """
    text = os.fspath(path)
    if os.path.exists(text):
        return path
    row = next((row for row in KNOWN if text in (row.name, row.url)), None)
    if row is not None:
        return brought(row)
    if "://" in text:
        raise WeightsError(
            f"{text}: not one of the addresses in architectures.weights(): download it, and give its path"
        )
    return path


def brought(row):
    """The file of a row, downloaded unless it is there, and checked. WeightsError as of `located`."""
    place = directory()
    if row.url is None and not (place / row.name).is_file():
        told = f"put it (sha256 {row.sha256}, from {row.source}) into {shown(place)}, or give its path"
        raise WeightsError(f"{row.name}: not at hand, and there is no address to download it from: {told}")
    mirror, _, there = (row.url or row.name).rpartition("/")
    file = RemoteFile(row.name, row.sha256, (f"{mirror}/",), "sha256", there, LARGEST)
    try:
        found = fetch(file, place)
        check_digest(found, file)  # somebody may have put it there
    except DataError as error:
        raise WeightsError(in_a_line(str(error))) from error
    return found


def in_a_line(text):
    """What a failed download says on three lines or more: what, why, and what to do."""
    first, *reasons = text.splitlines()
    if not reasons:
        return text
    *reasons, last = reasons
    return f"{first.rstrip(':')} ({reasons[-1].partition(': ')[2]}): {last.removeprefix('By hand: ')}, or give its path"


def nearest(name):
    """'; the nearest of architectures.weights(): a, b', or nothing where none is like the name."""
    near = difflib.get_close_matches(os.path.basename(os.fspath(name)), [row.name for row in KNOWN], n=3)
    return f"; the nearest of architectures.weights(): {', '.join(near)}" if near else ""
