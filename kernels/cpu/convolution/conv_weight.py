"""The weight gradient of convolution: for each tap a product of two matrices, summed over all output pixels.

    dw[k, r, s, c] = sum over pixels of dy[pixel, k] x[pixel moved by tap (r, s), c]

The tile's rows are input channels, its columns output channels, its steps the pixels. A pixel's channels lie far from
the next pixel's, which caches dislike: so the pixels are cut into blocks, and a block of dy and of x is first copied
into panels, as wide as the tile is (dy) or high (x), in which pixel follows pixel:

    dy panels  (panels, pixels, tile columns)          x panels  (panels, pixels with border, tile rows)

(An odd number of cache lines apart: else the caches would put neighbouring panels in the same place.) A tap then is
just an offset in an x panel. With few input channels (an image's three) such panels would be mostly
empty. There the block of x keeps its layout, and the taps of a filter row, s and c merged, are the rows of one matrix.
Either way the work of a block is a list of slots: places in x where a tile's rows begin.

The blocks are cut into parts by shape alone. Each part adds up its blocks, in order, into its own accumulator; these
are added at the end, in order. What more threads divide among them is the output channels, each of which has its own
sums. So neither the number of threads nor their timing changes a bit of the result.
"""

import functools
from typing import NamedTuple

import numba
import numpy as np

from ..layout import single_tap, with_contiguous_channels
from ..llvm import copy_bytes, zero_bytes
from ..runtime import get_num_threads, parallel, serial
from ..tile import copy_tile_height, copy_tile_width, multiply_tile, tile_shape, tile_types, tile_width
from . import depthwise, winograd
from .blocks import block_size, copy_with_border, divide_evenly, image_part

X_BLOCK_BYTES = 192 << 10  # of x in one block, to stay in the second-level cache
DY_BLOCK_BYTES = 512 << 10  # of dy: where it would be more than twice that, it is cut into chunks of channels
PARTS = 8  # of the blocks, each with its own accumulator,
PARTS_BYTES = 1 << 20  # if they take no more memory than this; but 2 parts may take twice as much


