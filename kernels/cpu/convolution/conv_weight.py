"""The weight gradient of convolution: for each tap a product of two matrices, summed over all output pixels.

    dw[k, r, s, c] = sum over pixels of dy[pixel, k] x[pixel moved by tap (r, s), c]

The tile's rows are input channels, its columns output channels, its steps the pixels. A pixel's channels lie far from
the next pixel's, which caches dislike: so the pixels are cut into blocks, and a block of dy and of x is first copied
into panels, as wide as the tile is (dy) or high (x), in which pixel follows pixel:

    dy panels  (panels, pixels, tile columns)          x panels  (panels, pixels with border, tile rows)

(An odd number of cache lines apart: else the caches would put neighbouring panels in the same place.) A tap then is
just an offset in an x panel. With few input channels such panels would be mostly empty: the block of x keeps its
layout, and the taps of a filter row, s and c merged, are the rows of one matrix. Either way the work of a block is a
list of slots: places in x where a tile's rows begin.

The blocks are cut into parts by shape alone. Each part adds up its blocks, in order, into its own accumulator; these
are added at the end, in order. What more threads divide among them is the output channels, each of which has its own
sums. So neither the number of threads nor their timing changes a bit of the result.
"""

import functools
from typing import NamedTuple

import numba
import numpy as np
from numba.np.unsafe.ndarray import to_fixed_tuple

from ...recording import address, contiguous, empty, zeros
from ..layout import odd_lines, single_tap, with_contiguous_channels
from ..llvm import copy_bytes, zero_bytes
from ..product import Panels, numbers_of
from ..runtime import get_num_threads, parallel, serial
from ..tasks import share

from ..tile import (  # isort: skip
    Left, Out, Taps, Tile, copy_tile_height, copy_tile_width, multiply_tile, tile_shape, tile_types, tile_width,
)  # fmt: skip
from . import depthwise, winograd
from .blocks import Blocks, Image, block_at, blocks_of, copy_with_border, divide_evenly, flat, image_of, image_part

X_BLOCK_BYTES = 192 << 10  # of x in one block, to stay in the second-level cache
DY_BLOCK_BYTES = 512 << 10  # of dy: where it would be more than twice that, it is cut into chunks of channels
PARTS = 8  # of the blocks, each with its own accumulator,
PARTS_BYTES = 1 << 20  # if they take no more memory than this; but 2 parts may take twice as much


class Window(NamedTuple):
    """Stride, reach (dilation times one less than the filter's size) and padding, along rows and columns."""

    row_stride: int
    column_stride: int
    row_reach: int
    column_reach: int
    row_padding: int
    column_padding: int


class WeightPlan(NamedTuple):
    """Everything about a call but its addresses. channels, out_channels: of a group; panels: of dy, in all.

    parts: of the blocks, each with its own accumulator; chunks: of the panels. pixel_bytes: of a pixel in x's block;
    panel_bytes: of a panel of x's block.
    """

    x: Image
    dy: Image
    window: Window
    block: Blocks
    item: int
    lanes: int
    groups: int
    channels: int
    out_channels: int
    parts: int
    panels: int
    chunk_panels: int
    chunks: int
    merged: int
    pixel_bytes: int
    panel_bytes: int


FIELDS = 6 + 6 + 6 + 4 + 12


@serial
def plan_of(fields):
    """The WeightPlan from the array of its numbers."""
    n = to_fixed_tuple(fields, FIELDS)
    return WeightPlan(Image(*n[:6]), Image(*n[6:12]), Window(*n[12:18]), Blocks(*n[18:22]), *n[22:])


