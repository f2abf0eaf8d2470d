"""norm - ReLU - 3x3 convolution by Winograd's F(4x4, 3x3) (see winograd.py), a few patches at a time in one cache.

With as few channels as a dense layer has, passes over memory between the steps would cost what the algorithm saves. So
a thread takes a block of some 24 patches through all steps while they stay in its cache; only x and y are in memory.

    forward   z = max(scale x + shift, 0)  --B^T . B-->  V  --times U-->  M  --A^T . A-->  y, and its sums
    dx                                 dy  --B^T . B-->  V  --times U-->  M  --A^T . A-->  dz, then scale dz where z > 0
    dw        z  --B^T . B-->  V,  dy  --A . A^T-->  D,  products += V^T D;  at the end  dw = G^T products G

z, zero outside the image, is computed for a strip of patches: 6 rows of pixels around patches that lie side by side.
V, M and D are (36, patches, channels), a chunk of channels at a time. Sums over pixels are cut by shape alone.
"""

import math
from typing import NamedTuple

import numba
import numpy as np

from ..convolution.blocks import copy_with_border, divide_evenly, image_part

from ..convolution.winograd import (  # isort: skip
    ITEM, PATCH, POINTS, REACH, VECTOR, filter_points, patch_grid, patch_place, transform_back_weights,
)  # fmt: skip
from ..convolution.winograd_transform import Grid, transform_gradient, transform_input, transform_output
from ..layout import deliver, odd_lines, round_up
from ..llvm import zero_bytes
from ..norm import through_moments
from ..norm_rows import activate, copy_and_sum, through_norm_relu
from ..product import NOTHING, Panelled, Panels, make_scratch, multiply, numbers_of, row_table
from ..rows import Rows, moved, pixels, places, result, rows_of
from ..runtime import parallel, serial
from ..tile import Left, Tile, tile_shape, tile_types, tile_width

BLOCK = 24  # patches: V, M and the weights of one point after the other share a second-level cache
DEPTH, WIDTH = 64, 2  # input channels of V at most, and panels of M in the input gradient
HEIGHT = 48  # input channels of V in the weight gradient, but for what fills whole tiles
TASKS = 128  # that share the patches in the forward pass and for dx, each with its own sums
PARTS, PARTS_BYTES = 8, 3 << 19  # of the patches, each with its own weight gradient; memory of all at most


class Patches(NamedTuple):
    """Sizes of the image in pixels, of its grid in patches, of a block of patches; columns of a tile.

    v_row, m_row: bytes that a patch takes in a point of V and of M; v_point, m_point: of a whole point.
    """

    height: int
    width: int
    rows: int
    columns: int
    patches: int
    block: int
    lanes: int
    v_row: int
    v_point: int
    m_row: int
    m_point: int


class Memory(NamedTuple):
    """A thread's own: the addresses of a strip of pixels, of V, and of M or D."""

    strip: int
    v: int
    m: int


@serial
def memory_of(scratch, thread):
    strip, v, m = scratch
    return Memory(
        strip=np.int64(strip[thread].ctypes.data),
        v=np.int64(v[thread].ctypes.data),
        m=np.int64(m[thread].ctypes.data),
    )


