"""What goes to the screen: lines that fit its width, a bar, and quiet where nobody looks."""

import errno
import os
import signal
import sys
import textwrap
import warnings
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar

from .errors import OutputClosed, UsageError, one_line

_quiet: ContextVar[bool] = ContextVar("quiet", default=False)
USUAL_COLUMNS, NARROWEST_BAR = 80, 8
INDENT = 10  # of what continues a line: the second column of a run's plan


def concluded(program, work, *wrong):
    """The exit status of a command's work. UsageError, and errors of the kinds `wrong`, are one line, and status 2."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's and Pillow's: what comes of them is said
            return work()
    except (UsageError, *wrong) as error:
        print(f"{program}: error: {one_line(str(error) or 'out of memory')}", file=sys.stderr)
        forget_output()
        return 2
    except OutputClosed:  # as after `| head -1`: nobody is there to be told
        forget_output()
        return 128 + getattr(signal, "SIGPIPE", 13)
    except KeyboardInterrupt:  # in training it is orderly, see stopping.py
        return 130


def forget_output():
    """What could not be written to standard output is not tried again at the end of the process."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
        return
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def writing():
    """In this block standard output is written to; it is flushed at the end.

    OutputClosed where nobody reads it any more (a closed pipe or terminal), UsageError where it can't be written.
    """
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except OSError as error:
        if error.errno in (errno.EPIPE, errno.EIO):
            raise OutputClosed from error
        raise UsageError(f"standard output: {error.strerror}") from error


@contextmanager
def quietly(quiet=True):
    """In this block only what must be said is, and no bar is shown. (With quiet False as ever.)"""
    token = _quiet.set(quiet)
    try:
        yield
    finally:
        _quiet.reset(token)


def say(*lines, always=False):
    """Lines on standard output, at once, also in a file or a pipe. On a terminal they are broken between words.

    always: also within `quietly`.
    """
    if _quiet.get() and not always:
        return
    width = columns(sys.stdout)
    with writing(), clear_of_bars():
        for line in lines:
            print(encodable(line if width is None else fitted(line, width)))


def clear_of_bars():
    """In this block the bars are off the screen."""
    tqdm = sys.modules.get("tqdm")  # not imported: there are none
    return nullcontext() if tqdm is None else tqdm.tqdm.external_write_mode(file=sys.stdout)


def columns(stream):
    """The width of the terminal that a stream goes to; None if it goes elsewhere."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or USUAL_COLUMNS if stream.isatty() else None
    except (AttributeError, OSError, ValueError):  # no stream, or one of a notebook
        return None


def shows_bars(stream):
    """Is it a terminal's, or a notebook's, whose stream is no terminal but goes back to the start of a line, too?"""
    notebook = type(stream).__module__.partition(".")[0] == "ipykernel"
    return notebook or bool(getattr(stream, "isatty", bool)())


def fitted(line, width):
    """The line broken between words into lines of at most this width. Longer words stay whole."""
    indent = " " * min(INDENT, width // 4)
    rules = dict(break_long_words=False, break_on_hyphens=False)
    return "\n".join(textwrap.wrap(line, width, subsequent_indent=indent, **rules))


def encodable(text):
    """The text with what standard output can't express written as escapes."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def bar_format(width, left, parts):
    """tqdm's format of a bar between `left` and as many of the parts, the most important first, as the width allows."""
    right = parts[0]
    for part in parts[1:]:
        if len(left) + len(right) + len(part) + len(" || , ") + NARROWEST_BAR > width:
            break
        right += f", {part}"
    return f"{left} |{{bar}}| {right}"


class Bar:
    """A progress bar on standard error, shown by a terminal and a notebook only; a context manager that removes it."""

    def __init__(self, left, total, done=0):
        from tqdm import tqdm

        self.left, self.parts = left, ()
        hidden = _quiet.get() or not shows_bars(sys.stderr)
        settings = dict(total=total, initial=done, leave=False, disable=hidden, file=sys.stderr)
        self.bar = tqdm(desc=left, bar_format=f"{left} |{{bar}}| {{n_fmt}}/{{total_fmt}}", **settings)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        """Remove it."""
        self.bar.close()

    def update(self, *parts):
        """One step further. parts: what is told besides, the most important first; none: as before."""
        self.go_to(self.bar.n + 1, *parts)

    def go_to(self, done, *parts):
        """As update, but `done` steps from the start."""
        if self.bar.disable:
            return
        self.parts = parts or self.parts
        width = (columns(sys.stderr) or USUAL_COLUMNS) - 1  # in the last column some terminals break the line
        self.bar.ncols = width
        self.bar.bar_format = bar_format(width, self.left, (f"{done}/{self.bar.total}", *self.parts))
        self.bar.update(done - self.bar.n)
