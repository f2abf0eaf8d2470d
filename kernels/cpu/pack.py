"""Weights in the order in which the tile reads them: panels of as many output channels as the tile is wide.

    packed (groups, panels, taps, depth, lanes)

Lane i of panel p is output channel p lanes + i of the group; lanes beyond the last channel are zero. The taps come in
the order of the offsets that go with them. The input gradient swaps the roles: its output channels are the input
channels of the forward pass.
"""

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .runtime import parallel, serial
from .taps import INT32
from .tile import INT, Emitter, copy_tile_width, load, store, tile_types, tile_width

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


@serial
def fill_whole(vectors, low, target, row, source, channel_step, depth_step, begin, end, item):
    """Depths from `begin` on of a panel without missing channels; up to which one."""
    if channel_step == item:
        for k in range(begin, end):
            copy_tile_width(vectors, low, target + k * row, source + k * depth_step)
        return end
    side = row // item // len(vectors)
    end -= (end - begin) % side
    for v in range(len(vectors)):
        for k in range(begin, end, side):
            first = source + v * side * channel_step + k * depth_step
            transpose_square(low, target + k * row + v * side * item, row, first, channel_step)
    return end


@parallel
def fill_panels(vectors, low, w, channels, channel_step, depth_step, group_step, taps, packed):
    """One of channel_step and depth_step is 1. What fills a tile's width goes by vectors, the rest one by one."""
    groups, panels, _, depth, lanes = packed.shape
    stretches, item = -(-depth // STRETCH), w.itemsize
    for task in numba.prange(groups * stretches):
        group, begin = task // stretches, task % stretches * STRETCH
        end = min(begin + STRETCH, depth)
        for t in range(len(taps)):
            for panel in range(panels):
                first, done = panel * lanes, begin
                count = min(lanes, channels - first)
                start = group * group_step + first * channel_step + taps[t]
                if count == lanes:
                    source, target = (
                        np.int64(w.ctypes.data) + start * item,
                        np.int64(packed[group, panel, t].ctypes.data),
                    )
                    steps = channel_step * item, depth_step * item
                    done = fill_whole(vectors, low, target, lanes * item, source, *steps, begin, end, item)
                for k in range(done, end):
                    for lane in range(count):
                        packed[group, panel, t, k, lane] = w[start + k * depth_step + lane * channel_step]
                    for lane in range(count, lanes):
                        packed[group, panel, t, k, lane] = 0


def pack_weights(w, taps, groups, transposed=False):
    """w (K, R, S, C/groups) as panels over K or, transposed, over C. taps: the (r, s) pairs wanted, in order."""
    k, r_size, s_size, c = w.shape
    per_filter, per_group = r_size * s_size * c, k // groups
    channels, depth = (c, per_group) if transposed else (per_group, c)
    lanes = tile_width(w.dtype)
    packed = np.empty((groups, -(-channels // lanes), len(taps), depth, lanes), w.dtype)
    steps = (1, per_filter) if transposed else (per_filter, 1)
    offsets = np.array([(r * s_size + s) * c for r, s in taps], np.int64)
    _, vectors = tile_types()
    low = w.dtype.type(0)
    fill_panels(
        vectors, low, np.ascontiguousarray(w).reshape(-1), channels, *steps, per_group * per_filter, offsets, packed
    )
    return packed
