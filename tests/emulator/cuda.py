"""CuPy's `cuda` for the emulated GPU. Kernels run at once, but what a stream is told to copy happens only when someone
waits for it: who forgets to wait finds old numbers."""

import numpy as np


class Event:
    """A place in a stream's work."""

    def __init__(self, stream, position):
        self.stream, self.position = stream, position

    def synchronize(self):
        self.stream.run_until(self.position)


class Stream:
    """Work that has been asked for and, up to a position, done."""

    def __init__(self, non_blocking=False):
        self.work, self.done = [], 0

    def record(self):
        return Event(self, len(self.work))

    def wait_event(self, event):
        event.synchronize()

    def synchronize(self):
        self.run_until(len(self.work))

    def run_until(self, position):
        while self.done < position:
            self.work[self.done]()
            self.done += 1


class Device:
    attributes = {"MultiProcessorCount": 1}  # noqa: RUF012 (nobody writes into it)


_current = Stream()


def get_current_stream():
    return _current


def alloc_pinned_memory(size):
    return memoryview(bytearray(np.full(size, 0xFF, np.uint8)))
