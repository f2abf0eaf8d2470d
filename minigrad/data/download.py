"""Bring a file from one of several mirrors: resumed where it broke off, checked, and put in place in one step."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from minigrad.data.dataset import DataError

_CHUNK = 1 << 16
_TIMEOUT = 30  # seconds without a byte


@dataclass(frozen=True)
class RemoteFile:
    """A file that is the same on every mirror: `mirror + name` is an address, `md5` what its publisher states."""

    name: str
    md5: str
    mirrors: tuple[str, ...]

    def by_hand(self, directory: Path) -> str:
        """What a person without a network has to do."""
        return f"put {self.name} (md5 {self.md5}, from {self.mirrors[0]}{self.name}) into {directory}"


def fetch(file: RemoteFile, directory: str | Path) -> Path:
    """The path of `file` in `directory`, downloaded unless it is there already.

    The bytes gather in `<name>.part`; a later call goes on where an earlier one was cut off. Only a file with the right
    md5 gets its name.

    Raises DataError if no mirror gives the file; the message has each mirror's reason and what to do by hand.
    """
    directory = Path(directory)
    path = directory / file.name
    if path.exists():
        return path
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _locked(directory / ".lock"):
            return path if path.exists() else _fetch(file, path)
    except OSError as error:  # the directory's fault: the mirrors' are dealt with below
        raise DataError(f"cannot write {path}: {error}") from error


def _fetch(file: RemoteFile, path: Path) -> Path:
    part = path.with_name(f"{file.name}.part")
    reasons = []
    for mirror in file.mirrors:
        try:
            _fetch_from(mirror + file.name, part, file.md5)
        except _MirrorError as error:
            reasons.append(f"  {mirror}{file.name}: {error}")
        else:
            os.replace(part, path)
            return path
    raise DataError("\n".join([f"cannot download {file.name}:", *reasons, f"By hand: {file.by_hand(path.parent)}"]))


class _MirrorError(Exception):
    """This mirror cannot give the file, another one might."""


def _fetch_from(url: str, part: Path, md5: str) -> None:
    """Fill `part` from `url`, asking for the rest after each break as long as every try brings something."""
    while True:
        before = _size(part)
        reason = _transfer(url, part)
        if reason is not None:
            if _size(part) <= before:
                raise _MirrorError(reason)
            continue
        actual = md5_of(part)
        if actual == md5:
            return
        part.unlink()
        if before == 0:  # else it may be the leftover that was bad: once more from the start
            raise _MirrorError(f"wrong bytes: md5 is {actual}, must be {md5}")


def _transfer(url: str, part: Path) -> str | None:
    """Append what `part` lacks; the reason if that failed (a dropped connection keeps what came)."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    done = _size(part)
    headers = {"User-Agent": "minigrad"} | ({"Range": f"bytes={done}-"} if done else {})
    try:
        response = urlopen(Request(url, headers=headers), timeout=_TIMEOUT)
    except HTTPError as error:
        return None if error.code == 416 else str(error)  # 416: nothing lies beyond what is here, the md5 will tell
    except (OSError, HTTPException) as error:
        return str(getattr(error, "reason", error))
    if response.status != 206:  # the server knows no ranges and sends everything
        done = 0
    length = response.headers["Content-Length"]
    total = None if length is None else done + int(length)
    with response, open(part, "ab" if done else "wb") as out:
        try:
            _copy(response, out, Path(url).name, done, total)
        except (OSError, HTTPException) as error:
            return f"{type(error).__name__}: {error}"
    if total is not None and _size(part) < total:  # http.client tells of a drop only by a short read
        return f"connection dropped after {_size(part)} of {total} bytes"
    return None


def _copy(response, out, name: str, done: int, total: int | None) -> None:
    from tqdm import tqdm

    with tqdm(total=total, initial=done, desc=name, unit="B", unit_scale=True, disable=None) as bar:
        while chunk := response.read(_CHUNK):
            out.write(chunk)
            bar.update(len(chunk))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def md5_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time: the ranks of a distributed run would otherwise all append to one part file."""
    try:
        import fcntl
    except ImportError:  # no such locks on Windows
        yield
        return
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
