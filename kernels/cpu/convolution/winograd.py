"""Winograd's algorithm F(4x4, 3x3): 3x3 convolution with stride 1 in a quarter of the multiplications.

(Winograd 1980; Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016.)

A 4x4 patch of the output depends on a 6x6 patch d of the input. Read both patches and the filter g as polynomials
sampled at 0, 1, -1, 2, -2 and infinity: then convolution is an elementwise product of 6x6 = 36 numbers instead of
4x4x3x3 = 144 multiplications:

    y = A^T [ (G g G^T) * (B^T d B) ] A

With C input and K output channels each of the 36 is a matrix product over channels, so that the time goes where the
register tile is at its best:

          x --B^T . B-->  V (36, patches, C) --+
                                               +--> M = V U  (36, patches, K)  --A^T . A-->  y
          w --G . G^T-->  U (36, C, K) --------+

The input gradient is the same with the flipped filter. The weight gradient is the transposed algorithm:
dw = G^T [ sum over patches of (B^T d B) * (A dy A^T) ] G. The transforms' constants up to 8 cost about one decimal
digit, so this is for float32 alone.
"""

import math
import os

import numba
import numpy as np

from ..llvm import copy_bytes
from ..runtime import get_num_threads, parallel, serial
from ..tile import PORTION, multiply_tile, tile_shape, tile_types, tile_width, vector_registers
from .blocks import chunk_size, copy_with_border, divide_evenly
from .pack import filters_of, pack
from .winograd_transform import transform_filter, transform_gradient, transform_input, transform_output, transform_sums

MODE = os.environ.get("MINIGRAD_WINOGRAD")  # "0": never, "1": wherever it applies, else: where it is faster
POINTS = 36
PATCH = 4  # rows and columns of the output in one patch
REACH = 6  # and of the input that it depends on
FEWEST_PATCHES = 24  # with fewer, to transform the filters takes longer than what it saves (measured: 16 no, 32 yes)
WORKSPACE = 12 << 20  # bytes of V and M at a time, to stay in the last-level cache
VECTOR = vector_registers()[0]
ITEM = 4  # bytes of a float32


def applies(w_shape, stride, dilation, groups, dtype):
    """Whether the algorithm can do this convolution: 3x3, stride 1, whole vectors of channels, float32."""
    k, r_size, s_size, c = w_shape
    plain = (r_size, s_size, *stride, *dilation, groups) == (3, 3, 1, 1, 1, 1, 1)
    return plain and dtype == np.float32 and k * ITEM % VECTOR == 0 and c * ITEM % VECTOR == 0


def chosen(w_shape, stride, dilation, groups, dtype, out_shape):
    """Whether to use it. Measured: it wins but where pixels or channels are so few that the transforms dominate."""
    if MODE == "0" or not applies(w_shape, stride, dilation, groups, dtype):
        return False
    wide, large = min(w_shape[0], w_shape[3]) >= 32, min(out_shape[1:3]) >= 6
    return MODE == "1" or (wide and large and has_enough_patches(out_shape))


def has_enough_patches(out_shape):
    n, p, q, _ = out_shape
    return n * math.prod(patch_grid((p, q))) >= FEWEST_PATCHES


@serial
def patch_place(index, grid):
    """(image, first output row, first output column) of a patch."""
    n, inside = index // (grid[0] * grid[1]), index % (grid[0] * grid[1])
    return n, inside // grid[1] * PATCH, inside % grid[1] * PATCH


@parallel
def transform_patches(reach, padding, x, steps, size, channels, grid, first, count, target, t_point, t_patch, t_panel,
                      scratch):  # fmt: skip
    """V from x (reach 6), or its counterpart from dy (reach 4), for patches first .. first + count.

    x: address, steps (image, row, pixel) in bytes, size (height, width); target: address, bytes from point to point of
    the 36, from patch to patch, and from panel to panel of channels.
    """
    pixel = channels * ITEM
    for i in numba.prange(count):
        n, row, column = patch_place(first + i, grid)
        row, column = row - padding[0], column - padding[1]
        image = x + n * steps[0]
        source, s_row, s_column = image + row * steps[1] + column * steps[2], steps[1], steps[2]
        if row < 0 or column < 0 or row + reach > size[0] or column + reach > size[1]:
            source, s_row, s_column = np.int64(scratch[numba.get_thread_id()].ctypes.data), reach * pixel, pixel
            copy_with_border(image, (steps[1], steps[2]), size, pixel, (row, column), (reach, reach), source)
        there, vectors = target + i * t_patch, pixel // VECTOR
        if reach == REACH:
            transform_input(source, s_row, s_column, there, 6 * t_point, t_point, vectors, t_panel)
        else:
            transform_gradient(source, s_row, s_column, there, 6 * t_point, t_point, vectors, t_panel)


