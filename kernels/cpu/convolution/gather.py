"""The engine of the forward pass and of the input gradient: every output pixel gathers its taps, tile by tile.

    out[n, p, q, :] = base + sum over taps t of x[n, p stride + row[t], q stride + column[t], :] packed[t]

Pixels outside the image count as zero. The output is cut into blocks of some 200 pixels, and maybe its channels into
chunks; each (block, chunk) is a task for a thread, in three steps:

    1. where taps reach over the edge, copy the block's part of the image with its zeros around it to a scratch buffer
    2. list the addresses of the block's pixels, of the inputs and of the output: the tile needs no regular grid
    3. multiply, in portions of the sum so small that a panel of weights stays in the first-level cache

The weights are packed before (see pack.py). But where there is one block, as in the deep layers of a net that sees one
image, each panel is needed once: it is packed in the cache, just before that, and no packed copy goes through memory.

The lists make the tile indifferent to rows, images and strides: a block may be part of an image or many small images.
"""

import functools
import itertools
from typing import NamedTuple

import numba
import numpy as np
from numba.np.unsafe.ndarray import to_fixed_tuple

from ..layout import LINE
from ..runtime import get_num_threads, parallel, serial
from ..tile import PORTION, multiply_tile, tile_shape, tile_types, tile_width
from .blocks import block_size, chunk_size, copy_with_border, divide_evenly
from .pack import fill_portion, pack

BLOCK_PIXELS = 200


class Plan(NamedTuple):
    """Everything about a call but its addresses. Steps and sizes of memory in bytes."""

    item: int
    lanes: int
    images: int
    rows: int
    columns: int
    height: int
    width: int
    image_step: int
    row_step: int
    pixel_step: int
    group_bytes: int
    padded: int
    row_low: int
    row_high: int
    column_low: int
    column_high: int
    stride_rows: int
    stride_columns: int
    out_image_step: int
    out_row_step: int
    out_pixel_step: int
    groups: int
    channels: int
    panels: int
    taps: int
    depth: int
    tap_portion: int
    depth_portion: int
    block_images: int
    block_rows: int
    chunk_panels: int
    image_blocks: int
    row_blocks: int
    chunks: int
    packs: int
    group_tasks: int


FIELDS = len(Plan._fields)


def merge_taps(offsets, step):
    """How many taps in a row read adjacent memory, if it is the same number everywhere; else 1."""
    run = 1
    while run < len(offsets) and offsets[run] - offsets[run - 1] == step:
        run += 1
    regular = all((b - a == step) == (i % run != 0) for i, (a, b) in enumerate(itertools.pairwise(offsets), 1))
    return run if regular and len(offsets) % run == 0 else 1


