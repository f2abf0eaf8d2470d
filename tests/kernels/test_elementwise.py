"""The machine for element-wise functions: its words beside exact values, its programs beside NumPy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from op_rows import ELEMENTWISE
from op_table import CASES

from kernels import cpu, pieces
from kernels.cpu import runtime
from kernels.cpu.elementwise import program
from kernels.cpu.elementwise.machine import PIECE, SHARE, run
from kernels.cpu.elementwise.words import WORDS

RANGES = [
    (np.exp, -100, 88), (np.exp, -1, 1), (np.expm1, -20, 88), (np.expm1, -0.5, 0.5), (np.tanh, -12, 12),
    (np.tanh, -0.3, 0.3), (np.log, 1e-30, 100), (np.log, 0.5, 2), (np.log1p, -0.99, 100), (np.log1p, -0.01, 0.01),
    (np.sqrt, 0, 100),
]  # fmt: skip
SPECIAL = [
    *(0.0, -0.0, math.inf, -math.inf, math.nan, 1, -1, 0.5, -0.5, 1e-8, -1e-8, 1e-40, 1e-310, 20, -20, 64, 65),
    *(88.7, 88.73, 89, -87.4, -103.9, -104.1, 709.7, 709.8, 710, -745, -746, 3e38, -3e38, -1 + 1e-7, 1e30),
]


def computed(fn, *arrays):
    return run(program.traced(fn, arrays[0].dtype, len(arrays)), arrays)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fn, low, high", RANGES, ids=lambda v: getattr(v, "__name__", str(v)))
def test_accuracy(fn, low, high, dtype):
    """Within three units in the last place of what a wider type gives."""
    x = np.random.default_rng(0).uniform(low, high, 20_001).astype(dtype)
    exact = fn(x.astype(np.float64 if dtype == np.float32 else np.longdouble))
    assert (np.abs(computed(fn, x) - exact) <= 3 * np.spacing(np.abs(exact).astype(dtype))).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fn", [w for w in WORDS if w in {fn for fn, *_ in RANGES}], ids=lambda fn: fn.__name__)
def test_special_values(fn, dtype):
    with np.errstate(all="ignore"):
        x = np.array(SPECIAL, dtype)
        y, expected = computed(fn, x), fn(x)
    np.testing.assert_allclose(y, expected, rtol=8 * np.finfo(dtype).eps, atol=2 * np.finfo(dtype).smallest_subnormal)
    zero = expected == 0
    assert (np.signbit(y) == np.signbit(expected))[zero].all()


@pytest.mark.parametrize("dtype, rtol", [(np.float32, 2e-5), (np.float64, 1e-12)])
def test_the_normal_distribution(dtype, rtol):
    x = np.linspace(-12, 8, 4001).astype(dtype)
    exact = [math.erfc(-float(v) / math.sqrt(2)) / 2 for v in x]
    np.testing.assert_allclose(computed(cpu.normal_cdf, x), exact, rtol=rtol)


VALUES = st.integers(-2, 9)  # negative: a constant, else an earlier value
SIMPLE = [np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.negative, np.absolute, np.where]
STEPS = st.lists(st.tuples(st.sampled_from([*SIMPLE, np.greater, np.less_equal]), VALUES, VALUES, VALUES), min_size=1)


@given(STEPS, st.sampled_from([np.float32, np.float64]))
@settings(deadline=None, max_examples=200)
def test_any_program_has_numpys_bits(steps, dtype):
    """Steps that round once: whatever is written, registers that are used again hold nothing old."""

    def fn(x, y):
        values = [x, y]
        for word, *places in steps:
            few = places[: 3 if word is np.where else word.nin]
            chosen = [dtype(0.75 * i) if n and i < 0 else values[i % len(values)] for n, i in enumerate(few)]
            values.append(word(*chosen) * dtype(1) if word in (np.greater, np.less_equal) else word(*chosen))
        return values[-1] + x

    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal(PIECE + 77).astype(dtype) for _ in range(2)]
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(computed(fn, *arrays), fn(*arrays))


@pytest.mark.parametrize("size", [1, 15, PIECE, PIECE + 1, SHARE + PIECE + 3, 3 * SHARE])
def test_sizes_and_threads(size):
    x, results = np.linspace(-3, 3, size, dtype=np.float32), []
    for threads in (1, runtime.get_num_threads()):
        kept = runtime.get_num_threads()
        runtime.set_num_threads(threads)
        results.append(computed(lambda x: np.exp(x) * 2 - x, x))
        runtime.set_num_threads(kept)
    assert results[0].tobytes() == results[1].tobytes()
    np.testing.assert_allclose(results[0], np.exp(x) * 2 - x, rtol=1e-5)


X = np.ones(4, np.float32)


@pytest.mark.parametrize(
    "fn",
    [
        np.sin,  # no word
        lambda x: x.sum() + x,
        lambda x: x[0] * x,
        lambda x: x + X,  # another array
        lambda x: x > 1,  # booleans
        lambda x: x,
        lambda x: 2.0,
        lambda x: x * np.float64(0.1),  # a wider type
        lambda x: x.astype(np.float64) * 2,
        lambda x: np.add(x, x, dtype=np.float32),
        lambda x: np.where(x > 0),
        lambda x: (x + 1, x)[1],
        lambda x: (x * 2, x + 1)[0],  # not what came last
        lambda x: x**3,
    ],
)
def test_what_has_no_program_is_left_to_numpy(fn, monkeypatch):
    monkeypatch.setattr(pieces, "LEAST", 2)
    monkeypatch.setattr(pieces, "each_element", lambda fn, *arrays: "NumPy")
    assert cpu.each_element(fn, X) == "NumPy" and not isinstance(cpu.each_element(lambda x: x + 1, X), str)


def test_arrays_that_lie_otherwise_are_left_to_numpy(monkeypatch):
    monkeypatch.setattr(program, "run", None)
    x = np.ones((600, 600), np.float32)
    for arrays in ((x.T[:, ::2],), (x, x[0]), (x, x.astype("d")), (x.astype("i4"),), (X,)):
        assert np.array_equal(cpu.each_element(lambda *a: sum(a) * 2, *arrays), sum(arrays) * 2)


@pytest.mark.parametrize("case", [c for c in CASES if c.op.__name__ in ELEMENTWISE - {"sin", "cos"}], ids=str)
def test_ops_by_the_machine_are_the_ops(case, monkeypatch):
    """Forward and backward, within rounding of NumPy's."""

    def results():
        tensors = case.tensors(np.float64)
        y = case.run(tensors)
        y.backward(np.random.default_rng(1).standard_normal(y.shape))
        return [y.data, *(t.grad for t in tensors)]

    whole, programs = results(), []
    monkeypatch.setattr(pieces, "LEAST", 1)
    monkeypatch.setattr(program, "run", lambda *args: programs.append(args[0]) or run(*args))
    for got, expected in zip(results(), whole, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-15)
    assert programs or case.op.__name__.endswith("softmax")