@parallel
def multiply_points(
    tile_rows, tile_vectors, a, a_point, a_rows, a_step, b, b_point, depth, c, c_point, c_panel, c_rows, panels, chunk,
    add_to_c, base,
):  # fmt: skip
    """36 matrix products: C[point] = A[point] B[point], or C + A B; B in panels (points, panels, depth, tile width)."""
    chunks, width, no_tap = -(-panels // chunk), len(base), np.zeros(1, np.int64)
    row = width * ITEM
    for task in numba.prange(POINTS * chunks):
        point, first = task // chunks, task % chunks * chunk
        for k in range(0, depth, PORTION):
            for panel in range(first, min(first + chunk, panels)):
                for i in range(0, len(a_rows), len(tile_rows)):
                    multiply_tile(
                        tile_rows, tile_vectors, np.float32(-np.inf),
                        a + point * a_point + k * a_step, np.int64(a_rows.ctypes.data) + i * 8, a_step,
                        b + point * b_point + (panel * depth + k) * row, np.int64(no_tap.ctypes.data), 1,
                        min(PORTION, depth - k),
                        c + point * c_point + panel * c_panel, np.int64(c_rows.ctypes.data) + i * 8,
                        np.int64(base.ctypes.data), add_to_c + k, width,
                    )  # fmt: skip


@parallel
def transform_back(m, m_point, m_patch, y, steps, size, channels, grid, first, count, bias, low, scratch):
    """y = max(A^T M A + bias, low) for patches first .. first + count; only what lies inside y."""
    pixel = channels * ITEM
    for i in numba.prange(count):
        n, row, column = patch_place(first + i, grid)
        target, t_row, t_column = y + n * steps[0] + row * steps[1] + column * steps[2], steps[1], steps[2]
        whole = row + PATCH <= size[0] and column + PATCH <= size[1]
        there = target if whole else np.int64(scratch[numba.get_thread_id()].ctypes.data)
        if not whole:
            t_row, t_column = PATCH * pixel, pixel
        base = np.int64(bias.ctypes.data)
        transform_output(m + i * m_patch, 6 * m_point, m_point, there, t_row, t_column, pixel // VECTOR, base, low)
        if not whole:
            for r in range(min(PATCH, size[0] - row)):
                for s in range(min(PATCH, size[1] - column)):
                    copy_bytes(target + r * steps[1] + s * steps[2], there + (r * PATCH + s) * pixel, pixel)


@parallel
def transform_weights(packed, u):
    """U = G g G^T: packed (panels, 9, C, lanes) -> u (36, panels, C, lanes)."""
    _, panels, depth, lanes = u.shape
    row = lanes * ITEM
    for task in numba.prange(panels * depth):
        panel, c = task // depth, task % depth
        source = np.int64(packed.ctypes.data) + (panel * 9 * depth + c) * row
        target = np.int64(u.ctypes.data) + task * row
        point = u.strides[0]
        transform_filter(source, 3 * depth * row, depth * row, target, 6 * point, point, row // VECTOR, row)


@parallel
def transform_back_weights(sums, dw):
    """dw (K, 9, C) = G^T sums G from sums (36, panels, C, lanes)."""
    _, panels, depth, lanes = sums.shape
    row, point = lanes * ITEM, sums.strides[0]
    taps = np.empty((panels, 9, lanes), np.float32)
    for panel in numba.prange(panels):
        here = taps[panel]
        for c in range(dw.shape[2]):
            source = np.int64(sums.ctypes.data) + (panel * depth + c) * row
            transform_sums(source, 6 * point, point, np.int64(here.ctypes.data), 3 * row, row, row // VECTOR, row)
            for lane in range(min(lanes, dw.shape[0] - panel * lanes)):
                for tap in range(9):
                    dw[panel * lanes + lane, tap, c] = here[tap, lane]


def point_arrays(*shape):
    """36 arrays (36, *shape), an odd number of cache lines apart: else the caches would put them in the same place."""
    size = math.prod(shape) * ITEM
    step = (-(-size // 64) | 1) * 64
    strides = tuple(math.prod(shape[i + 1 :]) * ITEM for i in range(len(shape)))
    return np.ndarray((POINTS, *shape), np.float32, np.empty(POINTS * step, np.uint8), 0, (step, *strides))


def patch_grid(hw):
    return tuple(-(-n // PATCH) for n in hw)


def portions(total, bytes_each, high):
    """(first, count) of equal portions of the patches, in whole tiles where there are several."""
    size = max(high, WORKSPACE // bytes_each)
    size = -(-divide_evenly(total, size) // high) * high
    return [(first, min(size, total - first)) for first in range(0, total, size)]


def steps_of(a):
    return a.ctypes.data, a.strides[:3], a.shape[1:3], a.shape[3]


def filter_points(w, flipped):
    """U (36, panels, C, lanes), of the filter or of the flipped one that the input gradient takes."""
    taps = [(r, s) for r in range(3) for s in range(3)]
    packed = pack(filters_of(w, taps[::-1] if flipped else taps, 1, transposed=flipped))[0]
    u = point_arrays(len(packed), *packed.shape[2:])
    transform_weights(packed, u)
    return u


def convolve(x, u, bias, relu, out, padding):
    """Fill out (N, P, Q, K) from x (N, H, W, C) and U. bias (K,) or None."""
    (high, _), threads = tile_shape(), get_num_threads()
    _, panels, c, lanes = u.shape
    grid, wide = patch_grid(out.shape[1:3]), panels * lanes
    base = np.zeros(wide, np.float32)
    if bias is not None:
        base[: len(bias)] = bias
    low = np.float32(0 if relu else -np.inf)
    blocks = portions(len(x) * grid[0] * grid[1], POINTS * (c + wide) * ITEM, high)
    rows = -(-blocks[0][1] // high) * high
    v, m = point_arrays(rows, c), point_arrays(rows, wide)
    scratch = np.empty((threads, REACH * REACH * max(c, wide)), np.float32)
    chunk, zero_row = chunk_size(POINTS, panels, threads), np.zeros(lanes, np.float32)
    for first, count in blocks:
        transform_patches(
            REACH, padding, *steps_of(x), grid, first, count,
            v.ctypes.data, v.strides[0], v.strides[1], lanes * ITEM, scratch,
        )  # fmt: skip
        listed = np.arange(-(-count // high) * high)
        multiply_points(
            *tile_types(), v.ctypes.data, v.strides[0], listed * v.strides[1], ITEM, u.ctypes.data, u.strides[0], c,
            m.ctypes.data, m.strides[0], lanes * ITEM, listed * m.strides[1], panels, chunk, 0, zero_row,
        )  # fmt: skip
        transform_back(m.ctypes.data, *m.strides[:2], *steps_of(out), grid, first, count, base, low, scratch)
    return out


def convolve_weight(dy, x, padding):
    """dw (K, 3, 3, C), from arrays with contiguous channels."""
    (high, _), lanes, threads = tile_shape(), tile_width(np.float32), get_num_threads()
    (n, p, q, k), c = dy.shape, x.shape[3]
    grid, c_panels, k_panels = patch_grid((p, q)), -(-c // lanes), -(-k // lanes)
    channels = np.arange(-(-c // high) * high)
    sums = point_arrays(k_panels, len(channels), lanes)
    blocks = portions(n * grid[0] * grid[1], POINTS * (c_panels + k_panels) * lanes * ITEM, high)
    v, d = (point_arrays(panels, blocks[0][1], lanes) for panels in (c_panels, k_panels))
    scratch = np.empty((threads, REACH * REACH * max(c, k)), np.float32)
    chunk, existing = chunk_size(POINTS, k_panels, threads), np.minimum(channels, c - 1)
    row = lanes * ITEM
    for first, count in blocks:
        panel = count * row
        for reach, pad, a, target in (REACH, padding, x, v), (PATCH, (0, 0), dy, d):
            transform_patches(
                reach, pad, *steps_of(a), grid, first, count, target.ctypes.data, target.strides[0], row, panel, scratch
            )
        multiply_points(
            *tile_types(), v.ctypes.data, v.strides[0], existing // lanes * panel + existing % lanes * ITEM, row,
            d.ctypes.data, d.strides[0], count, sums.ctypes.data, sums.strides[0], sums.strides[1], channels * row,
            k_panels, chunk, first, np.zeros(lanes, np.float32),
        )  # fmt: skip
    dw = np.empty((k, 3, 3, c), np.float32)
    transform_back_weights(sums, dw.reshape(k, 9, c))
    return dw
