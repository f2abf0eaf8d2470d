"""Memory that is lent to arrays: it comes back, is lent on, and free pieces become one."""

import numpy as np

from kernels.arena import Arena, is_lent_alone, start


def test_memory_is_lent_on_and_comes_back():
    arena = Arena()
    a = arena.empty((3, 5), np.float32)
    begin, part = start(a), a[1:, ::2]
    del a
    b = arena.empty((3, 5), np.float32)
    assert not np.may_share_memory(b, part), "a view keeps it"
    del part
    c = arena.empty((16,), np.float32)
    assert start(c) == begin and arena.nbytes() == 128
    assert all(start(x) % 64 == 0 for x in (b, c, arena.empty((0, 3), np.float64)))


def test_free_pieces_become_one_and_large_ones_are_cut():
    arena = Arena()
    a, b, c = (arena.empty((64,), np.uint8) for _ in range(3))
    del a, b
    d, e = arena.empty((128,), np.uint8), arena.empty((3 << 20,), np.uint8)
    assert arena.nbytes() == 192 + (3 << 20) and len(arena.chunks) == 2 and len(e) == 3 << 20
    del c, d
    assert [p.end - p.begin for p in arena.free if p.chunk == 0] == [1 << 20]


def test_only_an_array_that_nobody_else_sees_is_alone():
    a = Arena().empty((3, 4), np.float32)
    assert is_lent_alone(a)
    flat = a.reshape(12)
    assert not is_lent_alone(a) and not is_lent_alone(flat)
    del a
    assert is_lent_alone(flat) and not is_lent_alone(np.ones(3)[:2])
