"""The engine of the forward pass and of the input gradient: every output pixel gathers its taps, tile by tile.

    out[n, p, q, :] = base + sum over taps t of x[n, p stride + row[t], q stride + column[t], :] packed[t]

Pixels outside the image count as zero. The output is cut into blocks of some 200 pixels, and maybe its channels into
chunks; each (block, chunk) is a task for a thread, in three steps:

    1. where taps reach over the edge, copy the block's part of the image with its zeros around it to a scratch buffer
    2. list the addresses of the block's pixels, of the inputs and of the output: the tile needs no regular grid
    3. multiply, in portions of the sum so small that a panel of weights stays in the first-level cache

The lists make the tile indifferent to rows, images and strides: a block may be part of an image or many small images.
"""

import functools
from typing import NamedTuple

import numba
import numpy as np

from .blocks import block_size, copy_with_border, divide_evenly
from .runtime import get_num_threads, parallel, serial
from .tile import multiply_tile, tile_shape, tile_types

BLOCK_PIXELS = 200
PORTION = 384  # steps of the sum in one portion: 24 kB of weights at 16 floats


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


def chunk_size(blocks, panels, threads):
    """Panels in a task: all, unless there are too few blocks to keep the threads equally busy."""
    for chunks in range(1, panels + 1):
        tasks = blocks * chunks
        if tasks >= 0.9 * threads * -(-tasks // threads):
            break
    return divide_evenly(panels, -(-panels // chunks))


def merge_taps(offsets, step):
    """How many taps in a row read adjacent memory, if it is the same number everywhere; else 1."""
    run = 1
    while run < len(offsets) and offsets[run] - offsets[run - 1] == step:
        run += 1
    regular = all((b - a == step) == (i % run != 0) for i, (a, b) in enumerate(zip(offsets, offsets[1:]), 1))
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
        item, images, rows, columns, height, width, *x_strides[:3], depth * item, int(padded),
        low[0], high[0], low[1], high[1], *stride, *out_strides[:3], groups, channels, panels,
        len(offsets), depth_merged, tap_portion, divide_evenly(depth_merged, PORTION),
        block_images, block_rows, chunk_panels, image_blocks, row_blocks, -(-panels // chunk_panels),
    )  # fmt: skip
    return plan, np.array(offsets, np.int64)


@serial
def list_pixels(g, source, image_step, row_step, pixel_step, target, images, rows, spare, from_x, to_out, tile_rows):
    """Addresses of the block's pixels, filled up to whole tiles with a pixel that is computed again into `spare`."""
    count = 0
    for n in range(images):
        for p in range(rows):
            here = source + n * image_step + p * g.stride_rows * row_step
            there = target + n * g.out_image_step + p * g.out_row_step
            for q in range(g.columns):
                from_x[count] = here + q * g.stride_columns * pixel_step
                to_out[count] = there + q * g.out_pixel_step
                count += 1
    whole = -(-count // tile_rows) * tile_rows
    for i in range(count, whole):
        from_x[i] = from_x[count - 1]
        to_out[i] = spare
    return whole


@serial
def multiply_block(g, tile_rows, tile_vectors, limits, count, from_x, to_out, packed, bias, offsets, first_panel, end_panel):
    """The listed pixels times the panels of a chunk, portion by portion. limits: what the last portion is clipped to, and the others."""
    lanes = packed.shape[-1]
    panel_bytes = g.taps * g.depth * lanes * g.item
    for t in range(0, g.taps, g.tap_portion):
        for k in range(0, g.depth, g.depth_portion):
            taps, depth = min(g.tap_portion, g.taps - t), min(g.depth_portion, g.depth - k)
            last = t + taps == g.taps and k + depth == g.depth
            clip = limits[0] if last else limits[1]
            weights = np.int64(packed.ctypes.data) + (t * g.depth + k) * lanes * g.item
            for panel in range(first_panel, end_panel):
                shift = panel * lanes * g.item
                for i in range(0, count, len(tile_rows)):
                    multiply_tile(
                        tile_rows, tile_vectors, clip,
                        k * g.item, np.int64(from_x.ctypes.data) + i * 8, g.item,
                        weights + panel * panel_bytes, np.int64(offsets.ctypes.data) + t * 8, taps, depth,
                        shift, np.int64(to_out.ctypes.data) + i * 8, np.int64(bias.ctypes.data) + shift,
                        t + k, g.channels - panel * lanes,
                    )  # fmt: skip


@parallel
def gather_blocks(g, tile_rows, tile_vectors, limits, x, out, packed, bias, offsets, scratch, tables):
    for task in numba.prange(g.groups * g.image_blocks * g.row_blocks * g.chunks):
        block, chunk = task // g.chunks, task % g.chunks
        block, row_block = block // g.row_blocks, block % g.row_blocks
        group, image_block = block // g.image_blocks, block % g.image_blocks
        n, p = image_block * g.block_images, row_block * g.block_rows
        images, rows = min(g.block_images, g.images - n), min(g.block_rows, g.rows - p)
        thread = numba.get_thread_id()
        source = x + group * g.group_bytes + n * g.image_step
        target = out + group * g.channels * g.item + n * g.out_image_step + p * g.out_row_step
        row_step, pixel_step, image_step = g.row_step, g.pixel_step, g.image_step
        if g.padded:
            columns = (g.columns - 1) * g.stride_columns + g.column_high - g.column_low + 1
            count = (rows - 1) * g.stride_rows + g.row_high - g.row_low + 1
            pixel_step, row_step = g.group_bytes, columns * g.group_bytes
            image_step = count * row_step
            there = np.int64(scratch[thread].ctypes.data)
            first = p * g.stride_rows + g.row_low, g.column_low
            for i in range(images):
                copy_with_border(
                    source + i * g.image_step, (g.row_step, g.pixel_step), (g.height, g.width), g.group_bytes,
                    first, (count, columns), there + i * image_step,
                )  # fmt: skip
            source = there
        else:
            source += p * g.stride_rows * row_step
        spare = np.int64(scratch[thread].ctypes.data) + scratch.shape[1] - g.panels * packed.shape[-1] * g.item
        from_x, to_out = tables[thread, 0], tables[thread, 1]
        count = list_pixels(
            g, source, image_step, row_step, pixel_step, target, images, rows, spare, from_x, to_out, len(tile_rows)
        )
        first_panel = chunk * g.chunk_panels
        end_panel = min(first_panel + g.chunk_panels, g.panels)
        multiply_block(
            g, tile_rows, tile_vectors, limits, count, from_x, to_out, packed[group], bias[group], offsets, first_panel, end_panel
        )


def gather(x, out, taps, packed, bias, relu, stride):
    """Fill out (N, P, Q, K) from x (N, H, W, C) and packed weights; taps are their (row, column) offsets. Returns out.

    x and out may have any steps as long as the channels of a pixel are contiguous. bias (K,) or None.
    """
    groups, panels, _, _, lanes = packed.shape
    threads = get_num_threads()
    g, offsets = make_plan(
        x.shape, x.strides, out.shape, out.strides, tuple(taps), stride, groups, x.itemsize, lanes, threads
    )
    base = np.zeros((groups, panels * lanes), x.dtype)
    if bias is not None:
        base[:, : g.channels] = bias.reshape(groups, -1)
    pixels = g.block_images * g.block_rows * g.columns + tile_shape()[0]
    scratch = np.empty((threads, scratch_bytes(g) + base.itemsize * panels * lanes), np.uint8)
    tables = np.empty((threads, 2, pixels), np.int64)
    limits = x.dtype.type(0), x.dtype.type(-np.inf)
    limits = limits if relu else limits[1:] * 2
    gather_blocks(g, *tile_types(), limits, x.ctypes.data, out.ctypes.data, packed, base, offsets, scratch, tables)
    return out


def scratch_bytes(g):
    """Room for the block's part of the image with its border."""
    if not g.padded:
        return 0
    rows = (g.block_rows - 1) * g.stride_rows + g.row_high - g.row_low + 1
    columns = (g.columns - 1) * g.stride_columns + g.column_high - g.column_low + 1
    return g.block_images * rows * columns * g.group_bytes
