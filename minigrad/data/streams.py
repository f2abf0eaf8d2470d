"""Counter-based random numbers: a draw is a function of its key and its number, and of nothing else.

There is no state, so it does not matter who asks, in which order, or how many ask at once: augmentation is the same
for any number of workers and after any resume. The function is SplitMix64 (Steele, Lea, Flood: "Fast Splittable
Pseudorandom Number Generators", 2014), which needs three multiplications a draw and works on whole arrays of keys.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Self

import numpy as np

GAMMA = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: the step of SplitMix64's counter
FOLD = np.uint64(0xD1B54A32D192ED03)  # another odd number: keeps folded keys apart from draws
ORDER, SAMPLES, BATCHES, SPLIT, OWN = range(5)  # first part of a stream's path: what its numbers are for
_sample: ContextVar = ContextVar("sample", default=None)  # the stream of the sample that a loader asks for
U30, U27, U31, U11 = (np.uint64(n) for n in (30, 27, 31, 11))


def mix64(z: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser: a bijection of uint64 in which every input bit moves about half of the output bits."""
    with np.errstate(over="ignore"):  # arithmetic is modulo 2^64
        z = (z ^ (z >> U30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> U27)) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> U31)


class RandomStream:
    """One stream of random numbers for each key, e.g. `RandomStream(seed, epoch, index)`.

    Each part of the path is an integer or an array of integers. With an array of N sample indices, it is N streams at
    once, and row i of every result equals what the stream of index i alone would give.
    """

    def __init__(self, *path: int | np.ndarray):
        self.key: np.ndarray = np.zeros((), np.uint64)
        for part in path:
            self.key = self.fold(part).key

    @classmethod
    def of(cls, key: np.ndarray) -> Self:
        """The stream with this key."""
        stream = cls()
        stream.key = key
        return stream

    @property
    def shape(self) -> tuple[int, ...]:
        """() for one stream; of several, what their parts were folded in with."""
        return np.shape(self.key)

    def fold(self, part: int | np.ndarray) -> Self:
        """An independent stream for `part` (the number of a transform in a chain, of a sample, of an epoch)."""
        with np.errstate(over="ignore"):
            return self.of(mix64(self.key + FOLD + np.asarray(part).astype(np.uint64)))

    def repeated(self, times: np.ndarray) -> Self:
        """For each stream that comes again, another one: times says how often each came before."""
        return self if not times.any() else self.of(np.where(times > 0, self.fold(times).key, self.key))

    def __getitem__(self, item) -> Self:
        return self.of(np.asarray(self.key)[item])

    def __iter__(self) -> Iterator[Self]:
        return map(self.of, np.asarray(self.key))

    def bits(self, count: int) -> np.ndarray:
        """The first `count` draws, uint64, shape (*self.shape, count)."""
        with np.errstate(over="ignore"):
            return mix64(self.key[..., None] + np.arange(1, count + 1, dtype=np.uint64) * GAMMA)

    def uniform(self, count: int) -> np.ndarray:
        """The first `count` draws as float64 in [0, 1), shape (*self.shape, count)."""
        return (self.bits(count) >> U11) * 2.0**-53

    def normal(self, count: int) -> np.ndarray:
        """`count` draws from N(0, 1), shape (*self.shape, count), by Box and Muller's transform."""
        u = self.uniform(2 * count)
        return np.sqrt(-2 * np.log1p(-u[..., :count])) * np.cos(2 * np.pi * u[..., count:])

    def generator(self) -> np.random.Generator:
        """A NumPy generator keyed by this (single) stream, for the distributions that need one."""
        return np.random.Generator(np.random.Philox(key=int(self.key)))


def permutation(stream: RandomStream, n: int) -> np.ndarray:
    """A random order of range(n), int64: the order in which n random keys sort."""
    return np.argsort(stream.bits(n), kind="stable")


@contextmanager
def sampling(stream: RandomStream):
    """In this block a data set's own transform draws from this stream."""
    token = _sample.set(stream)
    try:
        yield
    finally:
        _sample.reset(token)


def own_stream(index: int) -> RandomStream:
    """What a data set's own transform draws from: the sample's stream in the loader that asks for it.

    Where no loader does, it is the stream of epoch 0 with seed 0.
    """
    stream = _sample.get()
    return (RandomStream(SAMPLES, 0, 0, index) if stream is None else stream).fold(OWN)
