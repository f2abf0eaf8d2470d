"""norm - ReLU - 1x1 convolution without a pass over memory for the norm: a matrix product over blocks of pixels.

Forward, a thread takes a block of pixels, writes z = max(scale x + shift, 0) to a scratch buffer that stays in its
cache, multiplies (while the next block is fetched), and sums the fresh outputs and their squares as it stores them.

Backward it needs z for the weight gradient, and dz's ReLU mask, but keeps neither. A block of pixels is taken one panel
of input channels at a time, as wide as the tile is:

    dy (pixels, K)  =  g + slope (y - mean) + offset                        once a block
    z  (pixels, panel)          computed again                                       --.
    dw (K, panel)  +=  dy^T z                                                          |  for each panel; all
    dz (pixels, panel)  =  dy w                                                        |  in the first-level cache
    dx (pixels, panel)  +=  scale dz where z > 0;   dbeta, dgamma from its sums      --'

The pixels are cut into parts by shape alone, every part adds up in order, and the parts are added in order: the number
of threads changes no bit of the result.
"""

import numba
import numpy as np

from ...recording import contiguous, copied, once, summed, zeros
from ..convolution.blocks import divide_evenly
from ..convolution.pack import filters_of, pack
from ..layout import deliver, odd_lines, round_up
from ..llvm import copy_bytes
from ..norm import stacked
from ..norm_rows import activate, add_through_moments, copy_and_sum, through_norm_relu
from ..product import NOTHING, Panelled, Panels, make_scratch, multiply, numbers_of, row_table
from ..rows import Rows, moved, pixels, places, result, rows_of
from ..runtime import parallel, serial
from ..tasks import share
from ..tile import Left, Tile, tile_shape, tile_types, tile_width

BLOCK = 96  # pixels in a block at most,
LEAST = 48  # and at least,
BLOCK_BYTES = 192 << 10  # of what a block works on: half of a second-level cache
TASKS = 128  # that share the pixels in the forward pass, each with its own sums
CHUNK = 16  # panels of input channels in a backward task at most
PARTS = 8  # of the pixels, each with its own weight gradient,
PARTS_BYTES = 2 << 20  # if they take no more memory than this


