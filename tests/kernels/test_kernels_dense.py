"""The fused norm - ReLU - conv kernels against the reference in float64, away from the ReLU's kink."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import (
    DTYPES,
    LAYOUTS,
    TOLERANCE,
    agrees,
    close,
    exact,
    in_slice,
    laid_out,
    normal,
    quick,
    untouched_around,
)

from kernels import cpu, reference
from kernels.cpu import runtime
from kernels.cpu.norm_relu_conv import fused

EPS = 1e-3
SIZES = st.tuples(st.sampled_from([1, 2]), st.sampled_from([1, 3, 8, 13]), st.sampled_from([1, 9, 50, 73]))
CHANNELS = st.sampled_from([1, 3, 12, 17, 33, 64, 130])
FILTERS = st.sampled_from([1, 3])
FEW, MANY = (2, 9, 7), (2, 19, 17)  # pixels: what the forward pass composes, and what it fuses


def unit(size, c, k, filter_size, dtype, layout="contiguous", offset=0.0):
    """x, gamma, beta, mean, var, eps, w: outputs of the norm are half and more away from 0."""
    gamma, beta, mean, var = (normal((c,), dtype, seed) for seed in range(4))
    gamma, var = gamma + np.copysign(np.asarray(0.1, dtype), gamma), var * var + np.asarray(0.1, dtype)
    x = normal((*size, c), dtype, 4)
    y = reference.batch_norm_apply(x.astype("d"), gamma, beta, mean, var, EPS)
    x += ((np.sign(y) * 0.5) / gamma * np.sqrt(var + EPS)).astype(dtype)
    w = normal((k, filter_size, filter_size, c), dtype, 5) + np.asarray(offset, dtype)
    return laid_out(x, layout), gamma, beta, mean, var, EPS, w


def gradient(size, k, dtype, layout="contiguous"):
    """dy, and moments (y, mean, slope, offset)"""
    dy, y = (laid_out(normal((*size, k), dtype, seed), layout) for seed in (6, 7))
    return dy, (y, *(normal((k,), dtype, seed) for seed in (8, 9, 10)))


@pytest.mark.parametrize("name", ["norm_relu_conv_forward", "norm_relu_conv_backward", "through_moments"])
def test_signature_is_the_references(name):
    assert getattr(cpu, name) is not getattr(reference, name)
    assert inspect.signature(getattr(cpu, name)) == inspect.signature(getattr(reference, name))


@given(SIZES, CHANNELS, CHANNELS, FILTERS, DTYPES, LAYOUTS)
@quick
def test_forward(size, c, k, filter_size, dtype, layout):
    args = unit(size, c, k, filter_size, dtype, layout)
    y, mean, var = agrees("norm_relu_conv_forward", *args, True, dtype=dtype, tolerance=10)
    alone, *nothing = cpu.norm_relu_conv_forward(*args)
    assert np.array_equal(y, alone) and nothing == [None, None]
    values = y.astype("d").reshape(-1, k)
    power = TOLERANCE[dtype] * np.abs(values).max() ** 2  # of one pixel the variance is 0, but for rounding
    close(mean, values.mean(0), dtype)
    assert np.abs(var - values.var(0)).max() <= power


@given(SIZES, CHANNELS, CHANNELS, FILTERS, DTYPES, LAYOUTS, st.booleans())
@quick
def test_backward(size, c, k, filter_size, dtype, layout, through):
    args, (dy, moments) = unit(size, c, k, filter_size, dtype, layout), gradient(size, k, dtype, layout)
    moments = moments if through else None
    expected = reference.norm_relu_conv_backward(
        dy.astype("d"),
        moments and tuple(a.astype("d") for a in moments),
        *(a if a is EPS else a.astype("d") for a in args),
    )
    actual = cpu.norm_relu_conv_backward(dy, moments, *args)
    for a, e in zip(actual, expected, strict=True):
        close(a, e, dtype, tolerance=10)
    total, wide = in_slice(np.ones(args[0].shape, dtype))
    again = cpu.norm_relu_conv_backward(dy, moments, *args, add_to=total)
    assert again[0] is total and untouched_around(wide)
    close(total, expected[0] + 1, dtype, tolerance=10)
    assert all(np.array_equal(a, b) for a, b in zip(actual[1:], again[1:]))


@given(SIZES, CHANNELS, DTYPES, LAYOUTS)
@quick
def test_through_moments(size, c, dtype, layout):
    g, (x, *terms) = gradient(size, c, dtype, layout)
    agrees("through_moments", g, x, *terms, dtype=dtype, tolerance=2)
    out, wide = in_slice(np.zeros_like(g))
    assert cpu.through_moments(g, x, *terms, out=out) is out and untouched_around(wide)
    close(out, exact("through_moments", g, x, *terms), dtype, tolerance=2)


@pytest.mark.parametrize("filter_size", [1, 3])
@pytest.mark.parametrize("size", [FEW, MANY])
def test_forward_writes_into_a_slice_and_nothing_around_it(size, filter_size):
    args = unit(size, 20, 12, filter_size, "float32")
    out, wide = in_slice(np.zeros((*size, 12), "f"))
    y, *_ = cpu.norm_relu_conv_forward(*args, out=out)
    assert y is out and untouched_around(wide)
    close(out, reference.norm_relu_conv_forward(*args)[0], "float32", tolerance=10)


@pytest.mark.parametrize("filter_size", [1, 3])
@pytest.mark.parametrize("size", [FEW, MANY])
def test_out_and_add_to_may_have_any_layout(size, filter_size):
    args, (dy, moments) = unit(size, 4, 3, filter_size, "float32"), gradient(size, 3, "float32")
    out, add_to = np.zeros((3, *size[::-1]), "f").T, np.ones((4, *size[::-1]), "f").T
    assert cpu.norm_relu_conv_forward(*args, out=out)[0] is out
    close(out, reference.norm_relu_conv_forward(*args)[0], "float32", tolerance=10)
    assert cpu.norm_relu_conv_backward(dy, moments, *args, add_to=add_to)[0] is add_to
    expected = reference.norm_relu_conv_backward(dy, moments, *args)[0]
    close(add_to, expected + 1, "float32", tolerance=10)


@pytest.mark.parametrize("filter_size", [1, 3])
def test_backward_masks_exactly_what_the_forward_cut(filter_size):
    """Values crowd around the kink. With weights of 1 and dy = 1, dbeta counts the pixels that passed."""
    x, c = normal((1, 40, 40, 8), "float32", 0), 8
    gamma, mean, var = (normal((c,), "float32", seed) for seed in range(1, 4))
    scale = gamma / np.sqrt(var**2 + np.float64(EPS))
    beta = (-(x[0, 0, 0] - mean) * scale).astype("f")
    x = np.where(np.arange(40)[:, None] % 3, np.nextafter(x[0, 0, 0], x), x)
    norm = gamma, beta, mean, var**2, EPS
    one = np.zeros((c, filter_size, filter_size, c), "f")
    one[range(c), filter_size // 2, filter_size // 2, range(c)] = 1
    y, *_ = cpu.norm_relu_conv_forward(x, *norm, one)
    dx, _, dbeta, _ = cpu.norm_relu_conv_backward(np.ones_like(x), None, x, *norm, one)
    passed = cpu.batch_norm_apply(x, *norm, True) > 0
    assert 0 < passed.sum() < passed.size
    assert np.abs(dbeta - (dx != 0).sum((0, 1, 2))).max() < 0.01
    if filter_size == 1:
        assert np.array_equal(y > 0, dx != 0)


@pytest.mark.parametrize("filter_size", [1, 3])
@pytest.mark.parametrize("offset, bound", [(1, 1e-5), (30, 1e-2)])
def test_variance_of_outputs_far_from_zero(filter_size, offset, bound):
    args = unit((8, 20, 20), 24, 16, filter_size, "float32", offset=offset)
    y, mean, var = cpu.norm_relu_conv_forward(*args, True)
    y = y.astype("d").reshape(-1, 16)
    assert np.abs(var / y.var(0) - 1).max() < bound and np.abs(mean / y.mean(0) - 1).max() < 1e-6


@pytest.mark.parametrize("filter_size, dtype", [(5, "float32"), (3, "float64")])
def test_what_is_not_fused_is_composed(filter_size, dtype):
    args, (dy, moments) = unit((2, 6, 5), 3, 4, filter_size, dtype), gradient((2, 6, 5), 4, dtype)
    assert fused.engine_for(args[0], args[-1]) is None
    for a, b in zip(cpu.norm_relu_conv_forward(*args, True), reference.norm_relu_conv_forward(*args, True)):
        close(a, b, dtype, tolerance=10)
    add_to = np.ones_like(args[0])
    actual = cpu.norm_relu_conv_backward(dy, moments, *args, add_to=add_to)
    for a, b in zip(actual, reference.norm_relu_conv_backward(dy, moments, *args, add_to=np.ones_like(args[0]))):
        close(a, b, dtype, tolerance=10)


@pytest.mark.parametrize("size", [FEW, MANY])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_input_that_is_not_finite_shows(bad, size):
    args = unit(size, 4, 4, 1, "float32")
    args[0][0, 2, 3, 1] = bad if args[1][1] > 0 else -bad
    y, mean, var = cpu.norm_relu_conv_forward(*args, True)
    assert not np.isfinite(y[0, 2, 3]).any() and np.isfinite(y).sum() == y.size - 4
    assert not np.isfinite(mean).any() and not np.isfinite(var).any()


@pytest.mark.skipif(runtime.numba.config.NUMBA_NUM_THREADS < 2, reason="this machine has one core")
@pytest.mark.parametrize("filter_size", [1, 3])
@pytest.mark.parametrize("size, c, k", [((3, 31, 17), 40, 24), ((8, 32, 32), 300, 12), ((2, 7, 7), 150, 130)])
def test_the_number_of_threads_changes_nothing(filter_size, size, c, k):
    args, (dy, moments) = unit(size, c, k, filter_size, "float32"), gradient(size, k, "float32")
    threads, results = runtime.get_num_threads(), []
    for n in (1, 2):
        runtime.set_num_threads(n)
        forward = cpu.norm_relu_conv_forward(*args, True)
        results.append((*forward, *cpu.norm_relu_conv_backward(dy, moments, *args)))
    runtime.set_num_threads(threads)
    assert all(np.array_equal(a, b) for a, b in zip(*results))


def test_empty_batch():
    vector, w, x = np.ones(3, "f"), np.ones((2, 3, 3, 3), "f"), np.empty((0, 4, 4, 3), "f")
    y, *_ = cpu.norm_relu_conv_forward(x, vector, vector, vector, vector, EPS, w)
    dx, dgamma, dbeta, dw = cpu.norm_relu_conv_backward(y, None, x, vector, vector, vector, vector, EPS, w)
    assert y.shape == (0, 4, 4, 2) and dx.shape == x.shape
    assert not dgamma.any() and not dbeta.any() and not dw.any()
