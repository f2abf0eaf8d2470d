"""norm - ReLU - 3x3 convolution by Winograd's F(4x4, 3x3) (see winograd.py), a few patches at a time in one cache.

With as few channels as a dense layer has, passes over memory between the steps would cost what the algorithm saves. So
a thread takes a portion of some 24 patches through all steps while they stay in its cache; only x and y are in memory.

    forward   z = max(scale x + shift, 0)  --B^T . B-->  V  --times U-->  M  --A^T . A-->  y, and its sums
    dx                                 dy  --B^T . B-->  V  --times U-->  M  --A^T . A-->  dz, then scale dz where z > 0
    dw        z  --B^T . B-->  V,  dy  --A . A^T-->  D,  products += V^T D;  at the end  dw = G^T products G

z, zero outside the image, is computed for a strip of patches: 6 rows of pixels around patches that lie side by side.
V, M and D are (36, patches, channels), for a chunk of channels at a time where there are many. What is summed over
pixels is cut into parts by shape alone, so that the number of threads changes no bit of the result.
"""

import math
from typing import NamedTuple

import numba
import numpy as np

from ..convolution.blocks import copy_with_border, divide_evenly, image_part
from ..convolution.winograd import (
    ITEM,
    PATCH,
    POINTS,
    REACH,
    VECTOR,
    filter_points,
    patch_grid,
    patch_place,
    transform_back_weights,
)
from ..convolution.winograd_transform import transform_gradient, transform_input, transform_output
from ..layout import deliver, odd_lines, round_up
from ..llvm import zero_bytes
from ..norm import through_moments
from ..norm_rows import activate, copy_and_sum, through_norm_relu
from ..product import NOTHING, make_scratch, multiply, row_table
from ..rows import addresses, pixels, result
from ..runtime import parallel, serial
from ..tile import tile_shape, tile_types, tile_width

PORTION = 24  # patches: V, M and the weights of one point after the other share a second-level cache
DEPTH = 64  # input channels of V at most,
WIDTH = 2  # and panels of M in the input gradient
HEIGHT = 48  # input channels of V in the weight gradient, but for what fills whole tiles
TASKS = 128  # that share the patches in the forward pass and for dx, each with its own sums
PARTS = 8  # of the patches, each with its own weight gradient,
PARTS_BYTES = 3 << 19  # if they take no more memory than this


class Plan(NamedTuple):
    """Sizes of the image in pixels, of its grid in patches; bytes of a row (a patch's) and of a point of V and of M."""

    height: int
    width: int
    rows: int
    columns: int
    patches: int
    portion: int
    v_row: int
    v_point: int
    m_row: int
    m_point: int


