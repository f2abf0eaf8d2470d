"""CuPy's `cuda` for the emulated GPU. Kernels run at once, but what a stream is told to copy happens only when someone
waits for it: who forgets to wait finds old numbers."""

from types import SimpleNamespace
from weakref import WeakValueDictionary

import numpy as np

from . import graph, memory
from .graph import using_allocator
from .memory import Memory, MemoryPool

__all__ = [
    "Device",
    "Event",
    "Memory",
    "MemoryPointer",
    "MemoryPool",
    "Stream",
    "alloc_pinned_memory",
    "get_current_stream",
    "using_allocator",
]  # fmt: skip


_streams = WeakValueDictionary()
nccl = SimpleNamespace(available=False)  # nccl.py here is put in its place


def stream_at(ptr):
    """The stream whose `ptr` it is."""
    return _streams[ptr]


class Event:
    """A place in a stream's work."""

    def __init__(self, stream, position):
        self.stream, self.position = stream, position

    done = property(lambda self: self.stream.done >= self.position)

    def synchronize(self):
        self.stream.run_until(self.position)


class Stream:
    """Work that has been asked for and, up to a position, done."""

    def __init__(self, non_blocking=False):
        self.work, self.done = [], 0
        _streams[self.ptr] = self

    ptr = property(id)

    def record(self):
        return Event(self, len(self.work))

    def wait_event(self, event):
        event.synchronize()

    def synchronize(self):
        if self is _current:
            graph.refuse_while_capturing("waiting for a stream")
        self.run_until(len(self.work))

    def run_until(self, position):
        while self.done < position:
            self.work[self.done]()
            self.done += 1

    # Graphs

    def __enter__(self):
        global _current
        self.before, _current = _current, self
        return self

    def __exit__(self, *error):
        global _current
        _current = self.before

    def begin_capture(self):
        if self is _DEFAULT:
            raise RuntimeError("begin_capture: the default stream can't be captured")
        graph.begin()

    def end_capture(self):
        return graph.end()

    def is_capturing(self):
        return self is _current and graph.capturing()


class Device:
    attributes = {"MultiProcessorCount": 1}  # noqa: RUF012 (nobody writes into it)
    mem_info = property(lambda self: memory.mem_info())


runtime = SimpleNamespace(  # two GPUs, whose arrays don't mix
    getDeviceCount=lambda: 2, getDevice=graph.current_device, setDevice=graph.set_device
)
_DEFAULT = _current = Stream()


def MemoryPointer(memory, offset):
    """CuPy's pointer into memory; here nobody looks at it."""
    return memory


def get_default_memory_pool():
    return memory.COMMON


def get_current_stream():
    return _current


def alloc_pinned_memory(size):
    return memoryview(bytearray(np.full(size, 0xFF, np.uint8)))
