"""Weights in the order in which the tile reads them: panels of as many output channels as the tile is wide.

    packed (groups, panels, taps, depth, lanes)

Lane i of panel p is output channel p lanes + i of the group; lanes beyond the last channel are zero. The taps come in
the order of the offsets that go with them. The input gradient swaps the roles: its output channels are the input
channels of the forward pass.
"""

import numba
import numpy as np

from .runtime import parallel
from .tile import tile_width

STRETCH = 16  # depths that a task handles together: as many neighbouring rows as it reads or writes at a time


@parallel
def fill_panels(w, channels, channel_step, depth_step, group_step, taps, packed):
    groups, panels, _, depth, lanes = packed.shape
    stretches = -(-depth // STRETCH)
    for task in numba.prange(groups * stretches):
        group, begin = task // stretches, task % stretches * STRETCH
        for t in range(len(taps)):
            for panel in range(panels):
                first = panel * lanes
                count = min(lanes, channels - first)
                start = group * group_step + first * channel_step + taps[t]
                for k in range(begin, min(begin + STRETCH, depth)):
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
    fill_panels(np.ascontiguousarray(w).reshape(-1), channels, *steps, per_group * per_filter, offsets, packed)
    return packed
