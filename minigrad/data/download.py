"""Bring a file from one of several mirrors: resumed where it broke off, checked, and put in place in one step.

A mirror is a stranger: it may send too much, too slowly, for ever, or nonsense. It gets so many bytes, so much time and
so many requests, with pauses between them; then the next one is asked.
"""

import hashlib
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from .errors import DataError, MirrorError
from .lock import locked
from .text import reason, shown

CHUNK = 1 << 16
LARGEST = 1 << 28  # bytes of a file of data; the largest known one has 171 million
REQUESTS = 20  # to one mirror for one file
PAUSES = (1.0, 2.0, 4.0, 8.0)  # seconds before the second, third ... request; the last one again and again
TIME = 2 * 3600.0  # seconds for one file from one mirror
SLOWEST = 1024  # bytes a second, over WINDOW seconds
WINDOW = 60.0


@dataclass(frozen=True)
class RemoteFile:
    """A file that is the same on every mirror: `mirror + name` is an address, `checksum` what its publisher states.

    algorithm: md5 or sha256, of which the checksum may be the first digits; there: its name on the mirrors, where that
    is another one; largest: the most bytes that are taken, None for LARGEST.
    """

    name: str
    checksum: str
    mirrors: tuple[str, ...]
    algorithm: str = "md5"
    there: str | None = None
    largest: int | None = None

    def addresses(self) -> list[str]:
        """Where it may be had, the best first."""
        return [mirror + (self.there or self.name) for mirror in self.mirrors]

    def by_hand(self, directory: Path) -> str:
        """What a person without a network has to do."""
        told = f"{self.algorithm} {self.checksum}, from {self.addresses()[0]}"
        return f"put {self.name} ({told}) into {shown(directory)}"

    def wrong_digest(self, path: Path) -> str | None:
        """The digest of the file at `path`, if it is not what its publisher states."""
        actual = digest_of(path, self.algorithm)
        return None if actual.startswith(self.checksum) else actual


def fetch(file: RemoteFile, directory: str | Path) -> Path:
    """The path of `file` in `directory`, downloaded unless it is there already.

    The bytes gather in `<name>.part`; a later call goes on where an earlier one was cut off. Only a file with the right
    checksum gets its name. One process at a time: the others wait, and say so.

    Raises DataError if no mirror gives the file; the message has each mirror's reason and what to do by hand.
    """
    directory = Path(directory)
    path = directory / file.name
    try:
        if path.exists():
            return path
        directory.mkdir(parents=True, exist_ok=True)
        with locked(directory / ".lock", f"downloads {file.name}"):
            return path if path.exists() else fetch_from_any(file, path)
    except (OSError, ValueError) as error:  # the directory's fault: the mirrors' are dealt with below
        raise DataError(f"cannot write {shown(path)}: {reason(error)}") from error


def fetch_from_any(file: RemoteFile, path: Path) -> Path:
    """The file under its name, from the first mirror that has it."""
    part = path.with_name(f"{file.name}.part")
    check_no_link(part)
    reasons = []
    for url in file.addresses():
        try:
            fetch_from(url, part, file)
        except MirrorError as error:
            reasons.append(f"  {url}: {error}")
        else:
            os.replace(part, path)
            return path
    raise DataError("\n".join([f"cannot download {file.name}:", *reasons, f"By hand: {file.by_hand(path.parent)}"]))


def check_no_link(path: Path) -> None:
    """DataError if something else than a file of this one name is there: writing would change another one."""
    if not os.path.lexists(path):
        return
    status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        raise DataError(f"{shown(path)}: a link is in the place of a file; remove it")


