"""Dropout with the reference's counter-based mask, computed where it is used: no mask is ever stored."""

import numpy as np

from ..recording import also, assign
from ..reference.dropout import MASK32
from ..reference.dropout import mix32 as mix32_int
from .layout import deliver
from .rows import result, row, row_views
from .runtime import parallel, serial
from .tasks import share

MULTIPLIER_1, MULTIPLIER_2, LOW_BITS = np.uint64(0x85EBCA6B), np.uint64(0xC2B2AE35), np.uint64(0xFFFFFFFF)
SHIFT_16, SHIFT_13 = np.uint32(16), np.uint32(13)


@serial
def multiply32(h, multiplier):
    """The low 32 bits of the product (taken in 64: plain NumPy sees no overflow, and LLVM narrows it)."""
    return np.uint32(np.uint64(h) * multiplier & LOW_BITS)


@serial
def mix32(h):
    """The reference's mix32 on uint32."""
    h = multiply32(np.uint32(h ^ (h >> SHIFT_16)), MULTIPLIER_1)
    h = multiply32(np.uint32(h ^ (h >> SHIFT_13)), MULTIPLIER_2)
    return np.uint32(h ^ (h >> SHIFT_16))


@serial
def dropout_row(r, x, y, width, keys, threshold, scale):
    """keys: what the low and the high half of an element's number are mixed with"""
    xs, ys, zero, (low_key, high_key) = row(x, r, width), row(y, r, width), x[0].dtype.type(0), keys
    first = np.uint64(r * width)
    first_low, high = np.uint32(first & LOW_BITS), np.uint32(first >> np.uint64(32))
    for i in range(xs.size):
        low = np.uint32((np.uint64(first_low) + np.uint64(i)) & LOW_BITS)
        carry = np.uint32(1) if low < first_low else np.uint32(0)
        bits = mix32(np.uint32(mix32(np.uint32(low ^ low_key)) ^ np.uint32(np.uint32(high + carry) ^ high_key)))
        ys[i] = xs[i] * scale if bits >= threshold else zero


@parallel
def dropout_rows(x, y, size, keys, threshold, scale):
    share(dropout_row, size[0], (x, y, size[1], keys, threshold, scale))


def dropout_forward(x, p, seed, out=None):
    """Zero each element with probability p, scale the rest by 1 / (1 - p). Applied to dy it is the backward pass."""
    y = result(x.shape, x.dtype, out)
    if p >= 1:
        assign(y, 0)
    else:
        also(drop, row_views(x, y), seed, np.uint32(int(p * 2**32)), x.dtype.type(1 / (1 - p)))
    return deliver(y, out)


def drop(views, seed, threshold, scale):
    """seed: a number, or an array of one, which a replay reads anew"""
    seed = seed.item() if isinstance(seed, np.ndarray) else seed
    keys = tuple(np.uint32(mix32_int(half & MASK32)) for half in (seed, seed >> 32))
    dropout_rows(*views, keys, threshold, scale)
