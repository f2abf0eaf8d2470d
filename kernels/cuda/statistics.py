"""Running statistics of batch norms: those of all norms of a forward pass move in one launch."""

import contextlib
import contextvars

import numpy as np

from .. import reference
from .loader import Kernel
from .rows import THREADS, of_one_launch

MOVE_STATISTICS = Kernel("norm.cu", "move_statistics", ("float", "double"))
MOST_NORMS = 60  # of a launch, as in norm.cu
MOST_BLOCKS = 64  # of a norm
POINTERS = "running_mean", "running_var", "mean", "var", "share_there"
MOVE = np.dtype([(name, np.uint64) for name in POINTERS] + [("share", "f8"), ("unbias", "f8"), ("columns", "i8")])
MOVES = np.dtype((np.void, MOST_NORMS * MOVE.itemsize))

_noted: contextvars.ContextVar = contextvars.ContextVar("noted", default=None)


@contextlib.contextmanager
def moving_together():
    """Within this block move_statistics only notes what to do; its end does all of it, in as few launches as it takes.

    After an error nothing is done. Nobody may look at running statistics within the block.
    """
    token = _noted.set([])
    try:
        yield
        make(_noted.get())
    finally:
        _noted.reset(token)


def move_statistics(running_mean, running_var, mean, var, momentum, count):
    """running = (1 - momentum) running + momentum batch, in place; var of `count` values becomes unbiased. (C,) each.

    momentum: a number, or an array of one float64.
    """
    move = (running_mean, running_var, mean, var), momentum, count
    noted = _noted.get()
    if not of_one_launch(move[0]):
        reference.move_statistics(*move[0], momentum, count)
    elif noted is None:
        make([move])
    else:
        if any(own[0] is running_mean or own[0].dtype != running_mean.dtype for own, *_ in noted):
            make(noted)  # a norm's second move comes after its first
            noted.clear()
        noted.append(move)


def make(moves):
    """Launch the moves, each ((running_mean, running_var, mean, var), momentum, count), no norm twice."""
    for first in range(0, len(moves), MOST_NORMS):
        part = moves[first : first + MOST_NORMS]
        table, arrays = np.zeros(MOST_NORMS, MOVE), part[0][0]
        table[: len(part)] = [row_of(*move) for move in part]
        blocks = min(-(-max(own[0].size for own, *_ in part) // THREADS), MOST_BLOCKS)
        argument = np.frombuffer(table.tobytes(), MOVES)[0]
        MOVE_STATISTICS((arrays[0].dtype,), (blocks, len(part)), (THREADS,), argument, arrays[0])


def row_of(arrays, momentum, count):
    """A Move of norm.cu."""
    there = hasattr(momentum, "data") and not isinstance(momentum, np.generic)
    share = (momentum.data.ptr, 0.0) if there else (0, momentum)
    return (*(a.data.ptr for a in arrays), *share, count / (count - 1), arrays[0].size)
