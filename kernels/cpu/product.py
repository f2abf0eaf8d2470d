"""Matrix products inside a task: rows of A times panels of B, tile by tile (see tile.py)."""

import numpy as np

from .layout import LINE
from .norm_rows import prefetch_pixels
from .runtime import get_num_threads, serial
from .tile import PORTION, multiply_tile

NOTHING = ((0, 0, 0),)  # to fetch ahead


@serial
def multiply(tile_rows, tile_vectors, low, a, a_rows, a_step, rows, b, b_panel, panels, depth, c, c_rows, c_panel, add,
             base, ahead):  # fmt: skip
    """C = A B, or C += A B if add: A's row r is at a + a_rows[r], C's at c + c_rows[r]; panels as wide as the tile.

    A and C need rows up to a multiple of the tile's height. base: zeros, one for each column of the tile. ahead: what
    to fetch into the cache in the meantime, a little with each tile, so that the product doesn't wait for it: arrays
    with a row for each of A's, (address, bytes from row to row, bytes of a row that are wanted).
    """
    width, no_tap = len(base), np.zeros(1, np.int64)
    for k in range(0, depth, PORTION):
        for panel in range(panels):
            for i in range(0, rows, len(tile_rows)):
                multiply_tile(
                    tile_rows, tile_vectors, low,
                    a + k * a_step, np.int64(a_rows.ctypes.data) + i * 8, a_step,
                    b + panel * b_panel + k * width * base.itemsize, np.int64(no_tap.ctypes.data), 1,
                    min(PORTION, depth - k),
                    c + panel * c_panel, np.int64(c_rows.ctypes.data) + i * 8,
                    np.int64(base.ctypes.data), add + k, width,
                )  # fmt: skip
                for start, step, size in ahead:
                    for byte in range(panel * LINE, size if k == 0 else 0, panels * LINE):
                        prefetch_pixels(low, start + i * step + byte, step, min(len(tile_rows), rows - i))


def row_table(rows, *steps):
    """(len(steps), rows): where the rows begin in arrays whose rows are so many bytes apart."""
    return np.arange(rows) * np.array(steps)[:, None]


def make_scratch(size):
    """(threads, size): bytes for each thread, with room for what a vector reads beyond the end."""
    return np.zeros((get_num_threads(), size + LINE), np.uint8)
