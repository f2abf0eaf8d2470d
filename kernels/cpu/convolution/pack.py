"""Weights in the order in which the tile reads them: panels of as many output channels as the tile is wide.

    packed (groups, panels, taps, depth, lanes)

Lane i of panel p is output channel p lanes + i of the group; lanes beyond the last channel are zero. The taps come in
the order of the offsets that go with them. The input gradient swaps the roles: its output channels are the input
channels of the forward pass.
"""

import math
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ...recording import address, contiguous, empty
from ..llvm import INT, INT32, copy_fixed, load, store, unpacked, zero_bytes
from ..rows import Rows, moved
from ..runtime import parallel, serial
from ..tasks import share
from ..tile import Emitter, Tile, copy_tile_width, tile_types, tile_width

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
def transpose_square(typingctx, low, target, source):
    """Element j of row i at the source becomes element i of row j at the target, for a vector's length of both Rows.

    low shows the type of the elements.
    """

    def codegen(context, b, signature, args):
        (target, target_step), (source, source_step) = unpacked(b, args[1:])
        emit = Emitter(b, args[0].type, 0, 1)
        places = [ir.Constant(INT, i) for i in range(emit.lanes)]
        rows = [load(b, b.add(source, b.mul(source_step, i)), emit.vec, emit.size) for i in places]
        for i, row in zip(places, transposed_square(b, rows)):
            store(b, row, b.add(target, b.mul(target_step, i)), emit.size)
        return context.get_dummy_value()

    return types.void(low, target, source), codegen


@intrinsic
def copy_element(typingctx, like, target, source):
    """Copy one element of that type between two addresses."""

    def codegen(context, b, signature, args):
        copy_fixed(b, like.bitwidth // 8, *args[1:])
        return context.get_dummy_value()

    return types.void(like, types.int64, types.int64), codegen


class Source(NamedTuple):
    """Numbers of filters: the address of the first, bytes from a channel to the next and from a number to the next."""

    at: int
    channel: int
    number: int


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
    w, (k, _, s_size, c) = contiguous(w), w.shape
    each, item = math.prod(w.shape[1:]) * w.itemsize, w.itemsize
    offsets = np.array([(r * s_size + s) * c * item for r, s in taps], np.int64)
    sizes, steps = ((c, k // groups), (item, each)) if transposed else ((k // groups, c), (each, item))
    return Filters(w, groups, *sizes, np.array((k // groups * each, *steps)), offsets)


@serial
def fill_whole(tile, target, source, begin, end, item):
    """fill_tap where no channel is missing, as far as vectors go. Up to which depth?"""
    if source.channel == item:
        for k in range(begin, end):
            copy_tile_width(tile, target.at + (k - begin) * target.step, source.at + k * source.number)
        return end
    side = target.step // item // len(tile.vectors)
    end -= (end - begin) % side
    for v in range(len(tile.vectors)):
        for k in range(begin, end, side):
            first = Rows(at=source.at + v * side * source.channel + k * source.number, step=source.channel)
            transpose_square(tile.low, moved(target, k - begin, v * side * item), first)
    return end


@serial
def fill_tap(tile, target, source, begin, end, count, item):
    """Depths begin .. end of a tap: Rows `target`, with `count` channels. Vector by vector if they fill the row."""
    done = fill_whole(tile, target, source, begin, end, item) if count * item == target.step else begin
    for k in range(done, end):
        to = target.at + (k - begin) * target.step
        for lane in range(count):
            copy_element(tile.low, to + lane * item, source.at + lane * source.channel + k * source.number)
        zero_bytes(to + count * item, target.step - count * item)


@serial
def fill_portion(tile, target, source, taps, depth, begin, end, count, item):
    """Numbers begin .. end of the sum over all taps, tap after tap: Rows `target`. source: of the first channel."""
    while begin < end:
        k = begin % depth
        stop = min(depth, k + end - begin)
        tap = Source(at=source.at + taps[begin // depth], channel=source.channel, number=source.number)
        fill_tap(tile, target, tap, k, stop, count, item)
        begin, target = begin + stop - k, moved(target, stop - k, 0)


@serial
def fill_stretch(task, tile, w, steps, taps, channels, packed):
    """A stretch of the depth, in all panels of a group."""
    _, panels, _, depth, lanes = packed.shape
    stretches, item, here = -(-depth // STRETCH), packed.itemsize, Tile(*tile)
    group, begin = task // stretches, task % stretches * STRETCH
    for t in range(len(taps)):
        for panel in range(panels):
            at = w + group * steps[0] + panel * lanes * steps[1] + taps[t]
            source = Source(at=at, channel=steps[1], number=steps[2])
            target = Rows(at=np.int64(packed[group, panel, t, begin:].ctypes.data), step=lanes * item)
            end, count = min(begin + STRETCH, depth), min(lanes, channels - panel * lanes)
            fill_tap(here, target, source, begin, end, count, item)


@parallel
def fill_panels(tile, w, steps, taps, channels, packed):
    tasks = packed.shape[0] * -(-packed.shape[3] // STRETCH)
    share(fill_stretch, tasks, (tile, w, steps, taps, channels, packed))


def pack(filters):
    """All panels."""
    w, groups, channels, depth, steps, taps = filters
    lanes = tile_width(w.dtype)
    packed = empty((groups, -(-channels // lanes), len(taps), depth, lanes), w.dtype)
    fill_panels(tile_types(w.dtype), address(w), steps, taps, channels, packed)
    return packed
