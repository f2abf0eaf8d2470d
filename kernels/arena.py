"""The memory of a recording (recording.py): lent to arrays, and when they are dropped, to the next ones."""

import math
import sys
from typing import NamedTuple

import numpy as np

LINE = 64  # bytes; memory begins at a multiple
SMALLEST, LARGEST = 1 << 20, 64 << 20  # bytes of a chunk of memory


class Loan:
    """Memory lent to an array and its views. It goes back when the last of them is dropped."""

    def __init__(self, arena, place):
        self.arena, self.place, self.block = arena, place, arena.view(place)
        self.__array_interface__ = self.block.__array_interface__

    def __del__(self):
        self.arena.take_back(self.place)


class Place(NamedTuple):
    """Bytes of one of an arena's chunks."""

    chunk: int
    begin: int
    end: int


class Arena:
    """The memory of a recording: a few chunks, of which arrays get the smallest free piece that they fit into."""

    def __init__(self):
        self.chunks, self.free, self.most = [], [], []  # most: how far each chunk was in use

    def empty(self, shape, dtype):
        """An array of this shape, uninitialised."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        return np.asarray(Loan(self, self.place(size)))[:size].view(dtype).reshape(shape)

    def place(self, size):
        """Room for so many bytes, in whole lines."""
        size = max(-(-size // LINE), 1) * LINE
        fitting = [p for p in self.free if p.end - p.begin >= size]
        found = min(fitting, key=lambda p: (p.end - p.begin, p), default=None)
        if found is None:
            found = self.grown(size)
        else:
            self.free.remove(found)
        mine, rest = found._replace(end=found.begin + size), found._replace(begin=found.begin + size)
        if rest.begin < rest.end:
            self.free.append(rest)
        self.most[mine.chunk] = max(self.most[mine.chunk], mine.end)
        return mine

    def grown(self, size):
        """A new chunk: as much as there is so far, from SMALLEST to LARGEST bytes, and at least `size`."""
        room = max(size, min(max(sum(map(len, self.chunks)), SMALLEST), LARGEST))
        whole = np.empty(room + LINE, np.uint8)
        skipped = -start(whole) % LINE
        self.chunks.append(whole[skipped : skipped + room])
        self.most.append(0)
        return Place(len(self.chunks) - 1, 0, room)

    def take_back(self, place):
        """Make a piece free again, and one with the free pieces beside it."""
        beside = [p for p in self.free if p.chunk == place.chunk and (p.end == place.begin or p.begin == place.end)]
        for other in beside:
            self.free.remove(other)
            place = place._replace(begin=min(place.begin, other.begin), end=max(place.end, other.end))
        self.free.append(place)

    def view(self, place):
        return self.chunks[place.chunk][place.begin : place.end]

    def nbytes(self):
        """How much of it was ever in use."""
        return sum(self.most)


def start(a):
    """The address of an array's first number."""
    return a.__array_interface__["data"][0]


def owner(a):
    """The Loan that an array lives in, itself or as a view, or the array whose memory it is."""
    below = a
    while below is not None and not isinstance(a, Loan):
        a = below
        below = getattr(a, "base", getattr(a, "owner", None))  # as_strided's views and rows.Memory's are of no arrays
    return a


def loan_of(a):
    """The Loan that an array lives in; None for other memory."""
    return loan if isinstance(loan := owner(a), Loan) else None


def views(a):
    """How often the lent memory is held that an array is a view of, as this function counts; 0 for other memory."""
    whole = a.base
    return sys.getrefcount(whole) if isinstance(getattr(whole, "base", None), Loan) else 0


ONE_VIEW = views(Arena().empty((1,), np.uint8))


def is_lent_alone(a):
    """Is it an array in lent memory of which there is no other view?"""
    return views(a) == ONE_VIEW
