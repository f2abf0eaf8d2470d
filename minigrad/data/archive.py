"""Unpacking an archive that may be damaged, or made to do harm."""

import hashlib
import os
import tarfile
from pathlib import Path

from .errors import DataError
from .foreign import PIECE, blaming, unzipped
from .text import shown

MEMBERS = 10_000  # in one archive
SUMS = "MD5SUMS"  # beside unpacked files: their checksums, as md5sum writes them


def extract_files(archive: Path, wanted: set[str], directory: Path, limit: int = 1 << 28) -> None:
    """Put the regular files of `archive` whose base name is in `wanted` into `directory`, and their checksums.

    No path in the archive is followed, so nothing lands elsewhere. Nothing is unpacked beyond `limit` bytes, which all
    files of the archive have together. Files get their names when all are complete and gzip's checksum was right.

    Raises DataError, naming the archive, if it is damaged, too large or lacks a file.
    """
    directory.mkdir(parents=True, exist_ok=True)
    found = {}
    try:
        with unzipped(archive, limit) as stream, blaming(archive, "cannot unpack", Exception):
            for member in members(archive, stream):
                name = os.path.basename(member.name)
                if member.isreg() and name in wanted:
                    found[name] = copy(stream, member, directory / f"{name}.part")
            stream.finish()
        if missing := wanted - set(found):
            raise DataError(f"{shown(archive)}: lacks {', '.join(sorted(missing))}")
        write_new(directory / SUMS, "".join(f"{md5}  {name}\n" for name, md5 in sorted(found.items())))
        for name in found:
            os.replace(directory / f"{name}.part", directory / name)
    finally:
        for name in found:
            (directory / f"{name}.part").unlink(missing_ok=True)


def members(archive: Path, stream, most: int = MEMBERS):
    """The at most so many members of an archive, one after the other. DataError for what no archive of images has."""
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        for number, member in enumerate(tar):
            if member.issparse():
                raise DataError(f"{shown(archive)}: cannot unpack: {member.name} is a sparse file")
            if number == most:
                raise DataError(f"{shown(archive)}: cannot unpack: it has more than {most:,} members")
            stream.check(member.offset_data + member.size)
            yield member
            tar.members.clear()  # pyright: ignore[reportAttributeAccessIssue]  # else tarfile keeps them all


def write_new(path: Path, text: str) -> None:
    """A new file in the place of whatever is there: a link of this name would lead elsewhere."""
    path.unlink(missing_ok=True)
    with open(path, "x", encoding="utf-8") as file:
        file.write(text)


def copy(stream, member, path: Path) -> str:
    """Write a member to `path`, a new file as in `write_new`; its md5."""
    path.unlink(missing_ok=True)
    stream.seek(member.offset_data)
    digest, rest = hashlib.md5(usedforsecurity=False), member.size
    with open(path, "xb") as out:
        while rest:
            piece = stream.read(min(PIECE, rest))
            if not piece:
                raise EOFError(f"{member.name} ends {rest:,} bytes early")
            out.write(piece)
            digest.update(piece)
            rest -= len(piece)
    return digest.hexdigest()


def noted_sums(directory: Path) -> dict[str, str]:
    """{name: md5} of the files that were unpacked into a directory; empty where nothing is noted."""
    try:
        lines = (directory / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.split(maxsplit=1) for line in lines)
    return {pair[1]: pair[0] for pair in pairs if len(pair) == 2 and len(pair[0]) == 32}