@serial
def forward_task(task, tile, x, y, size, terms, pivot, packed, rows, nothing, scratch, sums):
    """size: (pixels, of a block); terms (2, C): scale and shift; rows (2, block): of z and y; sums (tasks, 2, K)."""
    (panels, _, lanes), (pixel_count, block), low = packed.shape, size, tile[2]
    channels, item, blocks, tasks = terms.shape[1], terms.itemsize, -(-pixel_count // block), len(sums)
    here, from_x, to_y = Tile(*tile), Rows(*x), Rows(*y)
    z = Rows(at=np.int64(scratch[numba.get_thread_id()].ctypes.data), step=rows[0, 1])
    fresh = Rows(at=z.at + block * z.step, step=rows[1, 1])
    a = Left(at=z.at, rows=numbers_of(rows[0]), step=item)
    b = Panels(at=np.int64(packed.ctypes.data), step=packed.strides[0], count=panels)
    c = Panelled(at=fresh.at, rows=numbers_of(rows[1]), panel=lanes * item)
    for first in range(blocks * task // tasks * block, blocks * (task + 1) // tasks * block, block):
        count = min(block, pixel_count - first)
        next_x = moved(from_x, first + block, 0)
        ahead = ((next_x.at, next_x.step, channels * item if first + 2 * block <= pixel_count else 0),)
        activate(low, moved(from_x, first, 0), z, (count, channels), rows_of(terms))
        multiply(here, a, count, b, channels, c, 0, nothing, ahead)
        of_block = count, len(pivot)
        copy_and_sum(low, fresh, moved(to_y, first, 0), of_block, np.int64(pivot.ctypes.data), rows_of(sums[task]))


@parallel
def forward_blocks(tile, x, y, size, terms, pivot, packed, rows, nothing, scratch, sums):
    share(forward_task, len(sums), (tile, x, y, size, terms, pivot, packed, rows, nothing, scratch, sums))


@serial
def finish_dy(like, g, y, dy, size, line):
    """A block of dy. size: (pixels, channels); line (3, K): mean, slope and offset, or (0, K) if g is all of it."""
    if len(line):
        add_through_moments(like, g, y, dy, size, rows_of(line))
    else:
        for i in range(size[0]):
            copy_bytes(dy.at + i * dy.step, g.at + i * g.step, size[1] * line.itemsize)


@serial
def backward_task(task, tile, arrays, add, size, line, terms, packed, rows, nothing, scratch, products, sums):
    """arrays: g, y, x, dx; size: (pixels, of a block, panels of a chunk); terms (3, C): scale, shift, mean.

    rows (3, ...): of dy, dy^T and panels; products (parts, panels, K, lanes)
    """
    (parts, panels, high, lanes), (pixel_count, block, chunk) = products.shape, size
    channels, out_channels, item = terms.shape[1], line.shape[1], terms.itemsize
    blocks, chunks, row = -(-pixel_count // block), -(-panels // chunk), lanes * item
    part, begin, this, low = task // chunks, task % chunks * chunk, Tile(*tile), tile[2]
    g, y, x, dx = Rows(*arrays[0]), Rows(*arrays[1]), Rows(*arrays[2]), Rows(*arrays[3])
    dy = Rows(at=np.int64(scratch[numba.get_thread_id()].ctypes.data), step=high * item)
    z = Rows(at=dy.at + block * dy.step, step=row)
    dz = Rows(at=z.at + block * row, step=row)
    for first in range(blocks * part // parts * block, blocks * (part + 1) // parts * block, block):
        count = min(block, pixel_count - first)
        finish_dy(low, moved(g, first, 0), moved(y, first, 0), dy, (count, out_channels), line)
        for panel in range(begin, min(begin + chunk, panels)):
            c = panel * lanes
            here, there = moved(x, first, c * item), moved(dx, first, c * item)
            size_here, of_panel = (count, min(lanes, channels - c)), moved(rows_of(terms), 0, c * item)
            activate(low, here, z, size_here, of_panel)
            multiply(
                this, Left(at=dy.at, rows=numbers_of(rows[1]), step=dy.step), out_channels,
                Panels(at=z.at, step=0, count=1), count,
                Panelled(at=np.int64(products[part, panel].ctypes.data), rows=numbers_of(rows[2]), panel=0),
                1, nothing, NOTHING,
            )  # fmt: skip
            multiply(
                this, Left(at=dy.at, rows=numbers_of(rows[0]), step=item), count,
                Panels(at=np.int64(packed[panel].ctypes.data), step=0, count=1), out_channels,
                Panelled(at=dz.at, rows=numbers_of(rows[2]), panel=0),
                0, nothing, ((here.at + row, here.step, 64), (there.at + row, there.step, 64)),
            )  # fmt: skip
            to_sums = moved(rows_of(sums[part]), 0, c * 8)
            through_norm_relu(low, dz, here, there, size_here, of_panel, to_sums, add)


@parallel
def backward_blocks(tile, arrays, add, size, line, terms, packed, rows, nothing, scratch, products, sums):
    tasks = len(products) * -(-len(packed) // size[2])
    share(backward_task, tasks, (tile, arrays, add, size, line, terms, packed, rows, nothing, scratch, products, sums))


def block_of(bytes_each):
    """How many pixels there are in a block that has so many bytes for each."""
    return round_up(min(max(BLOCK_BYTES // bytes_each, LEAST), BLOCK), tile_shape()[0])


def forward(x, terms, w, pivot, out):
    """y (N, H, W, K), and each part's sums (parts, 2, K) of y - pivot and of its square. terms (2, C): scale, shift."""
    k, *_, c = w.shape
    y, packed = result((*x.shape[:3], k), x.dtype, out), once(w, pack, filters_of(w, [(0, 0)], 1))[0, :, 0]
    count, item, lanes = x.size // c, x.itemsize, packed.shape[-1]
    steps = odd_lines(c * item), len(packed) * lanes * item
    block = block_of(sum(steps))
    sums, arrays = zeros((min(-(-count // block), TASKS), 2, k)), (pixels(x), pixels(y))
    forward_blocks(
        tile_types(x.dtype), *places(*arrays), (count, block), terms, pivot, packed,
        row_table(block, *steps), np.zeros(lanes, x.dtype), make_scratch(block * sum(steps)), sums,
    )  # fmt: skip
    return deliver(y, out), sums


def backward(g, line, x, terms, w, add_to):
    """dx = scale d (or added into add_to), each part's sums (parts, 2, C) of d and of d (x - mean), and dw.

    line: None, or what through_moments adds to g; terms (3, C): scale, shift, mean
    """
    (k, *_, c), (high, lanes), item = w.shape, (round_up(len(w), tile_shape()[0]), tile_width(x.dtype)), x.itemsize
    dx, packed = result(x.shape, x.dtype, add_to), pack(filters_of(w, [(0, 0)], 1, transposed=True))[0, :, 0]
    y, *line = line or (g,)
    count, panels, chunk = x.size // c, len(packed), divide_evenly(len(packed), CHUNK)
    block = block_of(3 * chunk * lanes * item)
    parts = max(1, min(PARTS, PARTS_BYTES // (panels * lanes * high * item), count // block))
    products, sums = zeros((parts, panels, high, lanes), x.dtype), zeros((parts, 2, c))
    line = stacked(x.dtype, *line) if line else np.empty((0, k), x.dtype)
    arrays = pixels(g), pixels(y), pixels(x), pixels(dx)
    backward_blocks(
        tile_types(x.dtype), tuple(places(*arrays)), int(dx is add_to), (count, block, chunk),
        line, terms, packed,
        row_table(max(block, high), high * item, item, lanes * item), np.zeros(lanes, x.dtype),
        make_scratch(block * (high + 2 * lanes) * item), products, sums,
    )  # fmt: skip
    dw = copied(summed(products).transpose(1, 0, 2)).reshape(high, -1)[:k, :c]
    return dx, sums, contiguous(dw).reshape(w.shape)
