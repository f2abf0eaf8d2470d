"""Processes that MPI connects (mpi4py). Messages are arrays on the host; those of other devices are copied there."""

import os
import sys
import time

import numpy as np

from ..device import CPU, device_of, get_num_threads, set_num_threads
from ..tensor import Tensor
from .group import Group
from .nccl import NcclGroup
from .watchdog import VARIABLE, Watchdog, seconds_of

STDERR = 2
GRACE = 2.0  # seconds that others wait with an error of theirs: if the first process has it too, it says so for all
LAST_WORDS = 0.5  # seconds for the launcher to pass on what was written, before MPI has it end all at once


class MpiGroup(Group):
    """The processes of one of MPI's communicators. See Group."""

    def __init__(self, mpi, communicator, watchdog=None):
        self.mpi, self.communicator = mpi, communicator
        self.rank, self.size = communicator.rank, communicator.size
        self.watchdog = watchdog or Watchdog(seconds_of(), self.give_up)

    def on(self, device):
        return self if device.nccl() is None else NcclGroup(device, self)

    def all_reduce(self, x):
        with self.watchdog.waiting():
            return changed(x, lambda array: self.communicator.Allreduce(self.mpi.IN_PLACE, array))

    def start_all_reduce(self, array):
        return Message(self.communicator.Iallreduce(self.mpi.IN_PLACE, array), self.watchdog)

    def broadcast(self, x, src=0):
        if not 0 <= src < self.size:
            raise ValueError(f"broadcast: src must be a rank from 0 to {self.size - 1}; got {src}")
        with self.watchdog.waiting():
            return changed(x, lambda array: self.communicator.Bcast(array, src))

    def all_gather_object(self, value):
        with self.watchdog.waiting():
            return self.communicator.allgather(value)

    def sums(self, *numbers):
        return self.all_reduce(np.array(numbers, np.float64)).tolist()

    def barrier(self):
        with self.watchdog.waiting():
            self.communicator.Barrier()

    def twin(self):
        with self.watchdog.waiting():
            return MpiGroup(self.mpi, self.communicator.Dup(), self.watchdog)

    def give_up(self, seconds):
        """One of the others hangs: say so, and end all."""
        waited = f"process {self.rank} of {self.size} has waited {seconds:g} seconds for the others"
        print(f"minigrad: error: {waited}: one of them hangs. All are ended. (${VARIABLE} is how long to wait)",
              file=sys.stderr)  # fmt: skip
        self.abort(1)

    def wait_for_first(self):
        if self.rank:
            time.sleep(GRACE)

    def abort(self, status):
        try:
            sys.stdout.flush()
            sys.stderr.flush()
            time.sleep(LAST_WORDS)
            os.dup2(os.open(os.devnull, os.O_WRONLY), STDERR)  # MPI's line about it says no more than ours
        finally:
            self.communicator.Abort(status)


class Message:
    """One of MPI's requests. MPI works on it only while it is called: test() pushes it on."""

    def __init__(self, request, watchdog):
        self.request, self.watchdog = request, watchdog

    def test(self):
        return self.request.Test()

    def wait(self):
        with self.watchdog.waiting():
            self.request.Wait()


def changed(x, change):
    """x, a tensor or an array, after change(array on the host) worked on its numbers."""
    array = x.to_be_written() if isinstance(x, Tensor) else x
    host = np.asarray(CPU.asarray(array), order="C")
    change(host)
    if host is not array:
        array[...] = device_of(array).asarray(host)
    return x


def connect(number):
    """The group of all of so many processes. RuntimeError if mpi4py is missing or sees others than the launcher."""
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # RuntimeError: it finds no MPI
        reason = str(error).splitlines()[0]
        raise RuntimeError(f"{number} processes were started, but mpi4py is missing or has no MPI ({reason}): "
                           "pip install 'minigrad[mpi]'") from error  # fmt: skip
    group = MpiGroup(MPI, MPI.COMM_WORLD)
    if group.size != number:
        seen = f"{number} processes were started, but mpi4py sees {group.size}: it belongs to another MPI"
        raise RuntimeError(f"{seen} ({MPI.get_vendor()[0]}), whose mpiexec is to be used")
    end_all_at_errors(group)
    share_cores(group)
    return group


def end_all_at_errors(group):
    """From here on an exception that nobody catches ends all processes, after its traceback."""
    shown = sys.excepthook

    def show_and_end(kind, error, trace):
        try:
            group.wait_for_first()
            shown(kind, error, trace)
        finally:
            group.abort(1)

    sys.excepthook = show_and_end


def share_cores(group):
    """Number the processes of this machine.

    Use as many threads as there are cores for each of the processes that may run on the same ones.
    """
    here = group.communicator.Split_type(group.mpi.COMM_TYPE_SHARED)
    cores = tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else (None,) * os.cpu_count()
    sharing, group.local_rank = here.allgather(cores).count(cores), here.rank
    here.Free()
    if not os.environ.get("MINIGRAD_NUM_THREADS"):
        set_num_threads(max(1, min(len(cores) // sharing, get_num_threads())))
