"""What ends a run before its time, and how it is said."""

import signal


class Diverged(FloatingPointError):
    """The loss or the weights are no longer finite: exit status 1."""


class Stopped(Exception):
    """A signal asked the run to stop: exit status 128 + its number, as in a shell."""

    def __init__(self, number):
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number