@serial
def strip_at(g, index, end):
    """The strip from patch `index` to the end of its row or `end`: image's first pixel, (row, column), its patches."""
    n, row, column = patch_place(index, (g.rows, g.columns))
    return n * g.height * g.width, (row, column), min(g.columns - column // PATCH, end - index)


@serial
def activated_strip(low, g, index, end, x, x_step, channels, scale, shift, strip):
    """z for the pixels around a strip of patches, rows of v_row bytes each; how many patches."""
    image, (row, column), count = strip_at(g, index, end)
    wide = PATCH * count + 2
    left, inside = image_part(column - 1, wide, g.width)
    for r in range(row - 1, row - 1 + REACH):
        if r < 0 or r >= g.height:
            zero_bytes(strip, wide * g.v_row)
        else:
            zero_bytes(strip, left * g.v_row)
            source = x + (image + r * g.width + column - 1 + left) * x_step
            activate(low, source, x_step, strip + left * g.v_row, g.v_row, inside, channels, scale, shift)
            zero_bytes(strip + (left + inside) * g.v_row, (wide - left - inside) * g.v_row)
        strip += wide * g.v_row
    return count


@serial
def padded_strip(g, index, end, dy, dy_step, strip):
    """dy for the pixels around a strip of patches; how many patches."""
    image, (row, column), count = strip_at(g, index, end)
    steps, size = (g.width * dy_step, dy_step), (REACH, PATCH * count + 2)
    copy_with_border(dy + image * dy_step, steps, (g.height, g.width), dy_step, (row - 1, column - 1), size, strip)
    return count


@serial
def transform_strip(g, lanes, first, here, pixel, vectors, strip, v):
    """V of the `here` patches of a strip whose pixels are `pixel` bytes apart, from patch `first` of v on."""
    for i in range(here):
        transform_input(
            strip + i * PATCH * pixel, (PATCH * here + 2) * pixel, pixel,
            v + (first + i) * g.v_row, 6 * g.v_point, g.v_point, vectors, lanes * ITEM,
        )  # fmt: skip


@serial
def transform_activated(low, g, lanes, first, count, x, x_step, channels, scale, shift, strip, v):
    """V of z = max(scale x + shift, 0)"""
    done = 0
    while done < count:
        here = activated_strip(low, g, first + done, first + count, x, x_step, channels, scale, shift, strip)
        transform_strip(g, lanes, done, here, g.v_row, -(-channels * ITEM // VECTOR), strip, v)
        done += here


@serial
def transform_dy(g, lanes, first, count, dy, dy_step, strip, v):
    """V of dy"""
    done = 0
    while done < count:
        here = padded_strip(g, first + done, first + count, dy, dy_step, strip)
        transform_strip(g, lanes, done, here, dy_step, g.v_row // VECTOR, strip, v)
        done += here


@serial
def transform_dy_patches(g, first, count, dy, dy_step, strip, d, panel):
    """D of dy, in panels `panel` bytes apart of rows of m_row bytes."""
    done = 0
    while done < count:
        here = padded_strip(g, first + done, first + count, dy, dy_step, strip)
        row = (PATCH * here + 2) * dy_step
        for i in range(here):
            transform_gradient(
                strip + row + (1 + i * PATCH) * dy_step, row, dy_step,
                d + (done + i) * g.m_row, 6 * g.m_point, g.m_point, -(-dy_step // VECTOR), panel,
            )  # fmt: skip
        done += here


@serial
def transform_strip_back(g, m, count, vectors, strip, nothing):
    """A^T M A of the patches of a strip, as four rows of pixels of m_row bytes each."""
    for i in range(count):
        transform_output(
            m + i * g.m_row, 6 * g.m_point, g.m_point, strip + i * PATCH * g.m_row, PATCH * count * g.m_row, g.m_row,
            vectors, np.int64(nothing.ctypes.data), np.float32(-np.inf),
        )  # fmt: skip


@serial
def add_sums(low, g, first, count, m, strip, y, y_step, channels, pivot, nothing, sums):
    """y from M, and its sums. pivot, sums: addresses."""
    done = 0
    while done < count:
        image, (row, column), here = strip_at(g, first + done, first + count)
        transform_strip_back(g, m + done * g.m_row, here, g.m_row // VECTOR, strip, nothing)
        for r in range(min(PATCH, g.height - row)):
            copy_and_sum(
                low, strip + r * PATCH * here * g.m_row, g.m_row,
                y + (image + (row + r) * g.width + column) * y_step, y_step,
                min(PATCH * here, g.width - column), channels, pivot, sums, sums + channels * 8,
            )  # fmt: skip
        done += here


@serial
def add_dx(low, g, first, count, m, strip, x, x_step, dx, dx_step, channels, term, term_step, nothing, sums, add):
    """dx from M, and its sums. term: address of scale, shift and mean, so many bytes apart."""
    done = 0
    while done < count:
        image, (row, column), here = strip_at(g, first + done, first + count)
        transform_strip_back(g, m + done * g.m_row, here, -(-channels * ITEM // VECTOR), strip, nothing)
        for r in range(min(PATCH, g.height - row)):
            pixel = image + (row + r) * g.width + column
            through_norm_relu(
                low, strip + r * PATCH * here * g.m_row, g.m_row, x + pixel * x_step, x_step,
                dx + pixel * dx_step, dx_step, min(PATCH * here, g.width - column), channels,
                term, term + term_step, term + 2 * term_step, sums, sums + term_step // ITEM * 8, add,
            )  # fmt: skip
        done += here


@serial
def start(arrays, thread):
    """The address of a thread's array."""
    return np.int64(arrays[thread].ctypes.data)


@parallel
def forward_patches(tile_rows, tile_vectors, low, g, x, x_step, y, y_step, terms, pivot, u, rows, depth, nothing,
                    scratch, sums):  # fmt: skip
    """terms (2, C): scale and shift; u (36, panels, C, lanes); rows (2, portion): of V and M; sums (tasks, 2, K)."""
    channels, panels, lanes = terms.shape[1], u.shape[1], u.shape[3]
    portions, tasks, base = -(-g.patches // g.portion), len(sums), nothing[:lanes]
    for task in numba.prange(tasks):
        thread = numba.get_thread_id()
        strip, v, m = start(scratch[0], thread), start(scratch[1], thread), start(scratch[2], thread)
        for first in range(portions * task // tasks * g.portion, portions * (task + 1) // tasks * g.portion, g.portion):
            count = min(g.portion, g.patches - first)
            for c in range(0, channels, depth):
                few, scale = min(depth, channels - c), np.int64(terms.ctypes.data) + c * ITEM
                transform_activated(
                    low, g, lanes, first, count, x + c * ITEM, x_step, few, scale, scale + channels * ITEM, strip, v
                )
                for point in range(POINTS):
                    multiply(
                        tile_rows, tile_vectors, low, v + point * g.v_point, rows[0], ITEM, count,
                        np.int64(u[point].ctypes.data) + c * lanes * ITEM, u.strides[1], panels, few,
                        m + point * g.m_point, rows[1], lanes * ITEM, c, base, NOTHING,
                    )  # fmt: skip
            add_sums(
                low, g, first, count, m, strip, y, y_step, sums.shape[2],
                np.int64(pivot.ctypes.data), nothing, start(sums, task),
            )  # fmt: skip


@parallel
def input_patches(tile_rows, tile_vectors, low, g, dy, dy_step, x, x_step, dx, dx_step, add, terms, u, rows, width,
                  nothing, scratch, sums):  # fmt: skip
    """terms (3, C): scale, shift and mean; u (36, panels, K, lanes); rows as above; sums (tasks, 2, C)."""
    channels, panels, depth, lanes = terms.shape[1], u.shape[1], u.shape[2], u.shape[3]
    portions, tasks, base = -(-g.patches // g.portion), len(sums), nothing[:lanes]
    for task in numba.prange(tasks):
        thread = numba.get_thread_id()
        strip, v, m = start(scratch[0], thread), start(scratch[1], thread), start(scratch[2], thread)
        for first in range(portions * task // tasks * g.portion, portions * (task + 1) // tasks * g.portion, g.portion):
            count = min(g.portion, g.patches - first)
            transform_dy(g, lanes, first, count, dy, dy_step, strip, v)
            for panel in range(0, panels, width):
                few, c = min(width, panels - panel), panel * lanes
                for point in range(POINTS):
                    multiply(
                        tile_rows, tile_vectors, low, v + point * g.v_point, rows[0], ITEM, count,
                        np.int64(u[point, panel].ctypes.data), u.strides[1], few, depth,
                        m + point * g.m_point, rows[1], lanes * ITEM, 0, base, NOTHING,
                    )  # fmt: skip
                add_dx(
                    low, g, first, count, m, strip, x + c * ITEM, x_step, dx + c * ITEM, dx_step,
                    min(few * lanes, channels - c), np.int64(terms.ctypes.data) + c * ITEM, channels * ITEM, nothing,
                    start(sums, task) + c * 8, add,
                )  # fmt: skip


@parallel
def weight_patches(tile_rows, tile_vectors, low, g, dy, dy_step, x, x_step, terms, rows, chunk, nothing, scratch,
                   products):  # fmt: skip
    """terms (2, C); rows (2, chunk): of V^T and of the products (parts, 36, panels, C, lanes)."""
    channels, (parts, _, panels, high, lanes) = terms.shape[1], products.shape
    portions, chunks, panel = -(-g.patches // g.portion), -(-channels // chunk), g.portion * g.m_row
    for task in numba.prange(parts * chunks):
        part, c = task // chunks, task % chunks * chunk
        few, scale = min(chunk, channels - c), np.int64(terms.ctypes.data) + c * ITEM
        thread = numba.get_thread_id()
        strip, v, d = start(scratch[0], thread), start(scratch[1], thread), start(scratch[2], thread)
        for first in range(portions * part // parts * g.portion, portions * (part + 1) // parts * g.portion, g.portion):
            count = min(g.portion, g.patches - first)
            transform_dy_patches(g, first, count, dy, dy_step, strip, d, panel)
            transform_activated(
                low, g, lanes, first, count, x + c * ITEM, x_step, few, scale, scale + channels * ITEM, strip, v
            )
            for point in range(POINTS):
                multiply(
                    tile_rows, tile_vectors, low, v + point * g.v_point, rows[0], g.v_row, few,
                    d + point * g.m_point, panel, panels, count,
                    start(products[part], point) + c * lanes * ITEM, rows[1], high * lanes * ITEM, 1, nothing, NOTHING,
                )  # fmt: skip


def make_plan(shape, v_row, m_row, panels=1):
    """v_row, m_row: bytes that a patch takes in one of the 36 points of V and in `panels` panels of M or D."""
    (n, height, width, _), (rows, columns) = shape, patch_grid(shape[1:3])
    portion = round_up(PORTION, tile_shape()[0])
    points = odd_lines(portion * v_row), odd_lines(panels * portion * m_row)
    return Plan(height, width, rows, columns, n * rows * columns, portion, v_row, points[0], m_row, points[1])


def scratch_of(g, pixel):
    """For each thread: a strip of pixels of so many bytes, V, and M or D."""
    strip = REACH * (PATCH * min(g.columns, g.portion) + 2) * pixel
    return make_scratch(strip), make_scratch(POINTS * g.v_point), make_scratch(POINTS * g.m_point)


def task_count(g):
    return min(-(-g.patches // g.portion), TASKS)


def forward(x, terms, w, pivot, out):
    """y (N, H, W, K) and the sums (2, K) of y - pivot and of its square. terms (2, C): scale and shift."""
    y, (k, _, _, c), u = result((*x.shape[:3], len(w)), x.dtype, out), w.shape, filter_points(w, flipped=False)
    depth = round_up(divide_evenly(c, DEPTH), VECTOR // ITEM)
    g = make_plan(x.shape, depth * ITEM, u.shape[1] * u.shape[3] * ITEM)
    sums, nothing = np.zeros((task_count(g), 2, k)), np.zeros(g.m_row // ITEM, np.float32)
    arrays = pixels(x), pixels(y)
    forward_patches(
        *tile_types(), np.float32(-np.inf), g, *addresses(*arrays), terms, pivot, u,
        row_table(g.portion, g.v_row, g.m_row), depth, nothing, scratch_of(g, max(g.v_row, g.m_row)), sums,
    )  # fmt: skip
    return deliver(y, out), sums.sum(0)


def backward(dy, moments, x, terms, w, add_to):
    """dx = scale d (or added into add_to), the sums (2, C) of d and of d (x - mean), and dw.

    moments: None, or what through_moments adds to dy; terms (3, C): scale, shift, mean
    """
    dy = through_moments(dy, *moments) if moments else np.ascontiguousarray(dy)
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
        *tile_types(), np.float32(-np.inf), g, *addresses(*arrays), int(add), terms, u,
        row_table(g.portion, g.v_row, g.m_row), width, nothing, scratch_of(g, max(g.v_row, g.m_row)), sums,
    )  # fmt: skip
    return sums.sum(0)


def backward_weight(dy, x, terms, w):
    """dw (K, 3, 3, C)"""
    (k, _, _, c), lanes, high = w.shape, tile_width(np.float32), tile_shape()[0]
    chunk, panels, tall = round_up(divide_evenly(c, HEIGHT), math.lcm(high, lanes)), -(-k // lanes), round_up(c, high)
    g = make_plan(x.shape, chunk * ITEM, lanes * ITEM, panels)
    parts = PARTS_BYTES // (POINTS * panels * tall * lanes * ITEM), g.patches // g.portion // 2
    products = np.zeros((max(1, min(PARTS, *parts)), POINTS, panels, tall, lanes), np.float32)
    arrays = pixels(dy), pixels(x)
    weight_patches(
        *tile_types(), np.float32(-np.inf), g, *addresses(*arrays), terms[:2],
        row_table(chunk, ITEM, lanes * ITEM), chunk, np.zeros(lanes, np.float32),
        scratch_of(g, max(k, chunk) * ITEM), products,
    )  # fmt: skip
    dw = np.empty((k, 3, 3, c), np.float32)
    transform_back_weights(products.sum(0), dw.reshape(k, 9, c))
    return dw
