"""Processes as threads: a Group whose members are threads of a test, which runs anywhere."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from minigrad.distributed import Group


class Meeting:
    """Where the threads of a group meet: each brings a value, and gets those of all."""

    def __init__(self, size):
        self.size, self.barrier, self.brought = size, threading.Barrier(size, timeout=60), [None] * size

    def exchange(self, rank, value):
        self.brought[rank] = value
        self.barrier.wait()
        all_of = list(self.brought)
        self.barrier.wait()
        return all_of


class ThreadGroup(Group):
    """One thread's view of a group. log: the sizes of the messages of all twins, in order."""

    def __init__(self, meeting, rank, log=None):
        self.meeting, self.rank, self.size, self.log = meeting, rank, meeting.size, [] if log is None else log

    def all_reduce(self, x):
        array = getattr(x, "data", x) if hasattr(x, "node") else x
        array[...] = sum(self.meeting.exchange(self.rank, np.array(array)))
        return x

    def start_all_reduce(self, array):
        self.log.append(array.size)
        self.all_reduce(array)
        return super().start_all_reduce(array)

    def broadcast(self, x, src=0):
        array = getattr(x, "data", x) if hasattr(x, "node") else x
        array[...] = self.meeting.exchange(self.rank, np.array(array))[src]
        return x

    def all_gather_object(self, value):
        return self.meeting.exchange(self.rank, value)

    def sums(self, *numbers):
        return [sum(part) for part in zip(*self.meeting.exchange(self.rank, numbers))]

    def barrier(self):
        self.meeting.exchange(self.rank, None)


def together(size, work):
    """[work(group) of each of so many threads]."""
    meeting = Meeting(size)
    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(work_of_one, meeting, rank, work) for rank in range(size)]
        return [future.result() for future in futures]


def work_of_one(meeting, rank, work):
    try:
        return work(ThreadGroup(meeting, rank))
    except BaseException:
        meeting.barrier.abort()
        raise