def fetch_from(url: str, part: Path, file: RemoteFile) -> None:
    """Fill `part` from `url`, asking for the rest after each break as long as every try brings something."""
    deadline, most = time.monotonic() + TIME, file.largest or LARGEST
    for number in range(REQUESTS):
        if number:
            time.sleep(PAUSES[min(number, len(PAUSES)) - 1])
        before = size_of(part)
        broken = transfer(url, part, deadline, most)
        if broken is not None:
            if size_of(part) <= before:
                raise MirrorError(broken)
            continue
        actual = file.wrong_digest(part)
        if actual is None:
            return
        part.unlink()
        if before == 0:  # else it may be the leftover that was bad: once more from the start
            raise MirrorError(f"wrong bytes: {file.algorithm} is {actual}, must be {file.checksum}")
    raise MirrorError(f"not complete after {REQUESTS} requests, {size_of(part):,} bytes")


def transfer(url: str, part: Path, deadline: float, most: int) -> str | None:
    """Append what `part` lacks; the reason if that failed (a dropped connection keeps what came)."""
    from urllib.error import HTTPError

    from .connection import opened

    done = size_of(part)
    try:
        with opened(url, done, deadline) as response:
            if getattr(response, "status", None) != 206:  # the server knows no ranges and sends everything
                done = 0
            total = announced(response, done, most)
            with open(part, "ab" if done else "wb") as out:
                copy(response, out, Path(url).name, (done, total, most), deadline)
    except MirrorError as error:
        nothing_beyond = isinstance(error.__cause__, HTTPError) and error.__cause__.code == 416
        return None if done and nothing_beyond else str(error)  # all may be here already: the checksum will tell
    if total is not None and size_of(part) < total:  # http.client tells of a drop only by a short read
        return f"connection dropped after {size_of(part)} of {total} bytes"
    return None


def announced(response, done: int, most: int) -> int | None:
    """How many bytes there will be in all, if the server says so. MirrorError if they are too many, or no number."""
    length = response.headers["Content-Length"]
    if length is None:
        return None
    if not (length.isascii() and length.isdigit() and len(length) < 20):
        raise MirrorError(f"Content-Length is {length[:40]!r}, must be a number of bytes")
    if done + int(length) > most:
        raise MirrorError(f"it announces {done + int(length):,} bytes; at most {most:,} are taken")
    return done + int(length)


def copy(response, out, name: str, sizes: tuple[int, int | None, int], deadline: float) -> None:
    """Write what comes. MirrorError if it breaks off, becomes too much, or takes too long.

    sizes: bytes that are there already, bytes in all (None: not known), bytes that are taken at most.
    """
    from tqdm import tqdm

    done, total, most = sizes
    start, window = done, time.monotonic()
    with tqdm(total=total, initial=done, desc=name, unit="B", unit_scale=True, disable=None) as bar:
        while chunk := receive(response):
            out.write(chunk)
            bar.update(len(chunk))
            done, now = done + len(chunk), time.monotonic()
            if done > most:
                raise MirrorError(f"it sends more than {most:,} bytes")
            if now > deadline:
                raise MirrorError(f"too slow: not complete after {TIME:,.0f} seconds")
            if now > window + WINDOW:
                if done - start < SLOWEST * WINDOW:
                    raise MirrorError(f"too slow: {done - start:,} bytes in {now - window:.0f} seconds")
                start, window = done, now


def receive(response) -> bytes:
    """Some bytes as soon as there are some; none at the end."""
    from http.client import HTTPException

    try:
        return getattr(response, "read1", response.read)(CHUNK)
    except (OSError, HTTPException, ValueError) as error:
        raise MirrorError(f"{type(error).__name__}: {reason(error)}") from error


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def digest_of(path: Path, algorithm: str) -> str:
    """The digest of a file, in hex. algorithm: md5 or sha256."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def check_digest(path: Path, file: RemoteFile) -> None:
    """DataError if the file at `path`, which somebody may have put there, is not what its publisher has."""
    try:
        actual = file.wrong_digest(path)
    except OSError as error:
        raise DataError(f"{shown(path)}: cannot read: {reason(error)}") from error
    if actual is not None:
        told = f"its {file.algorithm} is {actual}, must be {file.checksum}"
        raise DataError(f"{shown(path)}: damaged: {told}. Delete it and get it again")