@functools.lru_cache(1024)
def make_plan(x_shape, x_strides, out_shape, out_strides, taps, stride, groups, item, lanes, threads):
    """The Plan, and the offset of each tap from the first input of a pixel. taps: (row, column) pairs."""
    images, height, width, c = x_shape
    _, rows, columns, k = out_shape
    depth, channels = c // groups, k // groups
    low, high = (tuple(f(axis) for axis in zip(*taps)) for f in (min, max))
    last = [(count - 1) * st + h for count, st, h in zip((rows, columns), stride, high)]
    padded = min(low) < 0 or last[0] >= height or last[1] >= width
    if padded:
        steps = ((columns - 1) * stride[1] + high[1] - low[1] + 1) * depth * item, depth * item
        offsets = [(r - low[0]) * steps[0] + (s - low[1]) * steps[1] for r, s in taps]
    else:
        steps = x_strides[1:3]
        offsets = [r * steps[0] + s * steps[1] for r, s in taps]
    run = merge_taps(offsets, depth * item)
    offsets, depth_merged = offsets[::run], depth * run
    tap_portion = max(1, PORTION // depth_merged)
    block_images, block_rows = block_size(images, rows, columns, BLOCK_PIXELS)
    image_blocks, row_blocks = -(-images // block_images), -(-rows // block_rows)
    panels = -(-channels // lanes)
    chunk_panels = chunk_size(image_blocks * row_blocks * groups, panels, threads)
    plan = Plan(
        item, lanes, images, rows, columns, height, width, *x_strides[:3], depth * item, int(padded),
        low[0], high[0], low[1], high[1], *stride, *out_strides[:3], groups, channels, panels,
        len(offsets), depth_merged, tap_portion, divide_evenly(depth_merged, PORTION),
        block_images, block_rows, chunk_panels, image_blocks, row_blocks,
        -(-panels // chunk_panels), int(image_blocks * row_blocks == 1),
        image_blocks * row_blocks * -(-panels // chunk_panels),
    )  # fmt: skip
    return plan, np.array(plan, np.int64), np.array(offsets, np.int64)


@serial
def list_pixels(g, source, steps, target, images, rows, spare, tile_rows, table):
    """Addresses of the block's pixels, filled up to whole tiles with a pixel that is computed again into `spare`.

    steps: bytes between images, rows and pixels at the source; table (2, pixels): of the first inputs, of the outputs.
    """
    count = 0
    for n in range(images):
        for p in range(rows):
            here = source + n * steps[0] + p * g.stride_rows * steps[1]
            there = target + n * g.out_image_step + p * g.out_row_step
            for q in range(g.columns):
                table[0, count] = here + q * g.stride_columns * steps[2]
                table[1, count] = there + q * g.out_pixel_step
                count += 1
    while count % len(tile_rows):
        table[0, count] = table[0, count - 1]
        table[1, count] = spare
        count += 1
    return count


@serial
def multiply_block(g, tile_rows, tile_vectors, clips, table, count, panels, filters, bias, offsets):
    """The listed pixels times the panels first .. end, portion by portion of the sum.

    clips: lower bound of the finished sum (0 for ReLU), and of the unfinished (minus infinity).
    filters: the address of the packed weights; or of those to be packed, their Filters' fields, and where to pack them.
    """
    row, spacing = g.lanes * g.item, table.shape[1] * 8
    given, depth_of_tap, steps, taps_of_filter, portion = filters
    for t in range(0, g.taps, g.tap_portion):
        for k in range(0, g.depth, g.depth_portion):
            taps, depth = min(g.tap_portion, g.taps - t), min(g.depth_portion, g.depth - k)
            clip = clips[0] if t + taps == g.taps and k + depth == g.depth else clips[1]
            begin = t * g.depth + k
            for panel in range(panels[0], panels[1]):
                shift, lanes = panel * row, g.channels - panel * g.lanes
                weights = given + panel * g.taps * g.depth * row + begin * row
                if g.packs:
                    weights = portion
                    fill_portion(
                        tile_vectors, clip, portion, row, given + panel * g.lanes * steps[1], steps, taps_of_filter,
                        depth_of_tap, begin, begin + taps * depth, min(g.lanes, lanes), g.item,
                    )  # fmt: skip
                for i in range(0, count, len(tile_rows)):
                    listed = np.int64(table.ctypes.data) + i * 8
                    multiply_tile(
                        tile_rows, tile_vectors, clip,
                        k * g.item, listed, g.item,
                        weights, np.int64(offsets.ctypes.data) + t * 8, taps, depth,
                        shift, listed + spacing, np.int64(bias.ctypes.data) + shift,
                        begin, lanes,
                    )  # fmt: skip


@serial
def gather_block(g, task, tile_rows, tile_vectors, clips, x, out, filters, bias, offsets, scratch, table):
    """The three steps for one task."""
    block, chunk = task // g.chunks, task % g.chunks
    block, p = block // g.row_blocks, block % g.row_blocks * g.block_rows
    group, n = block // g.image_blocks, block % g.image_blocks * g.block_images
    images, rows = min(g.block_images, g.images - n), min(g.block_rows, g.rows - p)
    there = np.int64(scratch.ctypes.data)
    source = x + group * g.group_bytes + n * g.image_step
    steps = g.image_step, g.row_step, g.pixel_step
    if g.padded:
        first = p * g.stride_rows + g.row_low, g.column_low
        size = (
            (rows - 1) * g.stride_rows + g.row_high - g.row_low + 1,
            (g.columns - 1) * g.stride_columns + g.column_high - g.column_low + 1,
        )
        steps = size[0] * size[1] * g.group_bytes, size[1] * g.group_bytes, g.group_bytes
        for i in range(images):
            copy_with_border(
                source + i * g.image_step, (g.row_step, g.pixel_step), (g.height, g.width), g.group_bytes,
                first, size, there + i * steps[0],
            )  # fmt: skip
        source = there
    else:
        source += p * g.stride_rows * g.row_step
    target = out + group * g.channels * g.item + n * g.out_image_step + p * g.out_row_step
    spare = there + len(scratch) - g.panels * g.lanes * g.item
    portion = (spare - PORTION * g.lanes * g.item) & -LINE
    count = list_pixels(g, source, steps, target, images, rows, spare, tile_rows, table)
    panels = chunk * g.chunk_panels, min((chunk + 1) * g.chunk_panels, g.panels)
    given, depth, steps, taps = filters
    filters = given + group * steps[0], depth, steps, taps, portion
    multiply_block(g, tile_rows, tile_vectors, clips, table, count, panels, filters, bias[group], offsets)


@parallel
def gather_blocks(fields, tile_rows, tile_vectors, clips, x, out, filters, bias, offsets, scratch, tables):
    for task in numba.prange(len(bias) * fields[-1]):
        g, thread = Plan(*to_fixed_tuple(fields, FIELDS)), numba.get_thread_id()
        gather_block(
            g, task, tile_rows, tile_vectors, clips, x, out, filters, bias, offsets, scratch[thread], tables[thread]
        )


def gather(x, out, offsets, filters, bias, relu, stride):
    """Fill out (N, P, Q, K) from x (N, H, W, C) and Filters; offsets: of their taps, (row, column). Returns out.

    x and out may have any steps as long as the channels of a pixel are contiguous. bias (K,) or None.
    """
    groups, lanes, threads = filters.groups, tile_width(x.dtype), get_num_threads()
    g, fields, offsets = make_plan(
        x.shape, x.strides, out.shape, out.strides, tuple(offsets), stride, groups, x.itemsize, lanes, threads
    )
    base = np.zeros((groups, g.panels * lanes), x.dtype)
    if bias is not None:
        base[:, : g.channels] = bias.reshape(groups, -1)
    pixels = g.block_images * g.block_rows * g.columns + tile_shape()[0]
    scratch = np.empty((threads, scratch_bytes(g)), np.uint8)
    tables = np.empty((threads, 2, pixels), np.int64)
    clips = x.dtype.type(0 if relu else -np.inf), x.dtype.type(-np.inf)
    given = filters.w if g.packs else pack(filters)
    steps = filters.steps if g.packs else np.array((given[0].nbytes, 0, 0))
    passed = given.ctypes.data, filters.depth, steps, filters.taps
    gather_blocks(fields, *tile_types(), clips, x.ctypes.data, out.ctypes.data, passed, base, offsets, scratch, tables)
    return out


def scratch_bytes(g):
    """Room for the block's part of the image with its border, for a packed portion, and for pixels that don't count."""
    size = (g.panels + PORTION * g.packs) * g.lanes * g.item + LINE
    if not g.padded:
        return size
    rows = (g.block_rows - 1) * g.stride_rows + g.row_high - g.row_low + 1
    columns = (g.columns - 1) * g.stride_columns + g.column_high - g.column_low + 1
    return size + g.block_images * rows * columns * g.group_bytes
