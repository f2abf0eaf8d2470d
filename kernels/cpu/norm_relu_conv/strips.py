"""A block of patches on its way through Winograd's transforms, strip by strip (see winograd.py)."""

from typing import NamedTuple

import numpy as np

from ..convolution.blocks import copy_with_border, image_part
from ..convolution.winograd import ITEM, PATCH, REACH, VECTOR, patch_place
from ..convolution.winograd_transform import Grid, transform_gradient, transform_input, transform_output
from ..llvm import zero_bytes
from ..norm_rows import activate, copy_and_sum, through_norm_relu
from ..rows import Rows, moved
from ..runtime import serial


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
