"""Waiting for other processes, but not for ever."""

import os
import threading
import time
from contextlib import contextmanager

VARIABLE, USUAL = "MINIGRAD_TIMEOUT", 1800.0  # seconds, as long as torch.distributed waits


def seconds_of(environment=os.environ):
    """How long a process waits for others. RuntimeError for a value of the variable that is no such number."""
    text = environment.get(VARIABLE) or str(USUAL)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < threading.TIMEOUT_MAX:
        raise RuntimeError(f"{VARIABLE} must be a number of seconds greater than 0; got {text!r}")
    return seconds


class Watchdog:
    """Calls `give_up`, in a thread of its own, when one of the waits that it watches takes too long.

    The clock is one that does not jump. Waits are not nested.
    """

    def __init__(self, seconds, give_up):
        self.seconds, self.give_up, self.since = seconds, give_up, None
        threading.Thread(target=self.watch, name="minigrad-watchdog", daemon=True).start()

    @contextmanager
    def waiting(self):
        """A block that waits for others."""
        self.since = time.monotonic()
        try:
            yield
        finally:
            self.since = None

    def is_late(self):
        since = self.since
        return since is not None and time.monotonic() - since > self.seconds

    def watch(self):
        while not self.is_late():
            time.sleep(min(self.seconds / 4, 1.0))
        self.give_up(self.seconds)
