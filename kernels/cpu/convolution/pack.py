"""Weights in the order in which the tile reads them: panels of as many output channels as the tile is wide.

    packed (groups, panels, taps, depth, lanes)

Lane i of panel p is output channel p lanes + i of the group; lanes beyond the last channel are zero. The taps come in
the order of the offsets that go with them. The input gradient swaps the roles: its output channels are the input
channels of the forward pass.
"""

import math
from typing import NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..llvm import INT, INT32, load, store, zero_bytes
from ..runtime import parallel, serial
from ..tile import Emitter, copy_tile_height, copy_tile_width, tile_types, tile_width

ONE = (0,)  # element
STRETCH = 64  # depths that a task handles: so many neighbouring numbers of a filter it reads at a time


def transposed_square(b, rows):
    """As many vectors as each has elements, transposed: for each power of two, blocks off the diagonal swap."""
    lanes, rows = len(rows), list(rows)
    for bit in (1 << i for i in range(lanes.bit_length() - 1)):
        for i in (i for i in range(lanes) if not i & bit):
            upper, lower = rows[i], rows[i + bit]
            for row, shift in (i, 0), (i + bit, bit):
                of_each = [lane - bit + shift + lanes if lane & bit else lane + shift for lane in range(lanes)]
                rows[row] = b.shuffle_vector(upper, lower, ir.Constant(ir.VectorType(INT32, lanes), of_each))
    return rows


@intrinsic
def transpose_square(typingctx, low, target, target_step, source, source_step):
    """Element j of row i at the source becomes element i of row j at the target, for a vector's length of both.

    Addresses, and steps from row to row in bytes; low shows the type of the elements.
    """

    def codegen(context, b, signature, args):
        low, target, target_step, source, source_step = args
        emit = Emitter(b, low.type, 0, 1)
        places = [ir.Constant(INT, i) for i in range(emit.lanes)]
        rows = [load(b, b.add(source, b.mul(source_step, i)), emit.vec, emit.size) for i in places]
        for i, row in zip(places, transposed_square(b, rows)):
            store(b, row, b.add(target, b.mul(target_step, i)), emit.size)
        return context.get_dummy_value()

    return types.void(low, *[types.int64] * 4), codegen


class Filters(NamedTuple):
    """Weights w (K, R, S, C/groups) as filters with a sum over C or, transposed, over K.

    channels, depth: of a group, and how many numbers its sums have at each tap; steps: bytes from a group, a channel
    and a number of the sum to the next; taps: bytes from the start of a filter to each tap.
    """

    w: np.ndarray
    groups: int
    channels: int
    depth: int
    steps: np.ndarray
    taps: np.ndarray


def filters_of(w, taps, groups, transposed=False):
    """taps: the (r, s) pairs wanted, in order."""
    w, (k, _, s_size, c) = np.ascontiguousarray(w), w.shape
    each, item = math.prod(w.shape[1:]) * w.itemsize, w.itemsize
    offsets = np.array([(r * s_size + s) * c * item for r, s in taps], np.int64)
    sizes, steps = ((c, k // groups), (item, each)) if transposed else ((k // groups, c), (each, item))
    return Filters(w, groups, *sizes, np.array((k // groups * each, *steps)), offsets)


@serial
def fill_whole(vectors, low, target, row, source, steps, begin, end, item):
    """fill_tap where no channel is missing, as far as vectors go. Up to which depth?"""
    if steps[1] == item:
        for k in range(begin, end):
            copy_tile_width(vectors, low, target + (k - begin) * row, source + k * steps[2])
        return end
    side = row // item // len(vectors)
    end -= (end - begin) % side
    for v in range(len(vectors)):
        for k in range(begin, end, side):
            first = source + v * side * steps[1] + k * steps[2]
            transpose_square(low, target + (k - begin) * row + v * side * item, row, first, steps[1])
    return end


@serial
def fill_tap(vectors, low, target, row, source, steps, begin, end, count, item):
    """Depths begin .. end of a tap: rows for `target`, with `count` channels. Vector by vector if they fill the row."""
    done = fill_whole(vectors, low, target, row, source, steps, begin, end, item) if count * item == row else begin
    for k in range(done, end):
        to = target + (k - begin) * row
        for lane in range(count):
            copy_tile_height(ONE, low, to + lane * item, source + lane * steps[1] + k * steps[2])
        zero_bytes(to + count * item, row - count * item)


@serial
def fill_portion(vectors, low, target, row, source, steps, taps, depth, begin, end, count, item):
    """Numbers begin .. end of the sum over all taps, tap after tap: rows for `target`. source: of the first channel."""
    while begin < end:
        k = begin % depth
        stop = min(depth, k + end - begin)
        fill_tap(vectors, low, target, row, source + taps[begin // depth], steps, k, stop, count, item)
        begin, target = begin + stop - k, target + (stop - k) * row


@parallel
def fill_panels(vectors, low, w, steps, taps, channels, packed):
    """Each task fills a stretch of the depth, in all panels of a group."""
    groups, panels, _, depth, lanes = packed.shape
    stretches, item = -(-depth // STRETCH), packed.itemsize
    for task in numba.prange(groups * stretches):
        group, begin = task // stretches, task % stretches * STRETCH
        for t in range(len(taps)):
            for panel in range(panels):
                source = w + group * steps[0] + panel * lanes * steps[1] + taps[t]
                target = np.int64(packed[group, panel, t, begin:].ctypes.data)
                end, count = min(begin + STRETCH, depth), min(lanes, channels - panel * lanes)
                fill_tap(vectors, low, target, lanes * item, source, steps, begin, end, count, item)


def pack(filters):
    """All panels."""
    w, groups, channels, depth, steps, taps = filters
    lanes, low = tile_width(w.dtype), w.dtype.type(0)
    packed = np.empty((groups, -(-channels // lanes), len(taps), depth, lanes), w.dtype)
    fill_panels(tile_types()[1], low, w.ctypes.data, steps, taps, channels, packed)
    return packed
