"""Memory of the emulated GPU: allocations between canaries, and pools that keep what they once got, as CuPy's do.

Fresh memory is poisoned. So is memory that was given back while graphs are captured or exist: then others have it. What
a graph's own pool gets back during the capture, other launches of the same graph have from there on, in each replay.
"""

import contextlib
import os
import weakref

import numpy as np

from . import graph

ALIGNED = 256  # bytes, as memory of a GPU is
CANARY = 0 if os.environ.get("MINIGRAD_EMULATOR_SANITIZE") == "address" else ALIGNED  # bytes on each side
FILL = 0xFF
ROUNDED = 512  # bytes that pools count in


class Allocation(np.ndarray):
    """The bytes of one allocation, canaries included: it is there as long as anybody could still write to it."""


class Owned(np.ndarray):
    """The same bytes, as long as an array has them: with its end they go back to the pool."""


def allocate(shape, dtype):
    """A poisoned NumPy array between canaries, aligned as memory of a GPU is, from the pool in force."""
    graph.check_pool()
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    pool = graph.pool_in_force() or COMMON
    pool.take(size)
    memory = Allocation(size + (2 * CANARY + ALIGNED if CANARY else 0), np.uint8)
    memory.fill(FILL)
    start = CANARY + -memory.ctypes.data % ALIGNED if CANARY else 0  # AddressSanitizer guards exact sizes
    memory.begin, memory.end, memory.gpu = start, start + size, graph.current_device()
    owned = memory.view(Owned)
    weakref.finalize(owned, given_back, weakref.ref(pool), memory, size).atexit = False
    graph.poisoned_in_each_launch(pool, lambda: poison(memory))
    return np.ndarray(shape, dtype, buffer=owned, offset=start)


def poison(memory):
    memory[memory.begin : memory.end].fill(FILL)


def given_back(pool_of, memory, size):
    """The last array of an allocation has ended."""
    pool = pool_of()
    if pool is not None:
        pool.give_back(size)
    if not graph.poisoned_in_each_launch(pool, lambda: poison(memory)) and graph.are_watched():
        poison(memory)


def memory_of(array):
    """The allocation that a NumPy array is in, or None."""
    while array is not None and not isinstance(array, Allocation):
        array = array.base
    return array


def not_owning(array):
    """The same array, as the launches of a graph know it: an address, which holds nothing."""
    memory = memory_of(array)
    if memory is None or not array.size:
        return array
    offset = array.ctypes.data - memory.ctypes.data
    return np.ndarray(array.shape, array.dtype, buffer=memory, offset=offset, strides=array.strides)


# ---- the device and its pools


class Held:
    """Bytes that the device has, and those that are held."""

    total, now = 1 << 40, 0


def mem_info():
    """(bytes free, bytes in all)"""
    return Held.total - Held.now, Held.total


@contextlib.contextmanager
def limited_to(more):
    """Within this block only so many bytes more can be had."""
    before, Held.total = Held.total, Held.now + more
    try:
        yield
    finally:
        Held.total = before


class OutOfMemoryError(MemoryError):
    """What CuPy's pools raise."""


class Memory:
    """CuPy's name for memory straight from the device. RuntimeError, as the driver's errors are, if there is none."""

    def __init__(self, size):
        if size > mem_info()[0]:
            raise RuntimeError("cudaErrorMemoryAllocation: out of memory")
        Held.now += size


class MemoryPool:
    """Holds what it once got from the allocator, until free_all_blocks; if it ends without that, forever."""

    def __init__(self, allocator=Memory):
        self.allocator, self.used, self.free = allocator, 0, 0

    def malloc(self, size):
        raise NotImplementedError("the emulator only looks whose method it is")

    def take(self, size):
        size = rounded(size)
        fresh = max(size - self.free, 0)
        try:
            self.get(fresh)
        except RuntimeError:
            self.free_all_blocks()
            fresh = size
            self.get_or_fail(fresh)
        self.free -= size - fresh
        self.used += size

    def get(self, size):
        if size:
            self.allocator(size)

    def get_or_fail(self, size):
        try:
            self.get(size)
        except RuntimeError:
            raise OutOfMemoryError(f"Out of memory allocating {size:,} bytes") from None

    def give_back(self, size):
        self.used, self.free = self.used - rounded(size), self.free + rounded(size)

    def free_all_blocks(self):
        graph.refuse_to_free(self)
        Held.now, self.free = Held.now - self.free, 0

    def used_bytes(self):
        return self.used

    def free_bytes(self):
        return self.free

    def total_bytes(self):
        return self.used + self.free


def rounded(size):
    return -(-size // ROUNDED) * ROUNDED


COMMON = MemoryPool()
