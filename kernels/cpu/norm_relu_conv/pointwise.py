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

from ..convolution.blocks import divide_evenly
from ..convolution.pack import filters_of, pack
from ..layout import deliver, odd_lines, round_up
from ..llvm import copy_bytes
from ..norm_rows import activate, add_through_moments, copy_and_sum, through_norm_relu
from ..product import NOTHING, make_scratch, multiply, row_table
from ..rows import addresses, pixels, result
from ..runtime import parallel, serial
from ..tile import tile_shape, tile_types, tile_width

BLOCK = 96  # pixels in a block at most,
LEAST = 48  # and at least,
BLOCK_BYTES = 192 << 10  # of what a block works on: half of a second-level cache
TASKS = 128  # that share the pixels in the forward pass, each with its own sums
CHUNK = 16  # panels of input channels that a backward task takes at most
PARTS = 8  # of the pixels, each with its own weight gradient,
PARTS_BYTES = 2 << 20  # if they take no more memory than this


@parallel
def forward_blocks(tile_rows, tile_vectors, low, x, x_step, y, y_step, pixel_count, block, terms, pivot, packed, rows,
                   nothing, scratch, sums):  # fmt: skip
    """terms (2, C): scale and shift; rows (2, block): of z and y in the scratch; sums (tasks, 2, K)."""
    channels, item, (panels, _, lanes) = terms.shape[1], terms.itemsize, packed.shape
    blocks, tasks, scale = -(-pixel_count // block), len(sums), np.int64(terms.ctypes.data)
    for task in numba.prange(tasks):
        z = np.int64(scratch[numba.get_thread_id()].ctypes.data)
        fresh, fresh_step = z + block * rows[0, 1], rows[1, 1]
        for first in range(blocks * task // tasks * block, blocks * (task + 1) // tasks * block, block):
            count = min(block, pixel_count - first)
            next_x = x + (first + block) * x_step, x_step, channels * item if first + 2 * block <= pixel_count else 0
            activate(low, x + first * x_step, x_step, z, rows[0, 1], count, channels, scale, scale + channels * item)
            multiply(
                tile_rows, tile_vectors, low, z, rows[0], item, count, np.int64(packed.ctypes.data), packed.strides[0],
                panels, channels, fresh, rows[1], lanes * item, 0, nothing, (next_x,),
            )  # fmt: skip
            total = np.int64(sums[task].ctypes.data)
            copy_and_sum(
                low, fresh, fresh_step, y + first * y_step, y_step, count, len(pivot), np.int64(pivot.ctypes.data),
                total, total + len(pivot) * 8,
            )  # fmt: skip


@serial
def finish_dy(low, g, g_step, y, y_step, dy, dy_step, count, channels, moments):
    """A block of dy. moments (3, K): mean, slope and offset, or (0, K) if g is all of it."""
    mean, row = np.int64(moments.ctypes.data), channels * moments.itemsize
    if len(moments):
        add_through_moments(low, g, g_step, y, y_step, dy, dy_step, count, channels, mean, mean + row, mean + 2 * row)
    else:
        for i in range(count):
            copy_bytes(dy + i * dy_step, g + i * g_step, row)


@parallel
def backward_blocks(tile_rows, tile_vectors, low, g, g_step, y, y_step, x, x_step, dx, dx_step, add, pixel_count, block,
                    moments, terms, packed, chunk, rows, nothing, scratch, products, sums):  # fmt: skip
    """terms (3, C): scale, shift, mean; rows (3, ...): of dy, dy^T and panels; products (parts, panels, K, lanes)."""
    parts, panels, high, lanes = products.shape
    channels, out_channels, item = terms.shape[1], moments.shape[1], terms.itemsize
    blocks, chunks, row = -(-pixel_count // block), -(-panels // chunk), lanes * item
    for task in numba.prange(parts * chunks):
        part, begin = task // chunks, task % chunks * chunk
        dy = np.int64(scratch[numba.get_thread_id()].ctypes.data)
        z = dy + block * high * item
        dz = z + block * row
        for first in range(blocks * part // parts * block, blocks * (part + 1) // parts * block, block):
            count = min(block, pixel_count - first)
            at_g, at_y = g + first * g_step, y + first * y_step
            finish_dy(low, at_g, g_step, at_y, y_step, dy, high * item, count, out_channels, moments)
            for panel in range(begin, min(begin + chunk, panels)):
                c, few = panel * lanes, min(lanes, channels - panel * lanes)
                at_x, at_dx = x + first * x_step + c * item, dx + first * dx_step + c * item
                scale, total = np.int64(terms.ctypes.data) + c * item, np.int64(sums[part].ctypes.data) + c * 8
                shift, mean = scale + channels * item, scale + 2 * channels * item
                activate(low, at_x, x_step, z, row, count, few, scale, shift)
                multiply(
                    tile_rows, tile_vectors, low, dy, rows[1], high * item, out_channels, z, 0, 1, count,
                    np.int64(products[part, panel].ctypes.data), rows[2], 0, 1, nothing, NOTHING,
                )  # fmt: skip
                multiply(
                    tile_rows, tile_vectors, low, dy, rows[0], item, count, np.int64(packed[panel].ctypes.data), 0, 1,
                    out_channels, dz, rows[2], 0, 0, nothing, ((at_x + row, x_step, 64), (at_dx + row, dx_step, 64)),
                )  # fmt: skip
                through_norm_relu(
                    low, dz, row, at_x, x_step, at_dx, dx_step, count, few, scale, shift, mean, total,
                    total + channels * 8, add,
                )  # fmt: skip


def block_of(bytes_each):
    """How many pixels there are in a block that has so many bytes for each."""
    return round_up(min(max(BLOCK_BYTES // bytes_each, LEAST), BLOCK), tile_shape()[0])


def forward(x, terms, w, pivot, out):
    """y (N, H, W, K) and the sums (2, K) of y - pivot and of its square. terms (2, C): scale and shift."""
    k, *_, c = w.shape
    y, packed = result((*x.shape[:3], k), x.dtype, out), pack(filters_of(w, [(0, 0)], 1))[0, :, 0]
    count, item, lanes = x.size // c, x.itemsize, packed.shape[-1]
    steps = odd_lines(c * item), len(packed) * lanes * item
    block = block_of(sum(steps))
    sums, arrays = np.zeros((min(-(-count // block), TASKS), 2, k)), (pixels(x), pixels(y))
    forward_blocks(
        *tile_types(), x.dtype.type(-np.inf), *addresses(*arrays), count, block, terms, pivot, packed,
        row_table(block, *steps), np.zeros(lanes, x.dtype), make_scratch(block * sum(steps)), sums,
    )  # fmt: skip
    return deliver(y, out), sums.sum(0)


def backward(g, moments, x, terms, w, add_to):
    """dx = scale d (or added into add_to), the sums (2, C) of d and of d (x - mean), and dw.

    moments: None, or what through_moments adds to g; terms (3, C): scale, shift, mean
    """
    (k, *_, c), (high, lanes), item = w.shape, (round_up(len(w), tile_shape()[0]), tile_width(x.dtype)), x.itemsize
    dx, packed = result(x.shape, x.dtype, add_to), pack(filters_of(w, [(0, 0)], 1, transposed=True))[0, :, 0]
    y, *moments = moments or (g,)
    count, panels, chunk = x.size // c, len(packed), divide_evenly(len(packed), CHUNK)
    block = block_of(3 * chunk * lanes * item)
    parts = max(1, min(PARTS, PARTS_BYTES // (panels * lanes * high * item), count // block))
    products, sums = np.zeros((parts, panels, high, lanes), x.dtype), np.zeros((parts, 2, c))
    arrays = pixels(g), pixels(y), pixels(x), pixels(dx)
    backward_blocks(
        *tile_types(), x.dtype.type(-np.inf), *addresses(*arrays), int(dx is add_to), count, block,
        np.array(moments, x.dtype).reshape(-1, k), terms, packed, chunk,
        row_table(max(block, high), high * item, item, lanes * item), np.zeros(lanes, x.dtype),
        make_scratch(block * (high + 2 * lanes) * item), products, sums,
    )  # fmt: skip
    dw = products.sum(0).transpose(1, 0, 2).reshape(high, -1)[:k, :c]
    return dx, sums.sum(0), np.ascontiguousarray(dw).reshape(w.shape)
