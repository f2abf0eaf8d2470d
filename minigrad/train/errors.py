"""What ends a run before its time."""

import signal
from contextlib import contextmanager


class UsageError(Exception):
    """Something the user can put right: shown as one line, exit status 2."""


class Diverged(Exception):
    """The loss or the weights are no longer finite: exit status 1."""


class Stopped(Exception):
    """A signal asked the run to stop: exit status 128 + its number, as in a shell."""

    def __init__(self, number):
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


@contextmanager
def blaming_the_user(*kinds):
    """Within this block errors of these kinds come from a setting or a file, so they are shown as one line."""
    try:
        yield
    except kinds as error:
        raise UsageError(str(error)) from error
