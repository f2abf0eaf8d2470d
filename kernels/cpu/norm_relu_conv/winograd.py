"""norm - ReLU - 3x3 convolution by Winograd's F(4x4, 3x3) (see winograd.py), a few patches at a time in one cache.

With as few channels as a dense layer has, passes over memory between the steps would cost what the algorithm saves. So
a thread takes a block of some 24 patches through all steps while they stay in its cache; only x and y are in memory.

    forward   z = max(scale x + shift, 0)  --B^T . B-->  V  --times U-->  M  --A^T . A-->  y, and its sums
    dx                                 dy  --B^T . B-->  V  --times U-->  M  --A^T . A-->  dz, then scale dz where z > 0
    dw        z  --B^T . B-->  V,  dy  --A . A^T-->  D,  products += V^T D;  at the end  dw = G^T products G

z, zero outside the image, is computed for a strip of patches: 6 rows of pixels around patches side by side. V, M and D
are (36, patches, channels), a chunk of channels at a time. Sums over pixels are cut by shape alone.
"""

import math

import numba
import numpy as np

from ...recording import contiguous, once, summed, zeros
from ..convolution.blocks import divide_evenly

from ..convolution.winograd import (  # isort: skip
    ITEM, PATCH, POINTS, REACH, VECTOR, filter_points, patch_grid, transform_back_weights,
)  # fmt: skip
from ..layout import deliver, odd_lines, round_up
from ..norm import through_moments
from ..product import NOTHING, Panelled, Panels, make_scratch, multiply, numbers_of, row_table
from ..rows import Rows, moved, pixels, places, result, rows_of
from ..runtime import parallel, serial
from ..tasks import share
from ..tile import Left, Tile, tile_shape, tile_types, tile_width
from .strips import (
    Patches,
    add_dx,
    add_sums,
    memory_of,
    transform_activated,
    transform_dy,
    transform_dy_patches,
)

BLOCK = 24  # patches: V, M and the weights of one point after the other share a second-level cache
DEPTH, WIDTH = 64, 2  # input channels of V at most, and panels of M in the input gradient
HEIGHT = 48  # input channels of V in the weight gradient, but for what fills whole tiles
TASKS = 128  # that share the patches in the forward pass and for dx, each with its own sums
PARTS, PARTS_BYTES = 8, 3 << 19  # of the patches, each with its own weight gradient; memory of all at most


@serial
def block_of_task(task, tasks, g):
    """The first patch of a task's blocks, and the one after its last."""
    blocks = -(-g.patches // g.block)
    return blocks * task // tasks * g.block, blocks * (task + 1) // tasks * g.block


@serial
def forward_task(task, tile, plan, x, y, terms, pivot, u, rows, depth, nothing, scratch, sums):
    """terms (2, C): scale and shift; u (36, panels, C, lanes); rows (2, block): of V and M; sums (tasks, 2, K)."""
    channels, panels, base, low = terms.shape[1], u.shape[1], nothing[: u.shape[3]], tile[2]
    g, here, memory = Patches(*plan), Tile(*tile), memory_of(scratch, numba.get_thread_id())
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
            low, g, (first, count), memory, Rows(*y), sums.shape[2],
            np.int64(pivot.ctypes.data), nothing, rows_of(sums[task]),
        )  # fmt: skip


@parallel
def forward_patches(tile, plan, x, y, terms, pivot, u, rows, depth, nothing, scratch, sums):
    share(forward_task, len(sums), (tile, plan, x, y, terms, pivot, u, rows, depth, nothing, scratch, sums))


@serial
def input_task(task, tile, plan, arrays, add, terms, u, rows, width, nothing, scratch, sums):
    """arrays: dy, x, dx; terms (3, C): scale, shift and mean; u (36, panels, K, lanes); sums (tasks, 2, C)."""
    channels, panels, depth, base = terms.shape[1], u.shape[1], u.shape[2], nothing[: u.shape[3]]
    g, here, memory, low = Patches(*plan), Tile(*tile), memory_of(scratch, numba.get_thread_id()), tile[2]
    dy, x, dx = Rows(*arrays[0]), Rows(*arrays[1]), Rows(*arrays[2])
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
def input_patches(tile, plan, arrays, add, terms, u, rows, width, nothing, scratch, sums):
    share(input_task, len(sums), (tile, plan, arrays, add, terms, u, rows, width, nothing, scratch, sums))


