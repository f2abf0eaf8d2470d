"""Ctrl-C, SIGTERM and SIGHUP as a request that the loop reads between steps, so that a step is never torn."""

import os
import signal
import threading
from contextlib import contextmanager

from ..distributed.group import Group
from .errors import Stopped

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
ALONE = Group()
STDERR = 2  # written to directly: the handler may run in the middle of a print


class StopRequest:
    """number: of the signal that asked the run to stop; 0 as long as none did. group: processes that stop together."""

    number = 0

    def __init__(self, group):
        self.group = group

    def __call__(self, number, frame):
        self.number = number
        if number == getattr(signal, "SIGHUP", None):  # a closed terminal sends several, and reads nothing
            return
        signal.signal(number, signal.SIG_DFL)  # the second one ends the process
        if self.group.rank == 0:
            announce(f"\n{signal.Signals(number).name}: stopping after this step (again: at once)\n")

    def check(self):
        """Stopped, if it was asked for in any process: all call this after the same step."""
        number = max(self.group.all_gather_object(self.number))
        if number:
            raise Stopped(number)

    def check_alone(self):
        """As check, where processes are not at the same place: several go on until they are."""
        if self.group.size == 1:
            self.check()


def announce(text):
    """Write to standard error at once, whatever else is being written; nothing if it is closed."""
    try:
        os.write(STDERR, text.encode())
    except OSError:
        pass


@contextmanager
def stop_requests(group=ALONE):
    """Within this block signals that would end the process only leave a request; those that it ignores stay ignored.

    group: processes that stop together.
    """
    request, before = StopRequest(group), {}
    if threading.current_thread() is threading.main_thread():  # no other thread may set handlers
        heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # not so under nohup
        before = {number: signal.signal(number, request) for number in heard}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
