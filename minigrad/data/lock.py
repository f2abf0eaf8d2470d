"""A lock on a directory, which ends with the process that holds it."""

import os
import socket
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import DataError
from .text import printable, reason, shown

PATIENCE = 2.0  # seconds of waiting without a word


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Within this block no other process is within one of the same path; others wait, and say for whom.

    what: what the holder does, for the others to read. The file stays behind, the lock doesn't, however the process
    ends. DataError if something else than a file is in the lock's place: a link there is not followed.
    """
    try:
        import fcntl
    except ImportError:  # no such locks on Windows
        yield
        return
    handle = open_lock(path)
    try:
        wait(fcntl, handle, path)
        if os.fstat(handle).st_nlink == 1:  # else it is also somebody's file of another name
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}, which {what}".encode(), 0)
        yield
    finally:
        os.close(handle)


def open_lock(path: Path) -> int:
    """The lock file, made if need be, as it is: not emptied, and not through a link."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, 0o666)
    except OSError as error:
        if path.is_symlink():
            raise DataError(f"{shown(path)}: a link is in the place of a lock; remove it") from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise DataError(f"{shown(path)}: no regular file, so it can't be a lock; remove it")
    return handle


def wait(fcntl, handle: int, path: Path) -> None:
    """Until the lock is ours."""
    start, said = time.monotonic(), False
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        if not said and time.monotonic() - start >= PATIENCE:
            print(f"waiting for {holder(handle)} (it holds {shown(path)})", file=sys.stderr, flush=True)
            said = True
        time.sleep(0.05)


def holder(handle: int) -> str:
    """What the one who holds the lock wrote into it."""
    try:
        words = os.pread(handle, 200, 0).decode(errors="replace")
    except OSError as error:
        words = f"({reason(error)})"
    return printable(words.strip()) or "another process"
