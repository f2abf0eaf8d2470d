"""Processes with a GPU each, whose arrays NCCL carries from GPU to GPU (cupy.cuda.nccl)."""

from ..device import device_of
from ..tensor import Tensor
from .group import Group

NAMES = {  # of NCCL's types, by NumPy's
    **{f"float{bits}": f"NCCL_FLOAT{bits}" for bits in (16, 32, 64)},
    **{"bfloat16": "NCCL_BFLOAT16", "int32": "NCCL_INT32", "int64": "NCCL_INT64", "uint8": "NCCL_UINT8"},
}


class NcclGroup(Group):
    """The processes of a group that met by other means, each with a GPU. See Group.

    Arrays on the GPU travel by NCCL, on a stream of their own beside the one that computes; all else as before.
    All messages go through one communicator, in the order in which they were begun, which is the same in each process.
    """

    def __init__(self, device, met):
        self.device, self.met, self.rank, self.size = device, met, met.rank, met.size
        self.nccl = device.nccl()
        key, *_ = met.all_gather_object(self.nccl.get_unique_id() if self.rank == 0 else None)
        self.communicator = self.nccl.NcclCommunicator(self.size, key, self.rank)
        self.place, self.stream = device, device.xp.cuda.Stream(non_blocking=True)

    def computing(self):
        """The stream that computes, on this GPU, which this makes the current one."""
        return self.device.xp.cuda.get_current_stream()

    def on(self, device):
        return self if device is self.device else self.met.on(device)

    def carries(self, array):
        """Is it an array that NCCL can send?"""
        return device_of(array) is self.device and array.dtype.name in NAMES and array.flags.c_contiguous

    def started(self, array, call):
        """A Message that call(address, numbers, type) began on our stream, after what computes the array now."""
        self.stream.wait_event(self.computing().record())
        call(array.data.ptr, array.size, getattr(self.nccl, NAMES[array.dtype.name]))
        return Message(self, self.stream.record())

    def start_all_reduce(self, array):
        def call(ptr, number, kind):
            self.communicator.allReduce(ptr, ptr, number, kind, self.nccl.NCCL_SUM, self.stream.ptr)

        return self.started(array, call)

    def all_reduce(self, x):
        array = memory_of(x)
        if not self.carries(array):
            return self.met.all_reduce(x)
        self.start_all_reduce(array).wait()
        return x

    def broadcast(self, x, src=0):
        array = memory_of(x)
        if not self.carries(array) or not 0 <= src < self.size:  # a wrong src is the other's to refuse
            return self.met.broadcast(x, src)
        self.started(array, lambda p, n, kind: self.communicator.bcast(p, n, kind, src, self.stream.ptr)).wait()
        return x

    def all_gather_object(self, value):
        return self.met.all_gather_object(value)

    def sums(self, *numbers):
        return self.met.sums(*numbers)

    def barrier(self):
        self.met.barrier()

    def wait_for_first(self):
        self.met.wait_for_first()

    def abort(self, status):
        self.met.abort(status)


class Message:
    """What was begun on the group's stream until an event there."""

    def __init__(self, group, event):
        self.group, self.event = group, event

    def test(self):
        return self.event.done

    def wait(self):
        """Have the stream that computes wait; the host goes on."""
        self.group.computing().wait_event(self.event)


def memory_of(x):
    """The array of a tensor, to be written; an array itself."""
    return x.to_be_written() if isinstance(x, Tensor) else x
