"""Dropout (Srivastava et al. 2014) with a counter-based mask: what is dropped is a function of (seed, position) alone.

Nothing has to be kept for the backward pass, which drops the same positions of dy with the same seed, and the mask is
the same on every device, for any number of threads and after a restart.
"""

from .arrays import array_module, write

MASK32 = 0xFFFFFFFF


def mix32(h):
    """The finaliser of MurmurHash3 (Appleby): spreads every input bit over all 32 output bits."""
    h = h ^ (h >> 16)
    h = (h * 0x85EBCA6B) & MASK32
    h = h ^ (h >> 13)
    h = (h * 0xC2B2AE35) & MASK32
    return h ^ (h >> 16)


def random_bits(xp, seed, count):
    """`count` random numbers in [0, 2^32) as uint64, from a seed of up to 64 bits."""
    low, high = mix32(seed & MASK32), mix32((seed >> 32) & MASK32)
    counter = xp.arange(count, dtype=xp.uint64)
    return mix32(mix32((counter & MASK32) ^ low) ^ ((counter >> 32) ^ high))


def dropout_forward(x, p, seed, out=None):
    """Zero each element with probability p, scale the rest by 1 / (1 - p). Applied to dy it is the backward pass."""
    xp = array_module(x)
    keep = random_bits(xp, seed, x.size).reshape(x.shape) >= int(p * 2**32)
    scale = 1 / (1 - p) if p < 1 else 0
    return write(xp.where(keep, x * x.dtype.type(scale), x.dtype.type(0)), out)
