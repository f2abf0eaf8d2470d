"""The group of all processes that were started together, and torch.distributed's functions on it."""

import functools
import os

from .group import Group
from .launcher import processes


@functools.cache
def init_process_group():
    """The Group of all processes that mpiexec (or srun --mpi=...) started; a Group of one where nobody did.

    The first call connects them: each uses its share of the machine's cores, unless MINIGRAD_NUM_THREADS says how many
    threads, and from then on an exception that nobody catches ends all processes after its traceback.
    RuntimeError if the launcher is none of MPI's, or mpi4py is missing or belongs to another MPI.
    """
    number = processes(os.environ)
    if number == 1:
        return Group()
    from .mpi import connect

    return connect(number)


def get_rank():
    """Which process this is, from 0."""
    return init_process_group().rank


def get_world_size():
    """How many processes there are."""
    return init_process_group().size


def all_reduce(x):
    """Write the sum of x (a tensor or an array) over all processes into x; returns x."""
    return init_process_group().all_reduce(x)


def broadcast(x, src=0):
    """Overwrite x (a tensor or an array) with that of process src; returns x."""
    return init_process_group().broadcast(x, src)


def all_gather_object(value):
    """[value of process 0, of process 1 ...], in each process."""
    return init_process_group().all_gather_object(value)


def barrier():
    """Wait until all processes are here."""
    return init_process_group().barrier()
