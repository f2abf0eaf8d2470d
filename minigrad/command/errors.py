"""Errors that end a command, and how one is said in a line."""

from contextlib import contextmanager

LONGEST = 600  # characters of a line that says what is wrong


class UsageError(Exception):
    """Something the user can put right: shown as one line, exit status 2."""


class OutputClosed(Exception):
    """Nobody reads standard output any more: a closed pipe or terminal. A quiet end."""


@contextmanager
def blaming_the_user(*kinds):
    """Within this block errors of these kinds come from a setting or a file, so they are shown as one line."""
    try:
        yield
    except kinds as error:
        raise UsageError(str(error)) from error


def one_line(text):
    """A message without line breaks or other control characters, and not without end."""
    joined = "; ".join(line.strip() for line in text.splitlines())
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in joined)
    return shortened(visible, LONGEST)


def shortened(text, most=80):
    """The text; of a long one the beginning and the end."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]} ... {text[-half:]}"