class Plan(NamedTuple):
    """Everything about a call but its addresses. Steps and sizes of memory in bytes."""

    item: int
    images: int
    rows: int
    columns: int
    height: int
    width: int
    image_step: int
    row_step: int
    pixel_step: int
    dy_image_step: int
    dy_row_step: int
    dy_pixel_step: int
    groups: int
    channels: int
    out_channels: int
    stride_rows: int
    stride_columns: int
    reach_rows: int  # of the filter: dilation (R - 1)
    reach_columns: int
    padding_rows: int
    padding_columns: int
    block_images: int
    block_rows: int
    row_blocks: int
    blocks: int
    parts: int  # of the blocks, each with its own accumulator
    chunks: int  # of the output channels
    panels: int
    chunk_panels: int
    merged: int
    pixel_bytes: int  # of a pixel in x's block
    panel_bytes: int  # of a panel of x's block


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
    """The Plan; the slots; and which row of the accumulator belongs to each (r, s, c)."""
    images, height, width, _ = x_shape
    _, rows, columns, k = dy_shape
    _, r_size, s_size, depth = w_shape
    high, lanes = tile_shape()[0], tile_width(f"f{item}")
    reach = dilation[0] * (r_size - 1), dilation[1] * (s_size - 1)
    merged = s_size > 1 and dilation[1] == 1 and depth < 4 * high
    panels = -(-(k // groups) // lanes)
    pixels = min(384 if panels <= 64 else 128, max(64, X_BLOCK_BYTES // (depth * item)))
    block_images, block_rows = block_size(images, rows, columns, pixels)
    row_blocks = -(-rows // block_rows)
    row_length = (columns - 1) * stride[1] + reach[1] + 1
    pixels = block_images * ((block_rows - 1) * stride[0] + reach[0] + 1) * row_length
    pixel_bytes = (depth if merged else high) * item
    panel_bytes = (-(-pixels * pixel_bytes // 64) | 1) * 64
    slots, row_of = list_slots(r_size, s_size, depth, high, merged)
    step = high * item if merged else panel_bytes  # from panel to panel
    places = [(r * dilation[0] * row_length + s * dilation[1], panel) for r, s, panel in slots]
    offsets = [pixel * pixel_bytes + panel * step for pixel, panel in places]
    blocks = -(-images // block_images) * row_blocks
    block_bytes = block_images * block_rows * columns * lanes * item
    accumulator_bytes = groups * panels * len(slots) * high * lanes * item
    parts = part_count(blocks, panels, accumulator_bytes)
    chunk = chunk_panels(parts * groups, panels, max(1, DY_BLOCK_BYTES // block_bytes), threads)
    plan = Plan(
        item, images, rows, columns, height, width, *x_strides[:3], *dy_strides[:3], groups, depth, k // groups,
        *stride, *reach, *padding, block_images, block_rows, row_blocks, blocks, parts, -(-panels // chunk),
        panels, chunk, int(merged), pixel_bytes, panel_bytes,
    )  # fmt: skip
    return plan, np.array(offsets, np.int64), np.array(row_of, np.int64)


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
def pack_dy(g, vectors, low, source, target, images, rows, panels, lanes, panel_bytes):
    """The block's dy as panels of the tile's width; panels: (first, end)."""
    for n in range(images):
        for p in range(rows):
            here = source + n * g.dy_image_step + p * g.dy_row_step
            for _ in range(g.columns):
                for panel in range(panels[0], panels[1]):
                    begin, there = panel * lanes, target + (panel - panels[0]) * panel_bytes
                    if begin + lanes <= g.out_channels:
                        copy_tile_width(vectors, low, there, here + begin * g.item)
                    else:
                        copy_bytes(there, here + begin * g.item, (g.out_channels - begin) * g.item)
                target += lanes * g.item
                here += g.dy_pixel_step


@serial
def pack_pixel(g, tile_rows, low, source, target):
    """One pixel of x to all panels. Where the last would be cut short, it starts earlier and overlaps its neighbour."""
    high = len(tile_rows)
    if g.channels < high:
        copy_bytes(target, source, g.channels * g.item)
        return
    for _ in range(g.channels // high):
        copy_tile_height(tile_rows, low, target, source)
        target += g.panel_bytes
        source += high * g.item
    rest = g.channels % high
    if rest:
        copy_tile_height(tile_rows, low, target, source - (high - rest) * g.item)


@serial
def zero_pixels(g, tile_rows, target, count):
    """`count` pixels of zeros in all panels."""
    for _ in range(0, g.channels if count else 0, len(tile_rows)):
        zero_bytes(target, count * g.pixel_bytes)
        target += g.panel_bytes


@serial
def pack_x(g, tile_rows, low, source, target, first, count):
    """One image's rows of a block, with border, as panels of the tile's height."""
    left, inside = image_part(first[1], count[1], g.width)
    for row in range(first[0], first[0] + count[0]):
        if row < 0 or row >= g.height:
            zero_pixels(g, tile_rows, target, count[1])
        else:
            here = source + row * g.row_step + (first[1] + left) * g.pixel_step
            zero_pixels(g, tile_rows, target, left)
            for i in range(left, left + inside):
                pack_pixel(g, tile_rows, low, here, target + i * g.pixel_bytes)
                here += g.pixel_step
            zero_pixels(g, tile_rows, target + (left + inside) * g.pixel_bytes, count[1] - left - inside)
        target += count[1] * g.pixel_bytes


@serial
def list_rows(g, images, rows, image_bytes, row_bytes, offsets):
    """Where each of the block's output rows begins in a panel of x, and how many steps the tile takes from there."""
    if g.stride_columns == 1 and image_bytes == rows * row_bytes and row_bytes == g.columns * g.pixel_bytes:
        offsets[0] = 0  # no border and no stride: the rows join into one
        return 1, images * rows * g.columns
    for n in range(images):
        for p in range(rows):
            offsets[n * rows + p] = n * image_bytes + p * g.stride_rows * row_bytes
    return images * rows, g.columns


@serial
def multiply_block(tile_rows, tile_vectors, low, x_block, slots, step, dy_block, panels, dy_bytes, row_offsets,
                   taps, depth, accumulator, tables, base, add):  # fmt: skip
    """Every slot times every panel of dy, added to the accumulator (panels, slots, tile)."""
    high, width = len(tile_rows), len(base)
    item = base.itemsize
    for panel in range(panels):
        for slot in range(len(slots)):
            multiply_tile(
                tile_rows, tile_vectors, low,
                x_block + slots[slot], np.int64(tables[0].ctypes.data), step,
                dy_block + panel * dy_bytes, np.int64(row_offsets.ctypes.data), taps, depth,
                accumulator + (panel * len(slots) + slot) * high * width * item, np.int64(tables[1].ctypes.data),
                np.int64(base.ctypes.data), add, width,
            )  # fmt: skip


@parallel
def sum_blocks(g, tile_rows, tile_vectors, low, x, dy, slots, x_blocks, dy_blocks, row_offsets, tables, base, sums):
    """sums (parts, groups, panels, slots, tile rows, tile columns): every part's sum over its blocks."""
    width = len(base)
    for task in numba.prange(g.parts * g.groups * g.chunks):
        part, chunk = task // g.chunks, task % g.chunks
        part, group = part // g.groups, part % g.groups
        panels = chunk * g.chunk_panels, min((chunk + 1) * g.chunk_panels, g.panels)
        thread = numba.get_thread_id()
        x_block, dy_block = np.int64(x_blocks[thread].ctypes.data), np.int64(dy_blocks[thread].ctypes.data)
        accumulator = np.int64(sums[part, group, panels[0]].ctypes.data)
        begin = g.blocks * part // g.parts
        for block in range(begin, g.blocks * (part + 1) // g.parts):
            n, p = block // g.row_blocks * g.block_images, block % g.row_blocks * g.block_rows
            images, rows = min(g.block_images, g.images - n), min(g.block_rows, g.rows - p)
            dy_bytes = (images * rows * g.columns | 1) * width * g.item
            source = dy + n * g.dy_image_step + p * g.dy_row_step + group * g.out_channels * g.item
            pack_dy(g, tile_vectors, low, source, dy_block, images, rows, panels, width, dy_bytes)
            first = p * g.stride_rows - g.padding_rows, -g.padding_columns
            count = (
                (rows - 1) * g.stride_rows + g.reach_rows + 1,
                (g.columns - 1) * g.stride_columns + g.reach_columns + 1,
            )
            image_bytes = count[0] * count[1] * g.pixel_bytes
            for i in range(images):
                source = x + (n + i) * g.image_step + group * g.channels * g.item
                target = x_block + i * image_bytes
                if g.merged:
                    steps, size = (g.row_step, g.pixel_step), (g.height, g.width)
                    copy_with_border(source, steps, size, g.pixel_bytes, first, count, target)
                else:
                    pack_x(g, tile_rows, low, source, target, first, count)
            taps, depth = list_rows(g, images, rows, image_bytes, count[1] * g.pixel_bytes, row_offsets[thread])
            multiply_block(
                tile_rows, tile_vectors, low, x_block, slots, g.stride_columns * g.pixel_bytes,
                dy_block, panels[1] - panels[0], dy_bytes, row_offsets[thread],
                taps, depth, accumulator, tables, base, block - begin,
            )  # fmt: skip


@parallel
def collect(sums, row_of, out_channels, dw):
    """dw (K, R S C) from the accumulators, the parts added in order."""
    parts, groups, panels, width = sums.shape[0], sums.shape[1], sums.shape[2], sums.shape[4]
    for task in numba.prange(groups * panels):
        group, panel = task // panels, task % panels
        lanes = min(width, out_channels - panel * width)
        first = group * out_channels + panel * width
        for i in range(len(row_of)):
            for lane in range(lanes):
                total = sums[0, group, panel, row_of[i], lane]
                for part in range(1, parts):
                    total += sums[part, group, panel, row_of[i], lane]
                dw[first + lane, i] = total


def conv2d_backward_weight(dy, x, w_shape, stride, padding, dilation, groups):
    """dw (K, R, S, C/groups)"""
    if dy.size == 0 or x.size == 0:
        return np.zeros(w_shape, dy.dtype)
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
        return np.ascontiguousarray(swapped.reshape(c, k).T).reshape(w_shape)
    return sum_products(dy, x, w_shape, (1, 1), padding, dilation, groups)


def sum_products(dy, x, w_shape, stride, padding, dilation, groups):
    """dw, from arrays with contiguous channels."""
    threads = get_num_threads()
    g, slots, row_of = make_plan(
        x.shape, x.strides, dy.shape, dy.strides, w_shape, stride, padding, dilation, groups, x.itemsize, threads
    )
    (high, _), width = tile_shape(), tile_width(x.dtype)
    pixels = g.block_images * g.block_rows * g.columns | 1
    x_panels = 1 if g.merged else -(-g.channels // high)
    x_blocks = np.zeros((threads, x_panels * g.panel_bytes + high * g.item), np.uint8)
    dy_blocks = np.zeros((threads, g.chunk_panels * pixels * width), x.dtype)
    row_offsets = np.empty((threads, g.block_images * g.block_rows), np.int64)
    sums = np.empty((g.parts, groups, g.panels, len(slots) * high, width), x.dtype)
    tables = np.arange(high) * np.array([[x.itemsize], [width * x.itemsize]])
    low, base = x.dtype.type(-np.inf), np.zeros(width, x.dtype)
    places = x.ctypes.data, dy.ctypes.data, slots, x_blocks, dy_blocks, row_offsets, tables
    sum_blocks(g, *tile_types(), low, *places, base, sums)
    dw = np.empty(w_shape, x.dtype)
    collect(sums, row_of, g.out_channels, dw.reshape(w_shape[0], -1))
    return dw
