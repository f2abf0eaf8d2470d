"""Files that others wrote, read with limits: regular files only, and no more bytes than there is a use for."""

import os
import stat
from pathlib import Path


class Unreadable(Exception):
    """A file that can't be read; the message says why, and doesn't name it."""


def read_regular(path, most):
    """The bytes of a regular file of at most `most` bytes.

    Unreadable for one that is missing or longer, and for a directory, a pipe or a device, which may never end.
    """
    try:
        with open(path, "rb", opener=without_waiting) as file:
            size = regular_size(file)
            if size > most:
                raise Unreadable(f"{size:,} bytes, at most {most:,} are read")
            return file.read(most)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        raise Unreadable(getattr(error, "strerror", None) or str(error)) from error


def regular_size(file):
    """The bytes of an open file. Unreadable for what is no regular file."""
    facts = os.fstat(file.fileno())
    if not stat.S_ISREG(facts.st_mode):
        raise Unreadable("not a regular file")
    return facts.st_size


def without_waiting(path, flags):
    """For open(): a pipe that nobody writes to is opened all the same, instead of waiting for a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def is_there(path):
    """Does a file or directory of this name exist? False also for a name that the system doesn't allow."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False
