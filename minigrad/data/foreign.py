"""Reading what others wrote: the one door for files from outside, with limits on size and depth.

A file from outside may be a pipe that nobody writes to, a device that never ends, or a few kilobytes that unpack to
gigabytes. Here only regular files are opened, nothing is read beyond a limit that the caller states, and whatever goes
wrong is one DataError of one line that names the file. (Limits on time are those of downloads, see `download`.)
"""

import gzip
import hashlib
import os
import stat
import zlib
from contextlib import contextmanager

from .errors import DataError, say
from .text import reason, shown

PIECE = 1 << 20  # bytes that one call may ask for


def open_regular(path):
    """A regular file, open for reading in binary. DataError for anything else: a directory, a pipe, a device."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        handle = os.open(path, flags)  # non-blocking: opening a pipe would wait for its writer
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise DataError(f"{shown(path)}: cannot read: {reason(error)}") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise DataError(f"{shown(path)}: cannot read: it is not a regular file")
    return os.fdopen(handle, "rb")


def read_bytes(path, limit):
    """The whole file as bytes. DataError, before anything is read, if it has more than `limit` bytes."""
    with open_regular(path) as file, blaming(path, "cannot read"):
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise DataError(f"{shown(path)}: too large: it has {size:,} bytes, at most {limit:,} are read")
        data = file.read(size + 1)
        if len(data) != size:
            raise DataError(f"{shown(path)}: changed while it was read: {size:,} bytes, then {len(data):,}")
    return data


def parse(path, parser, limit):
    """parser(bytes of the file). All that a parser raises on what it can't digest becomes a DataError.

    That includes RecursionError (nested too deeply) and MemoryError.
    """
    data = read_bytes(path, limit)
    with blaming(path, "cannot be understood", Exception):
        return parser(data)


@contextmanager
def blaming(path, what, kinds=(OSError, EOFError, zlib.error)):
    """Within this block errors of these kinds are the file's: DataError "path: what: reason"."""
    try:
        yield
    except DataError:
        raise
    except kinds as error:
        raise DataError(f"{shown(path)}: {what}: {reason(error)}") from error


@contextmanager
def unzipped(path, limit):
    """The content of a file as a `Limited` stream, unzipped if it is gzip's. limit: bytes after unzipping.

    Gzip's own checksum is compared when the stream is read to its end.
    """
    with open_regular(path) as file, blaming(path, "cannot read"):
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        yield Limited(path, gzip.GzipFile(fileobj=file) if zipped else file, limit)


class Limited:
    """A stream of which at most `limit` bytes are read, and at most PIECE at once. Beyond that: DataError."""

    def __init__(self, path, stream, limit):
        self.path, self.stream, self.limit = path, stream, limit

    def read(self, size):
        """At most `size` bytes; fewer only at the end."""
        if not 0 <= size <= PIECE:
            raise DataError(f"{shown(self.path)}: a part of it claims {size:,} bytes; at most {PIECE:,} are allowed")
        data = self.stream.read(size)
        self.check(self.stream.tell())
        return data

    def read_array(self, size):
        """`size` bytes, or all there are: a bytearray that grows as they come."""
        self.check(size)
        data = bytearray()
        while len(data) < size and (piece := self.read(min(PIECE, size - len(data)))):
            data += piece
        return data

    def seek(self, position):
        """Go on reading at this byte, which lies ahead: going back could go on for ever."""
        if position < self.stream.tell():
            raise DataError(f"{shown(self.path)}: a part of it claims to begin before the one in front of it")
        self.check(position)
        return self.stream.seek(position)

    def tell(self):
        """The number of the next byte."""
        return self.stream.tell()

    def check(self, position):
        if position > self.limit:
            raise DataError(f"{shown(self.path)}: too large: it unpacks to more than {self.limit:,} bytes")

    def finish(self):
        """Read to the end, so that a checksum there is compared. Whether there was anything left."""
        first = self.read(PIECE)
        while self.read(PIECE):
            pass
        return bool(first)


def compare(path, pieces, published, official):
    """Compare the content of a published data set's file with the checksum (md5 or sha1, in hex) that it should have.

    pieces: the content, in parts one after the other.
    published: None if none is known. official: whether the content has the published size.

    Raises DataError if a file of the right size has another checksum: it is damaged. Warns where nothing could be
    compared, and for files of another size, which somebody made for a purpose.
    """
    if published is None:
        return say(f"{shown(path)}: used as it is; there is no published checksum to compare it with")
    kind = {32: "md5", 40: "sha1"}[len(published)]
    digest = hashlib.new(kind, usedforsecurity=False)
    for piece in pieces:
        digest.update(piece)
    actual = digest.hexdigest()
    if actual == published:
        return None
    if official:
        raise DataError(
            f"{shown(path)}: damaged, or not the official file: its {kind} is {actual}, must be {published}. "
            "Delete it and get it again; images of your own belong into an ArrayDataset"
        )
    return say(f"{shown(path)}: not the official file: another size, so its checksum was not compared")
