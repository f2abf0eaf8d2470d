"""Pooling and local response normalisation on the CPU against the reference in float64."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import DTYPES, LAYOUTS, SHAPES, agrees, close, exact, laid_out, normal, quick

from kernels import cpu, reference
from kernels.shapes import window_counts


# ------------------------------------------------------------------------------------- local response norm
@given(SHAPES, DTYPES, LAYOUTS, st.sampled_from([1, 2, 3, 5, 8, 31]), st.sampled_from([0.75, 0.5, 1.3]))
@quick
def test_local_response_norm(shape, dtype, layout, size, beta):
    x, dy = (laid_out(normal(shape, dtype, seed), layout) for seed in range(2))
    _, d = agrees("local_response_norm_forward", x, size, 0.7, beta, 2.0, dtype=dtype)
    agrees("local_response_norm_backward", dy, x, d, size, 0.7, beta, dtype=dtype, tolerance=5)


# ------------------------------------------------------------------------------------- pooling
@st.composite
def poolings(draw, most_dilation=1):
    """x shape, size, stride, padding, dilation, ceil_mode with at least one window."""
    size, stride, dilation = ([draw(st.integers(1, n)) for _ in range(2)] for n in (4, 3, most_dilation))
    padding = [draw(st.integers(0, k // 2)) for k in size]
    hw = [max(1, d * (k - 1) + 1 - 2 * p) + draw(st.integers(0, 9)) for k, p, d in zip(size, padding, dilation)]
    x_shape = draw(st.sampled_from([0, 1, 2])), *hw, draw(st.sampled_from([1, 3, 12, 16, 37, 300]))
    return x_shape, tuple(size), tuple(stride), tuple(padding), tuple(dilation), draw(st.booleans())


@given(poolings(most_dilation=2), DTYPES, LAYOUTS, st.booleans())
@quick
def test_max_pool(case, dtype, layout, with_nan):
    """Few different values, so that ties abound."""
    x_shape, *window, ceil_mode = case
    x = np.random.default_rng(0).integers(-2, 3, x_shape).astype(dtype)
    x[..., -1] = -np.inf
    if with_nan:
        x[np.random.default_rng(1).random(x_shape) < 0.1] = np.nan
    x = laid_out(x, layout)
    y, winner = cpu.max_pool2d_forward(x, *window, ceil_mode)
    expected, expected_winner = reference.max_pool2d_forward(x, *window, ceil_mode)
    assert np.array_equal(y, expected, equal_nan=True) and y.dtype == x.dtype
    assert np.array_equal(winner, expected_winner) and winner.dtype == expected_winner.dtype
    dy = laid_out(normal(y.shape, dtype, 2), layout)
    agrees("max_pool2d_backward", dy, winner, x_shape, *window, dtype=dtype)


def test_max_pool_with_more_taps_than_a_byte_counts():
    x = normal((1, 20, 18, 3), "float32", 0)
    how = (17, 16), (1, 1), (0, 0), (1, 1)
    y, winner = agrees("max_pool2d_forward", x, *how, False, dtype="float32")
    assert winner.dtype == np.int32 and winner.max() > 255
    agrees("max_pool2d_backward", y, winner, x.shape, *how, dtype="float32")


@given(poolings(), DTYPES, LAYOUTS, st.booleans())
@quick
def test_avg_pool(case, dtype, layout, count_include_pad):
    x_shape, size, stride, padding, _, ceil_mode = case
    x = laid_out(normal(x_shape, dtype, 0), layout)
    how = size, stride, padding
    y = agrees("avg_pool2d_forward", x, *how, ceil_mode, count_include_pad, dtype=dtype)
    dy = laid_out(normal(y.shape, dtype, 1), layout)
    agrees("avg_pool2d_backward", dy, x_shape, *how, count_include_pad, dtype=dtype)


@given(poolings(), DTYPES, LAYOUTS, st.sampled_from(list(itertools.product((1, 2, 5, 7), repeat=2))))
@quick
def test_adaptive_avg_pool(case, dtype, layout, output_size):
    x_shape, *_ = case
    x = laid_out(normal(x_shape, dtype, 0), layout)
    y = agrees("adaptive_avg_pool2d_forward", x, output_size, dtype=dtype)
    agrees("adaptive_avg_pool2d_backward", laid_out(normal(y.shape, dtype, 1), layout), x_shape, dtype=dtype)


@pytest.mark.parametrize("size, stride, padding", [(1, 3, 0), (2, 1, 3)])
def test_avg_pool_of_pixels_in_no_window_and_windows_without_pixels(size, stride, padding):
    """Where nothing is added up there must still be zeros, not what the memory held before."""
    x, how = normal((1, 7, 7, 5), "float32", 0), ((size, size), (stride, stride), (padding, padding))
    out = cpu.avg_pool2d_forward(x, *how, False, True)
    out[...] = np.nan
    cpu.avg_pool2d_forward(x, *how, False, True, out=out)
    close(out, exact("avg_pool2d_forward", x, *how, False, True), "float32")
    agrees("avg_pool2d_backward", out, x.shape, *how, True, dtype="float32")


def test_poolings_of_the_architectures():
    for hw, size, stride, padding, ceil_mode in (
        ((55, 55), 3, 2, 0, False),
        ((112, 112), 3, 2, 1, False),
        ((112, 112), 3, 2, 0, True),
        ((28, 28), 3, 1, 1, False),
    ):
        how = (size, size), (stride, stride), (padding, padding)
        x = normal((2, *hw, 24), "float32", 0)
        y, winner = agrees("max_pool2d_forward", x, *how, (1, 1), ceil_mode, dtype="float32")
        assert y.shape[1:3] == window_counts(hw, *how, (1, 1), ceil_mode)
        agrees("max_pool2d_backward", y, winner, x.shape, *how, (1, 1), dtype="float32")
