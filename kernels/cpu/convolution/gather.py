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

from ...recording import address, assign, empty, is_weight, once
from ..layout import LINE
from ..rows import Rows
from ..runtime import get_num_threads, parallel, serial
from ..tasks import share
from ..tile import PORTION, Left, Out, Taps, Tile, multiply_tile, tile_shape, tile_types, tile_width
from .blocks import Blocks, Image, block_at, blocks_of, chunk_size, copy_with_border, divide_evenly, flat, image_of
from .pack import Source, fill_portion, pack

BLOCK_PIXELS = 200


class Window(NamedTuple):
    """Where the taps lie, from the output pixel times the stride: lowest and highest; and the stride."""

    row_low: int
    row_high: int
    column_low: int
    column_high: int
    row_stride: int
    column_stride: int


class Sum(NamedTuple):
    """The sum's numbers: taps, each with its depth; and how many of either are in a portion."""

    taps: int
    depth: int
    tap_portion: int
    depth_portion: int


class GatherPlan(NamedTuple):
    """Everything about a call but its addresses. channels, panels: of a group; group_bytes: of a group's pixel in x."""

    x: Image
    out: Image
    window: Window
    sum: Sum
    block: Blocks
    item: int
    lanes: int
    channels: int
    panels: int
    chunk_panels: int
    chunks: int
    group_bytes: int
    padded: int
    packs: int
    tasks: int


FIELDS = 6 + 6 + 6 + 4 + 4 + 10


@serial
def plan_of(fields):
    """The GatherPlan from the array of its numbers."""
    n = to_fixed_tuple(fields, FIELDS)
    return GatherPlan(Image(*n[:6]), Image(*n[6:12]), Window(*n[12:18]), Sum(*n[18:22]), Blocks(*n[22:26]), *n[26:])


def merge_taps(offsets, step):
    """How many taps in a row read adjacent memory, if it is the same number everywhere; else 1."""
    run = 1
    while run < len(offsets) and offsets[run] - offsets[run - 1] == step:
        run += 1
    regular = all((b - a == step) == (i % run != 0) for i, (a, b) in enumerate(itertools.pairwise(offsets), 1))
    return run if regular and len(offsets) % run == 0 else 1


