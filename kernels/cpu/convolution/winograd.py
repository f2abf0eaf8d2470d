"""Winograd's algorithm F(4x4, 3x3): 3x3 convolution with stride 1 in a quarter of the multiplications.

(Winograd 1980; Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016.)

A 4x4 patch of the output depends on a 6x6 patch d of the input. Read both patches and the filter g as polynomials
sampled at five points and infinity: then convolution is an elementwise product of 6x6 = 36 numbers instead of
4x4x3x3 = 144 multiplications:

    y = A^T [ (G g G^T) * (B^T d B) ] A

With C input and K output channels each of the 36 is a matrix product over channels, so that the time goes where the
register tile is at its best:

          x --B^T . B-->  V (36, patches, C) --+
                                               +--> M = V U  (36, patches, K)  --A^T . A-->  y
          w --G . G^T-->  U (36, C, K) --------+

The input gradient is the same with the flipped filter. The weight gradient is the transposed algorithm:
dw = G^T [ sum over patches of (B^T d B) * (A dy A^T) ] G. The transforms cost half a decimal digit, so
this is for float32 alone.
"""

import math
import os

import numba
import numpy as np

from ...recording import address, assign, empty
from ..layout import odd_lines
from ..llvm import copy_bytes
from ..product import NOTHING, Panelled, Panels, multiply, numbers_of
from ..runtime import get_num_threads, parallel, serial
from ..tasks import share
from ..tile import Left, Tile, tile_shape, tile_types, tile_width, vector_registers
from .blocks import chunk_size, copy_with_border, divide_evenly
from .pack import filters_of, pack
from .winograd_transform import (
    Grid,
    transform_filter,
    transform_gradient,
    transform_input,
    transform_output,
    transform_sums,
)

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


@serial
def transform_patch(i, reach, padding, x, grid, first, target, scratch):
    at, steps, size, channels = x
    pixel, (to, t_point, t_patch, t_panel) = channels * ITEM, target
    n, row, column = patch_place(first + i, grid)
    row, column = row - padding[0], column - padding[1]
    image = at + n * steps[0]
    source = Grid(at=image + row * steps[1] + column * steps[2], row=steps[1], column=steps[2])
    if row < 0 or column < 0 or row + reach > size[0] or column + reach > size[1]:
        there = np.int64(scratch[numba.get_thread_id()].ctypes.data)
        copy_with_border(image, (steps[1], steps[2]), size, pixel, (row, column), (reach, reach), there)
        source = Grid(at=there, row=reach * pixel, column=pixel)
    points, vectors = Grid(at=to + i * t_patch, row=6 * t_point, column=t_point), pixel // VECTOR
    if reach == REACH:
        transform_input(source, points, vectors, t_panel)
    else:
        transform_gradient(source, points, vectors, t_panel)


@parallel
def transform_patches(reach, padding, x, grid, patches, target, scratch):
    """V from x (reach 6), or its counterpart from dy (reach 4), for `patches`, (first, count).

    x: what image_place gives; target: address, bytes from point to point of the 36, from patch to patch, and from panel
    to panel of channels.
    """
    share(transform_patch, patches[1], (reach, padding, x, grid, patches[0], target, scratch))