@serial
def weight_task(task, tile, plan, dy, x, terms, rows, chunk, nothing, scratch, products):
    """terms (2, C); rows (2, chunk): of V^T and of the products (parts, 36, panels, C, lanes)."""
    channels, (parts, _, panels, high, lanes) = terms.shape[1], products.shape
    g, here, memory = Patches(*plan), Tile(*tile), memory_of(scratch, numba.get_thread_id())
    chunks, panel, low = -(-channels // chunk), g.block * g.m_row, tile[2]
    part, c = task // chunks, task % chunks * chunk
    few, from_x = min(chunk, channels - c), Rows(x[0] + c * ITEM, x[1])
    of_channels, (begin, end) = moved(rows_of(terms), 0, c * ITEM), block_of_task(part, parts, g)
    for first in range(begin, end, g.block):
        count = min(g.block, g.patches - first)
        transform_dy_patches(g, (first, count), Rows(*dy), memory, panel)
        transform_activated(low, g, (first, count), from_x, few, of_channels, memory)
        for point in range(POINTS):
            a = Left(at=memory.v + point * g.v_point, rows=numbers_of(rows[0]), step=g.v_row)
            b = Panels(at=memory.m + point * g.m_point, step=panel, count=panels)
            at = np.int64(products[part, point].ctypes.data) + c * lanes * ITEM
            out = Panelled(at=at, rows=numbers_of(rows[1]), panel=high * lanes * ITEM)
            multiply(here, a, few, b, count, out, 1, nothing, NOTHING)


@parallel
def weight_patches(tile, plan, dy, x, terms, rows, chunk, nothing, scratch, products):
    tasks = len(products) * -(-terms.shape[1] // chunk)
    share(weight_task, tasks, (tile, plan, dy, x, terms, rows, chunk, nothing, scratch, products))


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
    """y (N, H, W, K), and each part's sums (parts, 2, K) of y - pivot and of its square. terms (2, C): scale, shift."""
    y, (k, _, _, c), u = result((*x.shape[:3], len(w)), x.dtype, out), w.shape, once(w, filter_points, w, False)
    depth, arrays = round_up(divide_evenly(c, DEPTH), VECTOR // ITEM), (pixels(x), pixels(y))
    g = make_plan(x.shape, depth * ITEM, u.shape[1] * u.shape[3] * ITEM)
    sums, nothing = zeros((task_count(g), 2, k)), np.zeros(g.m_row // ITEM, np.float32)
    forward_patches(
        tile_types(np.float32), tuple(g), *places(*arrays), terms, pivot, u,
        row_table(g.block, g.v_row, g.m_row), depth, nothing, scratch_of(g, max(g.v_row, g.m_row)), sums,
    )  # fmt: skip
    return deliver(y, out), sums


def backward(dy, line, x, terms, w, add_to):
    """dx = scale d (or added into add_to), each part's sums (parts, 2, C) of d and of d (x - mean), and dw.

    line: None, or what through_moments adds to dy; terms (3, C): scale, shift, mean
    """
    dy = through_moments(dy, *line) if line else contiguous(dy)
    dx = result(x.shape, x.dtype, add_to)
    sums = backward_input(dy, x, terms, w, dx, dx is add_to)
    return dx, sums, backward_weight(dy, x, terms, w)


def backward_input(dy, x, terms, w, dx, add):
    """Fill dx, or add to it; each part's sums (parts, 2, C)."""
    u = filter_points(w, flipped=True)
    width = divide_evenly(u.shape[1], WIDTH)
    g = make_plan(x.shape, round_up(dy.shape[3] * ITEM, VECTOR), width * u.shape[3] * ITEM)
    sums, nothing = zeros((task_count(g), 2, x.shape[3])), np.zeros(g.m_row // ITEM, np.float32)
    arrays = pixels(dy), pixels(x), pixels(dx)
    input_patches(
        tile_types(np.float32), tuple(g), tuple(places(*arrays)), int(add), terms, u,
        row_table(g.block, g.v_row, g.m_row), width, nothing, scratch_of(g, max(g.v_row, g.m_row)), sums,
    )  # fmt: skip
    return sums


def backward_weight(dy, x, terms, w):
    """dw (K, 3, 3, C)"""
    (k, _, _, c), lanes, high = w.shape, tile_width(np.float32), tile_shape()[0]
    chunk, panels, tall = round_up(divide_evenly(c, HEIGHT), math.lcm(high, lanes)), -(-k // lanes), round_up(c, high)
    g = make_plan(x.shape, chunk * ITEM, lanes * ITEM, panels)
    parts = PARTS_BYTES // (POINTS * panels * tall * lanes * ITEM), g.patches // g.block // 2
    products = zeros((max(1, min(PARTS, *parts)), POINTS, panels, tall, lanes), np.float32)
    arrays = pixels(dy), pixels(x)
    weight_patches(
        tile_types(np.float32), tuple(g), *places(*arrays), terms[:2],
        row_table(chunk, ITEM, lanes * ITEM), chunk, np.zeros(lanes, np.float32),
        scratch_of(g, max(k, chunk) * ITEM), products,
    )  # fmt: skip
    return transform_back_weights(summed(products), k, c)
