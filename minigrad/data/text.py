"""Names from outside as text that can be shown, and errors in one line."""

import os

LONGEST = 240  # characters of a path that are shown


def printable(text):
    """The text with an escape for every character that a terminal or a UTF-8 file can't take.

    These are control characters and the stand-ins that Python has for bytes of a file name that are not UTF-8: the
    byte FF becomes the four characters `\\xff`.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else escaped(c) for c in text)


def escaped(character):
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # os.fsdecode's stand-in for the byte code - 0xDC00
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def shown(path):
    """A path on one line; the middle of a very long one is left out."""
    text = printable(os.fsdecode(path))
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}...{text[-LONGEST // 2 :]}"


def reason(error):
    """What an exception says, on one line: the system's words for an OSError, else the first line of its message."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, MemoryError):
        return "not enough memory"
    words = getattr(error, "strerror", None) or next(iter(str(error).splitlines()), "")
    return shown(words) if isinstance(words, str) and words else type(error).__name__
