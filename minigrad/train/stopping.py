"""Ctrl-C, SIGTERM and SIGHUP as a request that the loop reads between steps, so that a step is never torn."""

import os
import signal
import threading
from contextlib import contextmanager

from .errors import Stopped

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
STDERR = 2  # written to directly: the handler may run in the middle of a print


class StopRequest:
    """number: of the signal that asked the run to stop; None as long as none did."""

    number = None

    def __call__(self, number, frame):
        self.number = number
        if number == getattr(signal, "SIGHUP", None):  # a closed terminal sends several, and reads nothing
            return
        signal.signal(number, signal.SIG_DFL)  # the second one ends the process
        announce(f"\n{signal.Signals(number).name}: stopping after this step (again: at once)\n")

    def check(self):
        """Stopped, if it was asked for."""
        if self.number is not None:
            raise Stopped(self.number)


def announce(text):
    """Write to standard error at once, whatever else is being written; nothing if it is closed."""
    try:
        os.write(STDERR, text.encode())
    except OSError:
        pass


@contextmanager
def stop_requests():
    """Within this block signals that would end the process only leave a request; those that it ignores stay ignored."""
    request, before = StopRequest(), {}
    if threading.current_thread() is threading.main_thread():  # no other thread may set handlers
        heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # not so under nohup
        before = {number: signal.signal(number, request) for number in heard}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
