"""Element-wise work in pieces gives the bits of the whole, for any number of threads, and what goes wrong is seen."""

import os
import threading
import warnings

import numpy as np
import pytest
from op_rows import ELEMENTWISE
from op_table import CASES

from kernels import pieces
from minigrad import use_kernels

SMALL = 1 << 8


@pytest.fixture
def small(monkeypatch):
    """Pieces so small that small arrays have several."""
    monkeypatch.setattr(pieces, "PIECE", SMALL)
    monkeypatch.setattr(pieces, "LEAST", SMALL)


FUNCTIONS = [np.exp, np.tanh, np.log1p, np.sqrt, np.sin, lambda x: x * (x + 3).clip(0, 6), lambda x: x > 1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(pieces.LEAST,), (3, 61, 1021), (pieces.LEAST * 3 + 7,), (2, 5)])
def test_the_bits_are_those_of_the_whole(dtype, shape):
    x = np.random.default_rng(0).random(shape).astype(dtype) * 4
    for fn in FUNCTIONS:
        y = pieces.each_element(fn, x)
        assert y.shape == shape and y.dtype == fn(x).dtype and y.tobytes() == fn(x).tobytes()


def test_arrays_that_lie_otherwise_or_broadcast_are_taken_as_they_are(small):
    x, seen = np.arange(4096.0).reshape(64, 64), []
    for arrays in ((x.T,), (x[:, ::2],), (x, x[0]), (x, np.float64(2)), (x[:1, :9],)):
        assert (pieces.each_element(lambda *a: seen.append(a[0].shape) or sum(a), *arrays) == sum(arrays)).all()
    assert seen == [(64, 64), (64, 32), (64, 64), (64, 64), (1, 9)]


def test_rows_are_shared_whole(small):
    x = np.random.default_rng(0).standard_normal((50, 7, 11)).astype(np.float32)
    assert pieces.each_row(lambda x: x.sum(1), x).tobytes() == x.sum(1).tobytes()


def test_all_threads_take_part_and_the_result_does_not_depend_on_them(small, monkeypatch):
    both, names = threading.Barrier(2, timeout=60), set()

    def fn(x):
        if x[0] > 0 and threading.current_thread().name not in names:  # beyond the piece that tells the type
            names.add(threading.current_thread().name)
            both.wait()  # for the other thread
        return np.exp(x)

    monkeypatch.setattr(pieces, "threads", lambda: 2)
    x = np.linspace(0, 1, 40 * SMALL, dtype=np.float32)
    two = pieces.each_element(fn, x)
    monkeypatch.setattr(pieces, "threads", lambda: 1)
    assert len(names) == 2 and two.tobytes() == pieces.each_element(np.exp, x).tobytes()


def test_the_callers_errstate_holds_in_all_threads(small, monkeypatch):
    monkeypatch.setattr(pieces, "threads", lambda: 2)
    both, met = threading.Barrier(2, timeout=60), set()

    def fn(x):
        if x[0] < 0 and threading.current_thread().name not in met:
            met.add(threading.current_thread().name)
            both.wait()  # so that each thread has a piece with a negative number
        return np.sqrt(x)

    x = np.full(50 * SMALL, -1.0)
    x[:SMALL] = 1
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("error")
        assert np.isnan(pieces.each_element(fn, x)[SMALL:]).all() and len(met) == 2


def test_an_error_in_another_thread_reaches_the_caller(small, monkeypatch):
    monkeypatch.setattr(pieces, "threads", lambda: 2)

    def fn(x):
        if x[0] >= 5 * SMALL:
            raise MemoryError("no more")
        return x

    with pytest.raises(MemoryError, match="no more"):
        pieces.each_element(fn, np.arange(60.0 * SMALL))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_has_threads_of_its_own(small):
    x = np.linspace(0, 1, 40 * SMALL)
    pieces.each_element(np.exp, x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forking with threads
        child = os.fork()
    if child == 0:
        os._exit(int(not (pieces.each_element(np.exp, x) == np.exp(x)).all()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("case", [case for case in CASES if case.op.__name__ in ELEMENTWISE], ids=str)
def test_ops_in_pieces_are_the_ops(case, monkeypatch):
    """Forward and backward, cut into pieces of a few elements."""

    def results():
        tensors = case.tensors(np.float32)
        y = case.run(tensors)
        y.backward(np.random.default_rng(1).standard_normal(y.shape).astype(np.float32))
        return [y.data, *(t.grad for t in tensors)]

    with use_kernels("reference"):
        whole = results()
    for name in ("PIECE", "LEAST"):
        monkeypatch.setattr(pieces, name, 3)
    calls = []
    in_pieces = pieces.in_pieces
    monkeypatch.setattr(pieces, "in_pieces", lambda *args: calls.append(1) or in_pieces(*args))
    with use_kernels("reference"):
        assert all(a.tobytes() == b.tobytes() for a, b in zip(whole, results(), strict=True))
    whole_axis = case.op.__name__.endswith("softmax") and (len(case.shapes[0]) < 2 or case.params.get("dim") == 0)
    assert calls or whole_axis, "nothing was cut"