def part_count(blocks, panels, accumulator_bytes):
    """In how many parts the blocks are added up: a power of two, by shape alone. 1 if dw is large or blocks are few."""
    if panels == 1:
        return min(blocks, PARTS)
    if blocks < PARTS or accumulator_bytes > PARTS_BYTES:
        return 1
    return max(2, 1 << (min(PARTS, PARTS_BYTES // accumulator_bytes).bit_length() - 1))


def chunk_panels(parts, panels, most, threads):
    """Panels in a task: at most `most` if there are many more, and so few that each thread has a task."""
    tasks = -(-threads // parts)
    return divide_evenly(panels, min(most if panels > 2 * most else panels, -(-panels // tasks)))


@functools.lru_cache(1024)
def make_plan(x_shape, x_strides, dy_shape, dy_strides, w_shape, stride, padding, dilation, groups, item, threads):
    """The WeightPlan and its numbers; the slots; and which row of the accumulator belongs to each (r, s, c)."""
    images, rows, columns, k = dy_shape
    _, r_size, s_size, depth = w_shape
    high, lanes = tile_shape()[0], tile_width(f"f{item}")
    reach = dilation[0] * (r_size - 1), dilation[1] * (s_size - 1)
    merged = s_size > 1 and dilation[1] == 1 and depth < 4 * high
    panels = -(-(k // groups) // lanes)
    pixels = min(384 if panels <= 64 else 128, max(64, X_BLOCK_BYTES // (depth * item)))
    block = blocks_of(images, rows, columns, pixels)
    row_length = (columns - 1) * stride[1] + reach[1] + 1
    pixels = block.images * ((block.rows - 1) * stride[0] + reach[0] + 1) * row_length
    pixel_bytes = (depth if merged else high) * item
    panel_bytes = odd_lines(pixels * pixel_bytes)
    slots, row_of = list_slots(r_size, s_size, depth, high, merged)
    step = high * item if merged else panel_bytes  # from panel to panel
    places = [(r * dilation[0] * row_length + s * dilation[1], panel) for r, s, panel in slots]
    offsets = [pixel * pixel_bytes + panel * step for pixel, panel in places]
    dy_bytes = block.images * block.rows * columns * lanes * item
    parts = part_count(block.of_images * block.of_rows, panels, groups * panels * len(slots) * high * lanes * item)
    chunk = chunk_panels(parts * groups, panels, max(1, DY_BLOCK_BYTES // dy_bytes), threads)
    plan = WeightPlan(
        x=image_of(x_shape, x_strides), dy=image_of(dy_shape, dy_strides), window=Window(*stride, *reach, *padding),
        block=block, item=item, lanes=lanes, groups=groups, channels=depth, out_channels=k // groups,
        parts=parts, panels=panels, chunk_panels=chunk, chunks=-(-panels // chunk), merged=int(merged),
        pixel_bytes=pixel_bytes, panel_bytes=panel_bytes,
    )  # fmt: skip
    return plan, np.array(flat(plan), np.int64), np.array(offsets, np.int64), np.array(row_of, np.int64)


def list_slots(r_size, s_size, channels, high, merged):
    """Slots (r, s, panel), and the accumulator's row of every (r, s, c)."""
    taps = [(r, 0) for r in range(r_size)] if merged else [(r, s) for r in range(r_size) for s in range(s_size)]
    used = s_size * channels if merged else channels
    panels = -(-used // high)
    slots = [(r, s, panel) for r, s in taps for panel in range(panels)]
    shift = panels * high - used if not merged and used > high else 0  # the last panel starts so much earlier
    rows = [i if i < (panels - 1) * high else i + shift for i in range(used)]
    return slots, [t * panels * high + row for t in range(len(taps)) for row in rows]


@serial
def pack_dy(g, tile, source, target, count, panels, panel_bytes):
    """The block's dy as panels of the tile's width. count: (images, rows); panels: (first, end)."""
    row = g.lanes * g.item
    for n in range(count[0]):
        for p in range(count[1]):
            here = source + n * g.dy.image_step + p * g.dy.row_step
            for _ in range(g.dy.columns):
                for panel in range(panels[0], panels[1]):
                    begin, there = panel * g.lanes, target + (panel - panels[0]) * panel_bytes
                    if begin + g.lanes <= g.out_channels:
                        copy_tile_width(tile, there, here + begin * g.item)
                    else:
                        copy_bytes(there, here + begin * g.item, (g.out_channels - begin) * g.item)
                target += row
                here += g.dy.pixel_step


@serial
def pack_pixel(g, tile, source, target):
    """One pixel of x to all panels. Where the last would be cut short, it starts earlier and overlaps its neighbour."""
    high = len(tile.rows)
    if g.channels < high:
        copy_bytes(target, source, g.channels * g.item)
        return
    for _ in range(g.channels // high):
        copy_tile_height(tile, target, source)
        target += g.panel_bytes
        source += high * g.item
    rest = g.channels % high
    if rest:
        copy_tile_height(tile, target, source - (high - rest) * g.item)


@serial
def zero_pixels(g, tile, target, count):
    """`count` pixels of zeros in all panels."""
    for _ in range(0, g.channels if count else 0, len(tile.rows)):
        zero_bytes(target, count * g.pixel_bytes)
        target += g.panel_bytes


@serial
def pack_image(g, tile, source, target, first, count):
    """One image's rows of a block, with border, as panels of the tile's height."""
    left, inside = image_part(first[1], count[1], g.x.columns)
    for row in range(first[0], first[0] + count[0]):
        if row < 0 or row >= g.x.rows:
            zero_pixels(g, tile, target, count[1])
        else:
            here = source + row * g.x.row_step + (first[1] + left) * g.x.pixel_step
            zero_pixels(g, tile, target, left)
            for i in range(left, left + inside):
                pack_pixel(g, tile, here, target + i * g.pixel_bytes)
                here += g.x.pixel_step
            zero_pixels(g, tile, target + (left + inside) * g.pixel_bytes, count[1] - left - inside)
        target += count[1] * g.pixel_bytes


@serial
def pack_x(g, tile, source, target, first_row, count):
    """The block of x, with border; bytes of an image and of a row in it. count: (images, rows) of dy."""
    w = g.window
    first = first_row * w.row_stride - w.row_padding, -w.column_padding
    size = (count[1] - 1) * w.row_stride + w.row_reach + 1, (g.dy.columns - 1) * w.column_stride + w.column_reach + 1
    row_bytes = size[1] * g.pixel_bytes
    for i in range(count[0]):
        here, there = source + i * g.x.image_step, target + i * size[0] * row_bytes
        if g.merged:
            steps, whole = (g.x.row_step, g.x.pixel_step), (g.x.rows, g.x.columns)
            copy_with_border(here, steps, whole, g.pixel_bytes, first, size, there)
        else:
            pack_image(g, tile, here, there, first, size)
    return size[0] * row_bytes, row_bytes


@serial
def list_rows(g, count, image_bytes, row_bytes, offsets):
    """Where each of the block's output rows begins in a panel of x, and how many steps the tile takes from there."""
    images, rows = count
    if g.window.column_stride == 1 and image_bytes == rows * row_bytes and row_bytes == g.dy.columns * g.pixel_bytes:
        offsets[0] = 0  # no border and no stride: the rows join into one
        return 1, images * rows * g.dy.columns
    for n in range(images):
        for p in range(rows):
            offsets[n * rows + p] = n * image_bytes + p * g.window.row_stride * row_bytes
    return images * rows, g.dy.columns


@serial
def multiply_slots(tile, x_block, step, slots, dy_panels, taps, accumulator, tables, add):
    """Every slot times Panels of dy, added to the accumulator (panels, slots, tile)."""
    rows_of_x, rows_of_sums, base = tables
    size, zeros = len(tile.rows) * len(base) * base.itemsize, np.int64(base.ctypes.data)
    for panel in range(dy_panels.count):
        for slot in range(len(slots)):
            left = Left(at=x_block + slots[slot], rows=numbers_of(rows_of_x), step=step)
            at = accumulator + (panel * len(slots) + slot) * size
            out = Out(at=at, rows=numbers_of(rows_of_sums), lanes=len(base))
            multiply_tile(tile, left, dy_panels.at + panel * dy_panels.step, taps, out, zeros, add)


@serial
def sum_block(g, tile, index, group, panels, places, memory, slots, accumulator, tables, add):
    """One block's part of the sum. places: x and dy; memory: a thread's block of x, of dy, and offsets of rows."""
    (n, p), count = block_at(g.block, index, g.dy.images, g.dy.rows)
    x_block, dy_block = np.int64(memory[0].ctypes.data), np.int64(memory[1].ctypes.data)
    dy_bytes = (count[0] * count[1] * g.dy.columns | 1) * g.lanes * g.item
    from_dy = places[1] + n * g.dy.image_step + p * g.dy.row_step + group * g.out_channels * g.item
    pack_dy(g, tile, from_dy, dy_block, count, panels, dy_bytes)
    from_x = places[0] + n * g.x.image_step + group * g.channels * g.item
    image_bytes, row_bytes = pack_x(g, tile, from_x, x_block, p, count)
    taps, depth = list_rows(g, count, image_bytes, row_bytes, memory[2])
    multiply_slots(
        tile, x_block, g.window.column_stride * g.pixel_bytes, slots,
        Panels(at=dy_block, step=dy_bytes, count=panels[1] - panels[0]),
        Taps(at=np.int64(memory[2].ctypes.data), count=taps, depth=depth), accumulator, tables, add,
    )  # fmt: skip


@serial
def sum_part(task, fields, tile, places, slots, memory, tables, sums):
    """A part's sum over its blocks, of some panels."""
    g, here, thread = plan_of(fields), Tile(*tile), numba.get_thread_id()
    part, chunk = task // g.chunks, task % g.chunks
    part, group = part // g.groups, part % g.groups
    some = chunk * g.chunk_panels, min((chunk + 1) * g.chunk_panels, g.panels)
    accumulator, blocks = np.int64(sums[part, group, some[0]].ctypes.data), g.block.of_images * g.block.of_rows
    begin, mine = blocks * part // g.parts, (memory[0][thread], memory[1][thread], memory[2][thread])
    for block in range(begin, blocks * (part + 1) // g.parts):
        sum_block(g, here, block, group, some, places, mine, slots, accumulator, tables, block - begin)


@parallel
def sum_blocks(fields, tile, places, slots, memory, tables, sums, tasks):
    """Every part's sum over its blocks: sums (parts, groups, panels, slots, tile rows, tile columns).

    tables: where the rows of a tile begin in x and in the sums; a row of zeros
    """
    share(sum_part, tasks, (fields, tile, places, slots, memory, tables, sums))


@serial
def collect_panel(task, sums, row_of, out_channels, dw):
    panels, width = sums.shape[2], sums.shape[4]
    group, panel = task // panels, task % panels
    first = group * out_channels + panel * width
    for i in range(len(row_of)):
        for lane in range(min(width, out_channels - panel * width)):
            total = sums[0, group, panel, row_of[i], lane]
            for part in range(1, sums.shape[0]):
                total += sums[part, group, panel, row_of[i], lane]
            dw[first + lane, i] = total


@parallel
def collect(sums, row_of, out_channels, dw):
    """dw (K, R S C) from the accumulators, the parts added in order."""
    share(collect_panel, sums.shape[1] * sums.shape[2], (sums, row_of, out_channels, dw))


def conv2d_backward_weight(dy, x, w_shape, stride, padding, dilation, groups):
    """dw (K, R, S, C/groups)"""
    if dy.size == 0 or x.size == 0:
        return zeros(w_shape, dy.dtype)
    if depthwise.applies(w_shape, x.shape[3], groups):
        return depthwise.depthwise_backward_weight(dy, x, (stride, padding, dilation), w_shape)
    x, dy = with_contiguous_channels(x), with_contiguous_channels(dy)
    if winograd.chosen(w_shape, stride, dilation, groups, x.dtype, dy.shape):
        return winograd.convolve_weight(dy, x, padding)
    if (*w_shape[1:3], *padding) != (1, 1, 0, 0):
        return sum_products(dy, x, w_shape, stride, padding, dilation, groups)
    x, dy = single_tap(x, dy, stride)
    k, _, _, c = w_shape
    if groups == 1 and k < c:  # one matrix product: let the side with more channels be the one that is faster to pack
        swapped = sum_products(x, dy, (c, 1, 1, k), (1, 1), padding, dilation, groups)
        return contiguous(swapped.reshape(c, k).T).reshape(w_shape)
    return sum_products(dy, x, w_shape, (1, 1), padding, dilation, groups)


def sum_products(dy, x, w_shape, stride, padding, dilation, groups):
    """dw, from arrays with contiguous channels."""
    threads = get_num_threads()
    g, fields, slots, row_of = make_plan(
        x.shape, x.strides, dy.shape, dy.strides, w_shape, stride, padding, dilation, groups, x.itemsize, threads
    )
    (high, _), width = tile_shape(), g.lanes
    pixels = g.block.images * g.block.rows * g.dy.columns | 1
    x_panels = 1 if g.merged else -(-g.channels // high)
    memory = (
        zeros((threads, x_panels * g.panel_bytes + high * g.item), np.uint8),
        zeros((threads, g.chunk_panels * pixels * width), x.dtype),
        empty((threads, g.block.images * g.block.rows), np.int64),
    )
    sums = empty((g.parts, groups, g.panels, len(slots) * high, width), x.dtype)
    numbers, places = np.arange(high) * x.itemsize, (address(x), address(dy))
    tables, dw = (numbers, numbers * width, np.zeros(width, x.dtype)), empty(w_shape, x.dtype)
    sum_blocks(fields, tile_types(x.dtype), places, slots, memory, tables, sums, g.parts * groups * g.chunks)
    collect(sums, row_of, g.out_channels, dw.reshape(w_shape[0], -1))
    return dw