@serial
def multiply_point(task, tile, a, a_rows, b, depth, c, c_rows, panels, add, base):
    (count, chunk), row = panels, len(base) * ITEM
    chunks, b_panel = -(-count // chunk), depth * row
    point, first = task // chunks, task % chunks * chunk
    left = Left(at=a[0] + point * a[1], rows=numbers_of(a_rows), step=a[2])
    right = Panels(at=b[0] + point * b[1] + first * b_panel, step=b_panel, count=min(chunk, count - first))
    out = Panelled(at=c[0] + point * c[1] + first * c[2], rows=numbers_of(c_rows), panel=c[2])
    multiply(Tile(*tile), left, len(a_rows), right, depth, out, add, base, NOTHING)


@parallel
def multiply_points(tile, a, a_rows, b, depth, c, c_rows, panels, add, base):
    """36 matrix products: C[point] = A[point] B[point], or C + A B; B in panels (points, panels, depth, tile width).

    a: address, bytes from point to point and of a step; b: address, from point to point; c: address, from point to
    point and from panel to panel; panels: in all, and of a chunk
    """
    tasks = POINTS * -(-panels[0] // panels[1])
    share(multiply_point, tasks, (tile, a, a_rows, b, depth, c, c_rows, panels, add, base))


@serial
def transform_patch_back(i, m, y, grid, first, bias, low, scratch):
    at, steps, size, channels = y
    pixel, base = channels * ITEM, np.int64(bias.ctypes.data)
    n, row, column = patch_place(first + i, grid)
    target = Grid(at=at + n * steps[0] + row * steps[1] + column * steps[2], row=steps[1], column=steps[2])
    points = Grid(at=m[0] + i * m[2], row=6 * m[1], column=m[1])
    if row + PATCH <= size[0] and column + PATCH <= size[1]:
        transform_output(points, target, pixel // VECTOR, base, low)
    else:
        there = np.int64(scratch[numba.get_thread_id()].ctypes.data)
        inside = Grid(at=there, row=PATCH * pixel, column=pixel)
        transform_output(points, inside, pixel // VECTOR, base, low)
        for r in range(min(PATCH, size[0] - row)):
            for s in range(min(PATCH, size[1] - column)):
                copy_bytes(target.at + r * steps[1] + s * steps[2], there + (r * PATCH + s) * pixel, pixel)


@parallel
def transform_back(m, y, grid, patches, bias, low, scratch):
    """y = max(A^T M A + bias, low) for `patches`, (first, count); only what lies inside y.

    m: address, bytes from point to point and from patch to patch; y: what image_place gives
    """
    share(transform_patch_back, patches[1], (m, y, grid, patches[0], bias, low, scratch))


@serial
def transform_weight(task, packed, u):
    _, _, depth, lanes = u.shape
    row, point, panel, c = lanes * ITEM, u.strides[0], task // depth, task % depth
    at = np.int64(packed.ctypes.data) + (panel * 9 * depth + c) * row
    source = Grid(at=at, row=3 * depth * row, column=depth * row)
    target = Grid(at=np.int64(u.ctypes.data) + task * row, row=6 * point, column=point)
    transform_filter(source, target, row // VECTOR, row)


@parallel
def transform_weights(packed, u):
    """U = G g G^T: packed (panels, 9, C, lanes) -> u (36, panels, C, lanes)."""
    share(transform_weight, u.shape[1] * u.shape[2], (packed, u))


@serial
def transform_back_panel(panel, sums, taps, dw):
    """sums: address, bytes from point to point and from panel to panel."""
    (at, point, step), here, lanes = sums, taps[panel], taps.shape[2]
    row = lanes * ITEM
    for c in range(dw.shape[2]):
        source = Grid(at=at + panel * step + c * row, row=6 * point, column=point)
        target = Grid(at=np.int64(here.ctypes.data), row=3 * row, column=row)
        transform_sums(source, target, row // VECTOR, row)
        for lane in range(min(lanes, dw.shape[0] - panel * lanes)):
            for tap in range(9):
                dw[panel * lanes + lane, tap, c] = here[tap, lane]


@parallel
def transform_back_panels(sums, taps, dw):
    share(transform_back_panel, len(taps), (sums, taps, dw))


def transform_back_weights(sums, k, c):
    """dw (K, 3, 3, C) = G^T sums G from sums (36, panels, C or a few more, lanes)."""
    _, panels, _, lanes = sums.shape
    dw, taps = empty((k, 3, 3, c), np.float32), empty((panels, 9, lanes), np.float32)
    transform_back_panels((address(sums), *sums.strides[:2]), taps, dw.reshape(k, 9, c))
    return dw


def point_arrays(*shape):
    """36 arrays (36, *shape), an odd number of cache lines apart: else the caches would put them in the same place."""
    size = math.prod(shape) * ITEM
    step = odd_lines(size)
    strides = tuple(math.prod(shape[i + 1 :]) * ITEM for i in range(len(shape)))
    return np.ndarray((POINTS, *shape), np.float32, empty((POINTS * step,), np.uint8), 0, (step, *strides))


def patch_grid(hw):
    return tuple(-(-n // PATCH) for n in hw)


def blocks_of_patches(total, bytes_each, high):
    """(first, count) of equal blocks of the patches, in whole tiles where there are several."""
    size = max(high, WORKSPACE // bytes_each)
    size = -(-divide_evenly(total, size) // high) * high
    return [(first, min(size, total - first)) for first in range(0, total, size)]


def image_place(a):
    """Address, bytes between images, rows and pixels, (height, width), channels"""
    return address(a), a.strides[:3], a.shape[1:3], a.shape[3]


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
        assign(base[: len(bias)], bias)
    low = np.float32(0 if relu else -np.inf)
    blocks = blocks_of_patches(len(x) * grid[0] * grid[1], POINTS * (c + wide) * ITEM, high)
    rows = -(-blocks[0][1] // high) * high
    v, m = point_arrays(rows, c), point_arrays(rows, wide)
    scratch = empty((threads, REACH * REACH * max(c, wide)), np.float32)
    chunk, zero_row = chunk_size(POINTS, panels, threads), np.zeros(lanes, np.float32)
    for patches in blocks:
        place = address(v), v.strides[0], v.strides[1], lanes * ITEM
        transform_patches(REACH, padding, image_place(x), grid, patches, place, scratch)
        listed = np.arange(-(-patches[1] // high) * high)
        multiply_points(
            tile_types(np.float32), (address(v), v.strides[0], ITEM), listed * v.strides[1],
            (address(u), u.strides[0]), c, (address(m), m.strides[0], lanes * ITEM), listed * m.strides[1],
            (panels, chunk), 0, zero_row,
        )  # fmt: skip
        transform_back((address(m), *m.strides[:2]), image_place(out), grid, patches, base, low, scratch)
    return out


def convolve_weight(dy, x, padding):
    """dw (K, 3, 3, C), from arrays with contiguous channels."""
    (high, _), lanes, threads = tile_shape(), tile_width(np.float32), get_num_threads()
    (n, p, q, k), c = dy.shape, x.shape[3]
    grid, c_panels, k_panels = patch_grid((p, q)), -(-c // lanes), -(-k // lanes)
    channels = np.arange(-(-c // high) * high)
    sums = point_arrays(k_panels, len(channels), lanes)
    blocks = blocks_of_patches(n * grid[0] * grid[1], POINTS * (c_panels + k_panels) * lanes * ITEM, high)
    v, d = (point_arrays(panels, blocks[0][1], lanes) for panels in (c_panels, k_panels))
    scratch = empty((threads, REACH * REACH * max(c, k)), np.float32)
    chunk, existing = chunk_size(POINTS, k_panels, threads), np.minimum(channels, c - 1)
    row = lanes * ITEM
    for first, count in blocks:
        panel = count * row
        for reach, pad, image, target in (REACH, padding, x, v), (PATCH, (0, 0), dy, d):
            place = address(target), target.strides[0], row, panel
            transform_patches(reach, pad, image_place(image), grid, (first, count), place, scratch)
        multiply_points(
            tile_types(np.float32), (address(v), v.strides[0], row),
            existing // lanes * panel + existing % lanes * ITEM,
            (address(d), d.strides[0]), count, (address(sums), sums.strides[0], sums.strides[1]), channels * row,
            (k_panels, chunk), first, np.zeros(lanes, np.float32),
        )  # fmt: skip
    return transform_back_weights(sums, k, c)