@functools.lru_cache(1024)
def make_plan(x_shape, x_strides, out_shape, out_strides, taps, stride, groups, item, lanes, threads, packed):
    """The GatherPlan, and the offset of each tap from the first input of a pixel. taps: (row, column) pairs.

    packed: whether the weights are packed before in any case
    """
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
    offsets, merged = offsets[::run], depth * run
    block, panels = blocks_of(images, rows, columns, BLOCK_PIXELS), -(-channels // lanes)
    blocks = block.of_images * block.of_rows
    chunk_panels = chunk_size(blocks * groups, panels, threads)
    chunks = -(-panels // chunk_panels)
    plan = GatherPlan(
        x=image_of(x_shape, x_strides),
        out=image_of(out_shape, out_strides),
        window=Window(low[0], high[0], low[1], high[1], *stride),
        sum=Sum(len(offsets), merged, max(1, PORTION // merged), divide_evenly(merged, PORTION)),
        block=block, item=item, lanes=lanes, channels=channels, panels=panels, chunk_panels=chunk_panels,
        chunks=chunks, group_bytes=depth * item, padded=int(padded), packs=int(blocks == 1 and not packed),
        tasks=groups * blocks * chunks,
    )  # fmt: skip
    return plan, np.array(flat(plan), np.int64), np.array(offsets, np.int64)


@serial
def list_pixels(g, source, steps, target, count, spare, high, table):
    """Addresses of a block's pixels, filled up to whole tiles with a pixel that is computed again into `spare`.

    steps: bytes between images, rows and pixels at the source; count: (images, rows); table (2, pixels): of the first
    inputs, of the outputs. Returns how many.
    """
    listed = 0
    for n in range(count[0]):
        for p in range(count[1]):
            here = source + n * steps[0] + p * g.window.row_stride * steps[1]
            there = target + n * g.out.image_step + p * g.out.row_step
            for q in range(g.out.columns):
                table[0, listed] = here + q * g.window.column_stride * steps[2]
                table[1, listed] = there + q * g.out.pixel_step
                listed += 1
    while listed % high:
        table[0, listed] = table[0, listed - 1]
        table[1, listed] = spare
        listed += 1
    return listed


class Weights(NamedTuple):
    """Packed weights, by address; or filters to be packed, their steps and taps, and where to pack a portion."""

    at: int
    depth: int
    channel: int
    number: int
    portion: int


@serial
def multiply_block(g, tiles, table, count, panels, weights, taps_of_filter, bias, offsets):
    """The listed pixels times the panels first .. end, portion by portion of the sum.

    tiles: for the finished sum (0 is the lower bound for ReLU), and for the unfinished (minus infinity).
    """
    row, spacing = g.lanes * g.item, table.shape[1] * 8
    for t in range(0, g.sum.taps, g.sum.tap_portion):
        for k in range(0, g.sum.depth, g.sum.depth_portion):
            taps, depth = min(g.sum.tap_portion, g.sum.taps - t), min(g.sum.depth_portion, g.sum.depth - k)
            begin, finished = t * g.sum.depth + k, t + taps == g.sum.taps and k + depth == g.sum.depth
            tile, part = tiles[0] if finished else tiles[1], Taps(np.int64(offsets.ctypes.data) + t * 8, taps, depth)
            for panel in range(panels[0], panels[1]):
                lanes, at = g.channels - panel * g.lanes, weights.at + (panel * g.sum.taps * g.sum.depth + begin) * row
                if g.packs:
                    at, first = weights.portion, weights.at + panel * g.lanes * weights.channel
                    source = Source(at=first, channel=weights.channel, number=weights.number)
                    fill_portion(
                        tile, Rows(at, row), source, taps_of_filter, weights.depth, begin, begin + taps * depth,
                        min(g.lanes, lanes), g.item,
                    )  # fmt: skip
                for i in range(0, count, len(tile.rows)):
                    listed = np.int64(table.ctypes.data) + i * 8
                    left = Left(at=k * g.item, rows=listed, step=g.item)
                    out = Out(at=panel * row, rows=listed + spacing, lanes=lanes)
                    multiply_tile(tile, left, at, part, out, np.int64(bias.ctypes.data) + panel * row, begin)


@serial
def copy_block(g, source, first, count, target):
    """The part of the images that a block reads, with the zeros around it, to `target`; steps between its parts."""
    w = g.window
    corner = first * w.row_stride + w.row_low, w.column_low
    size = (
        (count[1] - 1) * w.row_stride + w.row_high - w.row_low + 1,
        (g.out.columns - 1) * w.column_stride + w.column_high - w.column_low + 1,
    )
    steps = size[0] * size[1] * g.group_bytes, size[1] * g.group_bytes, g.group_bytes
    for i in range(count[0]):
        copy_with_border(
            source + i * g.x.image_step, (g.x.row_step, g.x.pixel_step), (g.x.rows, g.x.columns), g.group_bytes,
            corner, size, target + i * steps[0],
        )  # fmt: skip
    return steps


@serial
def gather_block(g, task, tiles, x, out, filters, bias, offsets, scratch, table):
    """The three steps for one task."""
    block, chunk = task // g.chunks, task % g.chunks
    group, block = block // (g.block.of_images * g.block.of_rows), block % (g.block.of_images * g.block.of_rows)
    (n, p), count = block_at(g.block, block, g.out.images, g.out.rows)
    there = np.int64(scratch.ctypes.data)
    source = x + group * g.group_bytes + n * g.x.image_step
    steps = g.x.image_step, g.x.row_step, g.x.pixel_step
    if g.padded:
        steps, source = copy_block(g, source, p, count, there), there
    else:
        source += p * g.window.row_stride * g.x.row_step
    target = out + group * g.channels * g.item + n * g.out.image_step + p * g.out.row_step
    spare = there + len(scratch) - g.panels * g.lanes * g.item
    portion = (spare - PORTION * g.lanes * g.item) & -LINE
    listed = list_pixels(g, source, steps, target, count, spare, len(tiles[0].rows), table)
    panels = chunk * g.chunk_panels, min((chunk + 1) * g.chunk_panels, g.panels)
    at, depth, steps_of_w, taps = filters
    weights = Weights(at + group * steps_of_w[0], depth, steps_of_w[1], steps_of_w[2], portion)
    multiply_block(g, tiles, table, listed, panels, weights, taps, bias[group], offsets)


@serial
def gather_task(task, fields, tile, low, x, out, filters, bias, offsets, scratch, tables):
    thread, tiles = numba.get_thread_id(), (Tile(tile[0], tile[1], low), Tile(*tile))
    gather_block(plan_of(fields), task, tiles, x, out, filters, bias, offsets, scratch[thread], tables[thread])


@parallel
def gather_blocks(fields, tile, low, x, out, filters, bias, offsets, scratch, tables):
    share(gather_task, fields[-1], (fields, tile, low, x, out, filters, bias, offsets, scratch, tables))


def gather(x, out, offsets, filters, bias, relu, stride):
    """Fill out (N, P, Q, K) from x (N, H, W, C) and Filters; offsets: of their taps, (row, column). Returns out.

    x and out may have any steps as long as the channels of a pixel are contiguous. bias (K,) or None.
    """
    groups, lanes, threads = filters.groups, tile_width(x.dtype), get_num_threads()
    g, fields, offsets = make_plan(
        x.shape, x.strides, out.shape, out.strides, tuple(offsets), stride, groups, x.itemsize, lanes, threads,
        is_weight(filters.w),
    )  # fmt: skip
    base = np.zeros((groups, g.panels * lanes), x.dtype)
    if bias is not None:
        assign(base[:, : g.channels], bias.reshape(groups, -1))
    pixels = g.block.images * g.block.rows * g.out.columns + tile_shape()[0]
    scratch = empty((threads, scratch_bytes(g)), np.uint8)
    tables = empty((threads, 2, pixels), np.int64)
    given = filters.w if g.packs else once(filters.w, pack, filters)
    steps = filters.steps if g.packs else np.array((given[0].nbytes, 0, 0))
    passed, low = (address(given), filters.depth, steps, filters.taps), x.dtype.type(0 if relu else -np.inf)
    addresses = address(x), address(out)
    gather_blocks(fields, tile_types(x.dtype), low, *addresses, passed, base, offsets, scratch, tables)
    return out


def scratch_bytes(g):
    """Room for the block's part of the image with its border, for a packed portion, and for pixels that don't count."""
    size = (g.panels + PORTION * g.packs) * g.lanes * g.item + LINE
    if not g.padded:
        return size
    w = g.window
    rows = (g.block.rows - 1) * w.row_stride + w.row_high - w.row_low + 1
    columns = (g.out.columns - 1) * w.column_stride + w.column_high - w.column_low + 1
    return size + g.block.images * rows * columns * g.group_bytes