@serial
def strip_at(g, index, end):
    """The strip from patch `index` to the end of its row or `end`: image's first pixel, (row, column), its patches."""
    n, row, column = patch_place(index, (g.rows, g.columns))
    return n * g.height * g.width, (row, column), min(g.columns - column // PATCH, end - index)


@serial
def activated_strip(low, g, patches, x, channels, terms, strip):
    """z for the pixels around the first strip of `patches`, (first, end), rows of v_row bytes; how many patches."""
    image, (row, column), count = strip_at(g, patches[0], patches[1])
    wide = PATCH * count + 2
    left, inside = image_part(column - 1, wide, g.width)
    for r in range(row - 1, row - 1 + REACH):
        if r < 0 or r >= g.height:
            zero_bytes(strip, wide * g.v_row)
        else:
            zero_bytes(strip, left * g.v_row)
            source = moved(x, image + r * g.width + column - 1 + left, 0)
            activate(low, source, Rows(at=strip + left * g.v_row, step=g.v_row), (inside, channels), terms)
            zero_bytes(strip + (left + inside) * g.v_row, (wide - left - inside) * g.v_row)
        strip += wide * g.v_row
    return count


@serial
def padded_strip(g, index, end, dy, strip):
    """dy for the pixels around a strip of patches; how many patches."""
    image, (row, column), count = strip_at(g, index, end)
    steps, size = (g.width * dy.step, dy.step), (REACH, PATCH * count + 2)
    first = row - 1, column - 1
    copy_with_border(dy.at + image * dy.step, steps, (g.height, g.width), dy.step, first, size, strip)
    return count


@serial
def transform_strip(g, first, here, pixel, vectors, memory):
    """V of the `here` patches of a strip whose pixels are `pixel` bytes apart, from patch `first` of v on."""
    for i in range(here):
        source = Grid(at=memory.strip + i * PATCH * pixel, row=(PATCH * here + 2) * pixel, column=pixel)
        target = Grid(at=memory.v + (first + i) * g.v_row, row=6 * g.v_point, column=g.v_point)
        transform_input(source, target, vectors, g.lanes * ITEM)


@serial
def transform_activated(low, g, patches, x, channels, terms, memory):
    """V of z = max(scale x + shift, 0) for `patches`, (first, count)."""
    (first, count), done = patches, 0
    while done < count:
        here = activated_strip(low, g, (first + done, first + count), x, channels, terms, memory.strip)
        transform_strip(g, done, here, g.v_row, -(-channels * ITEM // VECTOR), memory)
        done += here


@serial
def transform_dy(g, patches, dy, memory):
    """V of dy"""
    (first, count), done = patches, 0
    while done < count:
        here = padded_strip(g, first + done, first + count, dy, memory.strip)
        transform_strip(g, done, here, dy.step, g.v_row // VECTOR, memory)
        done += here


@serial
def transform_dy_patches(g, patches, dy, memory, panel):
    """D of dy, in panels `panel` bytes apart of rows of m_row bytes."""
    (first, count), done = patches, 0
    while done < count:
        here = padded_strip(g, first + done, first + count, dy, memory.strip)
        row = (PATCH * here + 2) * dy.step
        for i in range(here):
            source = Grid(at=memory.strip + row + (1 + i * PATCH) * dy.step, row=row, column=dy.step)
            target = Grid(at=memory.m + (done + i) * g.m_row, row=6 * g.m_point, column=g.m_point)
            transform_gradient(source, target, -(-dy.step // VECTOR), panel)
        done += here


@serial
def transform_strip_back(g, first, count, vectors, memory, nothing):
    """A^T M A of the patches of a strip, as four rows of pixels of m_row bytes each."""
    base, step = np.int64(nothing.ctypes.data), g.m_row
    for i in range(count):
        points = Grid(at=memory.m + (first + i) * step, row=6 * g.m_point, column=g.m_point)
        target = Grid(at=memory.strip + i * PATCH * step, row=PATCH * count * step, column=step)
        transform_output(points, target, vectors, base, np.float32(-np.inf))


@serial
def add_sums(low, g, patches, memory, y, channels, pivot, nothing, sums):
    """y from M, and its sums. pivot: an address"""
    (first, count), done = patches, 0
    while done < count:
        image, (row, column), here = strip_at(g, first + done, first + count)
        transform_strip_back(g, done, here, g.m_row // VECTOR, memory, nothing)
        for r in range(min(PATCH, g.height - row)):
            fresh = Rows(at=memory.strip + r * PATCH * here * g.m_row, step=g.m_row)
            target = moved(y, image + (row + r) * g.width + column, 0)
            copy_and_sum(low, fresh, target, (min(PATCH * here, g.width - column), channels), pivot, sums)
        done += here


@serial
def add_dx(low, g, patches, memory, x, dx, channels, terms, nothing, sums, add):
    """dx from M, and its sums. terms: scale, shift and mean"""
    (first, count), done = patches, 0
    while done < count:
        image, (row, column), here = strip_at(g, first + done, first + count)
        transform_strip_back(g, done, here, -(-channels * ITEM // VECTOR), memory, nothing)
        for r in range(min(PATCH, g.height - row)):
            fresh = Rows(at=memory.strip + r * PATCH * here * g.m_row, step=g.m_row)
            pixel, size = image + (row + r) * g.width + column, (min(PATCH * here, g.width - column), channels)
            through_norm_relu(low, fresh, moved(x, pixel, 0), moved(dx, pixel, 0), size, terms, sums, add)
        done += here


@serial
def block_of_task(task, tasks, g):
    """The first patch of a task's blocks, and the one after its last."""
    blocks = -(-g.patches // g.block)
    return blocks * task // tasks * g.block, blocks * (task + 1) // tasks * g.block


@parallel
def forward_patches(tile, plan, x, y, terms, pivot, u, rows, depth, nothing, scratch, sums):
    """terms (2, C): scale and shift; u (36, panels, C, lanes); rows (2, block): of V and M; sums (tasks, 2, K)."""
    channels, panels, base = terms.shape[1], u.shape[1], nothing[: u.shape[3]]
    tile_rows, tile_vectors, low = tile
    for task in numba.prange(len(sums)):
        g, here, memory = Patches(*plan), Tile(tile_rows, tile_vectors, low), memory_of(scratch, numba.get_thread_id())
        begin, end = block_of_task(task, len(sums), g)
        for first in range(begin, end, g.block):
            count = min(g.block, g.patches - first)
            for c in range(0, channels, depth):
                few, from_x = min(depth, channels - c), Rows(x[0] + c * ITEM, x[1])
                of_channels = moved(rows_of(terms), 0, c * ITEM)
                transform_activated(low, g, (first, count), from_x, few, of_channels, memory)
                for point in range(POINTS):
                    a = Left(at=memory.v + point * g.v_point, rows=numbers_of(rows[0]), step=ITEM)
                    at = np.int64(u[point].ctypes.data) + c * g.lanes * ITEM
                    out = Panelled(at=memory.m + point * g.m_point, rows=numbers_of(rows[1]), panel=g.lanes * ITEM)
                    multiply(here, a, count, Panels(at, u.strides[1], panels), few, out, c, base, NOTHING)
            add_sums(
                low, g, (first, count), memory, Rows(y[0], y[1]), sums.shape[2],
                np.int64(pivot.ctypes.data), nothing, rows_of(sums[task]),
            )  # fmt: skip


@parallel
def input_patches(tile, plan, arrays, add, terms, u, rows, width, nothing, scratch, sums):
    """arrays: dy, x, dx; terms (3, C): scale, shift and mean; u (36, panels, K, lanes); sums (tasks, 2, C)."""
    channels, panels, depth, base = terms.shape[1], u.shape[1], u.shape[2], nothing[: u.shape[3]]
    (tile_rows, tile_vectors, low), (at_dy, at_x, at_dx) = tile, arrays
    for task in numba.prange(len(sums)):
        g, here, memory = Patches(*plan), Tile(tile_rows, tile_vectors, low), memory_of(scratch, numba.get_thread_id())
        dy, x, dx = Rows(at_dy[0], at_dy[1]), Rows(at_x[0], at_x[1]), Rows(at_dx[0], at_dx[1])
        begin, end = block_of_task(task, len(sums), g)
        for first in range(begin, end, g.block):
            count = min(g.block, g.patches - first)
            transform_dy(g, (first, count), dy, memory)
            for panel in range(0, panels, width):
                few, c = min(width, panels - panel), panel * g.lanes
                for point in range(POINTS):
                    a = Left(at=memory.v + point * g.v_point, rows=numbers_of(rows[0]), step=ITEM)
                    b = Panels(at=np.int64(u[point, panel].ctypes.data), step=u.strides[1], count=few)
                    out = Panelled(at=memory.m + point * g.m_point, rows=numbers_of(rows[1]), panel=g.lanes * ITEM)
                    multiply(here, a, count, b, depth, out, 0, base, NOTHING)
                add_dx(
                    low, g, (first, count), memory, moved(x, 0, c * ITEM), moved(dx, 0, c * ITEM),
                    min(few * g.lanes, channels - c), moved(rows_of(terms), 0, c * ITEM), nothing,
                    moved(rows_of(sums[task]), 0, c * 8), add,
                )  # fmt: skip


@parallel
def weight_patches(tile, plan, dy, x, terms, rows, chunk, nothing, scratch, products):
    """terms (2, C); rows (2, chunk): of V^T and of the products (parts, 36, panels, C, lanes)."""
    channels, (parts, _, panels, high, lanes) = terms.shape[1], products.shape
    chunks, (tile_rows, tile_vectors, low) = -(-channels // chunk), tile
    for task in numba.prange(parts * chunks):
        g, here, memory = Patches(*plan), Tile(tile_rows, tile_vectors, low), memory_of(scratch, numba.get_thread_id())
        part, c, panel = task // chunks, task % chunks * chunk, g.block * g.m_row
        few, from_x = min(chunk, channels - c), Rows(x[0] + c * ITEM, x[1])
        of_channels, (begin, end) = moved(rows_of(terms), 0, c * ITEM), block_of_task(part, parts, g)
        for first in range(begin, end, g.block):
            count = min(g.block, g.patches - first)
            transform_dy_patches(g, (first, count), Rows(dy[0], dy[1]), memory, panel)
            transform_activated(low, g, (first, count), from_x, few, of_channels, memory)
            for point in range(POINTS):
                a = Left(at=memory.v + point * g.v_point, rows=numbers_of(rows[0]), step=g.v_row)
                b = Panels(at=memory.m + point * g.m_point, step=panel, count=panels)
                at = np.int64(products[part, point].ctypes.data) + c * lanes * ITEM
                out = Panelled(at=at, rows=numbers_of(rows[1]), panel=high * lanes * ITEM)
                multiply(here, a, few, b, count, out, 1, nothing, NOTHING)


def make_plan(shape, v_row, m_row, panels=1):
    """v_row, m_row: bytes that a patch takes in one of the 36 points of V and in `panels` panels of M or D."""
    (n, height, width, _), (rows, columns) = shape, patch_grid(shape[1:3])
    block = round_up(BLOCK, tile_shape()[0])
    return Patches(
        height=height, width=width, rows=rows, columns=columns, patches=n * rows * columns, block=block,
        lanes=tile_width(np.float32), v_row=v_row, v_point=odd_lines(block * v_row),
        m_row=m_row, m_point=odd_lines(panels * block * m_row),
    )  # fmt: skip


def scratch_of(g, pixel):
    """For each thread: a strip of pixels of so many bytes, V, and M or D."""
    strip = REACH * (PATCH * min(g.columns, g.block) + 2) * pixel
    return make_scratch(strip), make_scratch(POINTS * g.v_point), make_scratch(POINTS * g.m_point)


def task_count(g):
    return min(-(-g.patches // g.block), TASKS)


def forward(x, terms, w, pivot, out):
    """y (N, H, W, K) and the sums (2, K) of y - pivot and of its square. terms (2, C): scale and shift."""
    y, (k, _, _, c), u = result((*x.shape[:3], len(w)), x.dtype, out), w.shape, filter_points(w, flipped=False)
    depth = round_up(divide_evenly(c, DEPTH), VECTOR // ITEM)
    g = make_plan(x.shape, depth * ITEM, u.shape[1] * u.shape[3] * ITEM)
    sums, nothing = np.zeros((task_count(g), 2, k)), np.zeros(g.m_row // ITEM, np.float32)
    arrays = pixels(x), pixels(y)
    forward_patches(
        tile_types(np.float32), tuple(g), *places(*arrays), terms, pivot, u,
        row_table(g.block, g.v_row, g.m_row), depth, nothing, scratch_of(g, max(g.v_row, g.m_row)), sums,
    )  # fmt: skip
    return deliver(y, out), sums.sum(0)


def backward(dy, line, x, terms, w, add_to):
    """dx = scale d (or added into add_to), the sums (2, C) of d and of d (x - mean), and dw.

    line: None, or what through_moments adds to dy; terms (3, C): scale, shift, mean
    """
    dy = through_moments(dy, *line) if line else np.ascontiguousarray(dy)
    dx = result(x.shape, x.dtype, add_to)
    sums = backward_input(dy, x, terms, w, dx, dx is add_to)
    return dx, sums, backward_weight(dy, x, terms, w)


def backward_input(dy, x, terms, w, dx, add):
    """Fill dx, or add to it; the sums (2, C)."""
    u = filter_points(w, flipped=True)
    width = divide_evenly(u.shape[1], WIDTH)
    g = make_plan(x.shape, round_up(dy.shape[3] * ITEM, VECTOR), width * u.shape[3] * ITEM)
    sums, nothing = np.zeros((task_count(g), 2, x.shape[3])), np.zeros(g.m_row // ITEM, np.float32)
    arrays = pixels(dy), pixels(x), pixels(dx)
    input_patches(
        tile_types(np.float32), tuple(g), tuple(places(*arrays)), int(add), terms, u,
        row_table(g.block, g.v_row, g.m_row), width, nothing, scratch_of(g, max(g.v_row, g.m_row)), sums,
    )  # fmt: skip
    return sums.sum(0)


def backward_weight(dy, x, terms, w):
    """dw (K, 3, 3, C)"""
    (k, _, _, c), lanes, high = w.shape, tile_width(np.float32), tile_shape()[0]
    chunk, panels, tall = round_up(divide_evenly(c, HEIGHT), math.lcm(high, lanes)), -(-k // lanes), round_up(c, high)
    g = make_plan(x.shape, chunk * ITEM, lanes * ITEM, panels)
    parts = PARTS_BYTES // (POINTS * panels * tall * lanes * ITEM), g.patches // g.block // 2
    products = np.zeros((max(1, min(PARTS, *parts)), POINTS, panels, tall, lanes), np.float32)
    arrays = pixels(dy), pixels(x)
    weight_patches(
        tile_types(np.float32), tuple(g), *places(*arrays), terms[:2],
        row_table(chunk, ITEM, lanes * ITEM), chunk, np.zeros(lanes, np.float32),
        scratch_of(g, max(k, chunk) * ITEM), products,
    )  # fmt: skip
    dw = np.empty((k, 3, 3, c), np.float32)
    transform_back_weights(products.sum(0), dw.reshape(k, 9, c))
    return dw
