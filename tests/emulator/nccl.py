"""CuPy's `cuda.nccl` for the emulated GPU: messages go from host to host, by the group that `join` is given.

They go when somebody waits for the stream that they are on, as all of an emulated stream's work.
"""

import ctypes
import sys

import numpy as np

from . import cuda

available = True
NCCL_SUM = 0
NCCL_FLOAT16, NCCL_FLOAT32, NCCL_FLOAT64, NCCL_INT32, NCCL_INT64, NCCL_UINT8, NCCL_BFLOAT16 = (
    *map(np.dtype, ("f2", "f4", "f8", "i4", "i8", "u1")),
    None,
)
_groups = {}  # those that were joined, by their key
made = []  # communicators


def join(group):
    """Have messages travel by this group, whose processes call it together."""
    _groups["key"] = group
    cuda.nccl = sys.modules[__name__]


def get_unique_id():
    return "key"


class NcclCommunicator:
    """As CuPy's."""

    def __init__(self, size, key, rank):
        self.group, self.sent = _groups[key], []
        assert (size, rank) == (self.group.size, self.group.rank)
        made.append(self)

    def allReduce(self, source, target, number, kind, op, stream):
        assert (source, op) == (target, NCCL_SUM)
        self.later(stream, number, lambda: self.group.all_reduce(memory(target, number, kind)))

    def bcast(self, target, number, kind, root, stream):
        self.later(stream, number, lambda: self.group.broadcast(memory(target, number, kind), root))

    def later(self, stream, number, work):
        self.sent.append(number)
        cuda.stream_at(stream).work.append(work)


def memory(address, number, kind):
    """So many numbers at an address, as an array."""
    return np.frombuffer((ctypes.c_char * (number * kind.itemsize)).from_address(address), kind)
