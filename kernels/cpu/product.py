"""Matrix products inside a task: rows of A times panels of B, tile by tile (see tile.py)."""

from typing import NamedTuple

import numpy as np

from ..recording import zeros
from .layout import LINE
from .norm_rows import prefetch_pixels
from .rows import Rows
from .runtime import get_num_threads, serial
from .tile import PORTION, Left, Out, Taps, multiply_tile

NOTHING = ((0, 0, 0),)  # to fetch ahead


class Panels(NamedTuple):
    """`count` panels of B: the address of the first one, and the bytes from each to the next."""

    at: int
    step: int
    count: int


class Panelled(NamedTuple):
    """C: row r begins at `at` plus the r-th of the int64 numbers at `rows`; panels are so many bytes apart."""

    at: int
    rows: int
    panel: int


@serial
def numbers_of(table):
    """The address of an array of int64 numbers."""
    return np.int64(table.ctypes.data)


@serial
def multiply(tile, a, rows, b, depth, c, add, base, ahead):
    """C = A B, or C += A B if add: `rows` rows of A (Left) times Panels of B as wide as the tile, into C (Panelled).

    A and C need rows up to a multiple of the tile's height. base: zeros, one for each column of the tile. ahead: what
    to fetch into the cache in the meantime, a little with each tile, so that the product doesn't wait for it: arrays
    with a row for each of A's, (address, bytes from row to row, bytes of a row that are wanted).
    """
    lanes, zeros, no_tap = len(base), np.int64(base.ctypes.data), np.zeros(1, np.int64)
    row = lanes * base.itemsize
    for k in range(0, depth, PORTION):
        for panel in range(b.count):
            taps = Taps(at=np.int64(no_tap.ctypes.data), count=1, depth=min(PORTION, depth - k))
            for i in range(0, rows, len(tile.rows)):
                left = Left(at=a.at + k * a.step, rows=a.rows + i * 8, step=a.step)
                out = Out(at=c.at + panel * c.panel, rows=c.rows + i * 8, lanes=lanes)
                multiply_tile(tile, left, b.at + panel * b.step + k * row, taps, out, zeros, add + k)
                for start, step, size in ahead:
                    for byte in range(panel * LINE, size if k == 0 else 0, b.count * LINE):
                        here = Rows(at=start + i * step + byte, step=step)
                        prefetch_pixels(tile.low, here, min(len(tile.rows), rows - i))


def row_table(rows, *steps):
    """(len(steps), rows): where the rows begin in arrays whose rows are so many bytes apart."""
    return np.arange(rows) * np.array(steps)[:, None]


def make_scratch(size):
    """(threads, size): bytes for each thread, with room for what a vector reads beyond the end."""
    return zeros((get_num_threads(), size + LINE), np.uint8)
