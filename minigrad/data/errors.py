"""What can be wrong with data, and how it is said."""

import warnings

from .text import printable


class DataError(RuntimeError):
    """A file is missing, damaged or not what it should be. The message names the file and what to do.

    The message is text that any terminal and any file can take, whatever bytes a path or a foreign message had.
    """

    def __init__(self, message):
        super().__init__("\n".join(map(printable, str(message).split("\n"))))


class MissingData(DataError):
    """A data set isn't there. where: the directory that was searched; by_hand: what a person can put where."""

    def __init__(self, message, where, by_hand):
        super().__init__(f"{message}: pass download=True, or by hand: {by_hand}")
        self.where, self.by_hand = where, by_hand


class BadImage(DataError):
    """One image can't be decoded. path: its file, or None."""

    def __init__(self, message, path=None):
        super().__init__(message)
        self.path = path


class MirrorError(Exception):
    """This mirror cannot give the file, another one might."""


class DataWarning(UserWarning):
    """Something about a data set that its user should know, and that doesn't stop the work."""


def say(message):
    """Warn, in printable text, the one who made the data set."""
    warnings.warn(DataWarning(printable(message)), stacklevel=3)
