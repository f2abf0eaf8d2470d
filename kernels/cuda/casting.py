"""Copies of many arrays in one launch, also of float32 in a 16-bit type: a net's weights in mixed precision."""

import numpy as np

from .. import reference
from ..reference.arrays import array_module
from .loader import FLOATS, Kernel
from .rows import THREADS, compute_type

CAST_ALL = Kernel("casting.cu", "cast_all", FLOATS)
CHUNK, MOST_CASTS = 4096, 120  # as in casting.cu
CAST = np.dtype([("to", np.uint64), ("from", np.uint64), ("size", "i8"), ("first_block", "i8")])
CASTS = np.dtype((np.void, MOST_CASTS * CAST.itemsize))


def cast_all(arrays, dtype):
    """Copies of the arrays in another type."""
    if not all(a.dtype == np.float32 and a.flags.c_contiguous for a in arrays) or dtype.itemsize != 2:
        return reference.cast_all(arrays, dtype)
    copies = [array_module(a).empty(a.shape, dtype) for a in arrays]
    fill(copies, arrays, dtype)
    return copies


def copy_all(targets, sources):
    """Write the numbers of each source into its target."""
    dtype = targets[0].dtype if targets else None
    if all(a.dtype == dtype == compute_type(dtype) and a.flags.c_contiguous for a in (*targets, *sources)):
        fill(targets, sources, dtype)
    else:
        reference.copy_all(targets, sources)


def fill(targets, sources, dtype):
    pairs = [pair for pair in zip(targets, sources) if pair[0].size]
    for first in range(0, len(pairs), MOST_CASTS):
        launch(pairs[first : first + MOST_CASTS], dtype)


def launch(pairs, dtype):
    """Fill the first array of each pair from the second."""
    table, blocks = np.zeros(MOST_CASTS, CAST), 0
    for row, (to, given) in enumerate(pairs):
        table[row] = to.data.ptr, given.data.ptr, given.size, blocks
        blocks += -(-given.size // CHUNK)
    argument = np.frombuffer(table.tobytes(), CASTS)[0]
    CAST_ALL((dtype,), (blocks,), (THREADS,), argument, len(pairs), pairs[0][1])
