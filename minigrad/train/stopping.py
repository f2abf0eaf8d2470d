"""Ctrl-C and SIGTERM as a wish that the loop reads between steps, so that a step is never torn."""

import signal
from contextlib import contextmanager

from .errors import Stopped


class Wish:
    """number: of the signal that asked the run to stop; None as long as none did."""

    number = None

    def __call__(self, number, frame):
        self.number = number
        signal.signal(number, signal.SIG_DFL)  # the second one stops at once

    def check(self):
        """Stopped, if it was asked for."""
        if self.number is not None:
            raise Stopped(self.number)


@contextmanager
def stop_wishes():
    """Within this block SIGINT and SIGTERM only leave a wish."""
    wish = Wish()
    before = {number: signal.signal(number, wish) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
