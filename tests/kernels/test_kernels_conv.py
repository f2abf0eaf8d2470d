"""The compute-bound CPU kernels against the reference in float64: convolution and fully-connected layers."""

import inspect

import numpy as np
import pytest
from conv_checks import check_all_passes, close, in_slice, normal, untouched_around
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import cpu, reference
from kernels.shapes import window_counts

NAMES = [f"{op}_{which}" for op in ("conv2d", "linear") for which in ("forward", "backward_input", "backward_weight")]


@st.composite
def convolutions(draw):
    """x shape, w shape, stride, padding, dilation, groups of a convolution with at least one output pixel."""
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    c, k = (groups * draw(st.sampled_from([1, 2, 3, 6, 17, 33])) for _ in range(2))
    size, stride, dilation = ([draw(st.integers(1, n)) for _ in range(2)] for n in (5, 3, 2))
    padding = [draw(st.integers(0, 3)) for _ in range(2)]
    least = [max(1, d * (f - 1) + 1 - 2 * p) for d, f, p in zip(dilation, size, padding)]
    hw = [n + draw(st.integers(0, 12)) for n in least]
    x, w = (draw(st.integers(1, 3)), *hw, c), (k, *size, c // groups)
    return x, w, tuple(stride), tuple(padding), tuple(dilation), groups


@pytest.mark.parametrize("name", NAMES)
def test_signature_is_the_references(name):
    assert inspect.signature(getattr(cpu, name)) == inspect.signature(getattr(reference, name))
    assert getattr(cpu, name) is not getattr(reference, name)


@given(convolutions(), st.sampled_from([np.float32, np.float64]), st.integers(0, 5))
@settings(deadline=None, max_examples=150)
def test_any_convolution(case, dtype, seed):
    check_all_passes(case, dtype, seed)


ARCHITECTURES = {
    "AlexNet's first": ((2, 64, 61, 3), (20, 11, 11, 3), (4, 4), (2, 2), (1, 1), 1),
    "ResNet's first": ((2, 40, 42, 3), (64, 7, 7, 3), (2, 2), (3, 3), (1, 1), 1),
    "LeNet's first": ((3, 28, 28, 1), (6, 5, 5, 1), (1, 1), (2, 2), (1, 1), 1),
    "VGG's last": ((3, 14, 14, 130), (70, 3, 3, 130), (1, 1), (1, 1), (1, 1), 1),
    "bottleneck, many channels": ((2, 7, 7, 520), (140, 1, 1, 520), (1, 1), (0, 0), (1, 1), 1),
    "projection shortcut": ((2, 15, 14, 64), (130, 1, 1, 64), (2, 2), (0, 0), (1, 1), 1),
    "strided 3x3": ((2, 33, 47, 40), (48, 3, 3, 40), (2, 2), (1, 1), (1, 1), 1),
    "inception 5x5": ((3, 28, 28, 16), (32, 5, 5, 16), (1, 1), (2, 2), (1, 1), 1),
    "1x7": ((2, 17, 17, 24), (33, 1, 7, 24), (1, 1), (0, 3), (1, 1), 1),
    "7x1": ((2, 17, 17, 24), (33, 7, 1, 24), (1, 1), (3, 0), (1, 1), 1),
    "depthwise": ((2, 19, 23, 40), (40, 3, 3, 1), (1, 1), (1, 1), (1, 1), 40),
    "depthwise, strided": ((2, 19, 23, 17), (17, 3, 3, 1), (2, 2), (1, 1), (1, 1), 17),
    "two filters for each channel": ((2, 9, 9, 12), (24, 3, 3, 1), (1, 1), (1, 1), (1, 1), 12),
    "one pixel": ((1, 1, 1, 1), (1, 1, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "more padding than filter": ((2, 4, 5, 3), (5, 2, 2, 3), (1, 1), (3, 3), (1, 1), 1),
    "dilated": ((2, 20, 20, 16), (16, 3, 3, 16), (1, 1), (2, 2), (2, 2), 1),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_convolutions_of_the_architectures(case, dtype):
    check_all_passes(case, dtype, seed=1)


@pytest.mark.parametrize("stride", [(1, 1), (2, 2)])
@pytest.mark.parametrize("channels", [1, 8, 33])
@pytest.mark.parametrize("size", [1, 3])
def test_out_is_written_and_nothing_around_it(size, channels, stride):
    rng = np.random.default_rng(2)
    x_shape, w_shape, how = (2, 9, 8, channels), (19, size, size, channels), (stride, (size // 2,) * 2, (1, 1), 1)
    x, w = normal(rng, x_shape, np.float32), normal(rng, w_shape, np.float32)
    y_shape = 2, *window_counts((9, 8), (size, size), *how[:3]), 19
    y, y_wide = in_slice(np.zeros(y_shape, np.float32), 3, 5)
    dx, dx_wide = in_slice(np.zeros(x_shape, np.float32), 3, 5)
    dy = normal(rng, y_shape, np.float32)

    assert cpu.conv2d_forward(x, w, None, *how, out=y) is y
    assert cpu.conv2d_backward_input(dy, w, x_shape, *how, out=dx) is dx

    close(y, reference.conv2d_forward(x, w, None, *how), np.float32)
    close(dx, reference.conv2d_backward_input(dy, w, x_shape, *how), np.float32)
    assert untouched_around(y_wide, 3, 19) and untouched_around(dx_wide, 3, channels)


@pytest.mark.parametrize("size", [1, 3])
def test_bias_and_relu(size):
    rng = np.random.default_rng(3)
    x, w, b = (normal(rng, s, np.float32) for s in ((2, 9, 11, 20), (35, size, size, 20), (35,)))
    how = (1, 1), (1, 1), (1, 1), 1
    y = cpu.conv2d_forward(x, w, b, *how, relu=True)
    close(y, reference.conv2d_forward(x, w, b, *how, relu=True), np.float32)
    assert (y >= 0).all() and (y == 0).any()


def test_relu_keeps_nan_visible():
    x, w = np.full((1, 4, 4, 3), np.nan, np.float32), np.ones((5, 3, 3, 3), np.float32)
    assert np.isnan(cpu.conv2d_forward(x, w, None, (1, 1), (1, 1), (1, 1), 1, relu=True)).all()


def test_any_layout_is_accepted():
    rng = np.random.default_rng(4)
    x = normal(rng, (2, 6, 9, 8), np.float32).transpose(0, 3, 2, 1)
    w = normal(rng, (6, 3, 3, 7), np.float32).transpose(3, 1, 2, 0)
    how = (1, 1), (1, 1), (1, 1), 1
    out = np.zeros((2, 7, 9, 8), np.float32).transpose(0, 3, 2, 1)
    close(cpu.conv2d_forward(x, w, None, *how, out=out), reference.conv2d_forward(x, w, None, *how), np.float32)
    dy = normal(rng, (2, 7, 9, 8), np.float32).transpose(0, 3, 2, 1)
    dx, dw = cpu.conv2d_backward_input(dy, w, x.shape, *how), cpu.conv2d_backward_weight(dy, x, w.shape, *how)
    close(dx, reference.conv2d_backward_input(dy, w, x.shape, *how), np.float32)
    close(dw, reference.conv2d_backward_weight(dy, x, w.shape, *how), np.float32)


def test_empty_batch():
    x, w, how = np.zeros((0, 9, 9, 3), np.float32), np.ones((4, 3, 3, 3), np.float32), ((1, 1), (1, 1), (1, 1), 1)
    y = cpu.conv2d_forward(x, w, None, *how)
    assert y.shape == (0, 9, 9, 4)
    assert cpu.conv2d_backward_input(y, w, x.shape, *how).shape == x.shape
    dw = cpu.conv2d_backward_weight(y, x, w.shape, *how)
    assert dw.shape == w.shape and not dw.any()


@pytest.mark.parametrize("case", [ARCHITECTURES["VGG's last"], ARCHITECTURES["strided 3x3"]])
def test_repeats_bit_for_bit(case):
    x_shape, w_shape, *how = case
    rng = np.random.default_rng(5)
    x, w = normal(rng, x_shape, np.float32), normal(rng, w_shape, np.float32)
    dy = normal(rng, cpu.conv2d_forward(x, w, None, *how).shape, np.float32)

    def run():
        dx, dw = cpu.conv2d_backward_input(dy, w, x_shape, *how), cpu.conv2d_backward_weight(dy, x, w_shape, *how)
        return cpu.conv2d_forward(x, w, None, *how), dx, dw

    first = run()
    for _ in range(3):
        assert all(np.array_equal(a, b) for a, b in zip(first, run()))


def test_long_sums_stay_accurate():
    """A weight gradient adds up 50,000 pixels; in one float32 chain the error would reach 1e-5 and more."""
    rng = np.random.default_rng(6)
    x, dy = np.abs(normal(rng, (4, 112, 112, 8), np.float32)), np.abs(normal(rng, (4, 112, 112, 8), np.float32))
    dw = cpu.conv2d_backward_weight(dy, x, (8, 1, 1, 8), (1, 1), (0, 0), (1, 1), 1)
    exact = reference.conv2d_backward_weight(dy.astype("d"), x.astype("d"), (8, 1, 1, 8), (1, 1), (0, 0), (1, 1), 1)
    close(dw, exact, np.float32, 2e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lead", [(), (1,), (8,), (32,), (33,), (2, 5)])
@pytest.mark.parametrize("sizes", [(1, 1), (300, 70), (33, 17), (1100, 20)])
def test_linear(sizes, lead, dtype):
    (c, k), rng = sizes, np.random.default_rng(7)
    x, w, b, dy = (normal(rng, s, dtype) for s in ((*lead, c), (k, c), (k,), (*lead, k)))
    exact = reference.linear_forward(*(a.astype("d") for a in (x, w, b)))
    close(cpu.linear_forward(x, w, b), exact, dtype)
    close(cpu.linear_forward(x, w, b, relu=True), np.maximum(exact, 0), dtype)
    close(cpu.linear_backward_input(dy, w), reference.linear_backward_input(dy.astype("d"), w.astype("d")), dtype)
    close(cpu.linear_backward_weight(dy, x), reference.linear_backward_weight(dy.astype("d"), x.astype("d")), dtype)


@pytest.mark.parametrize("rows", [3, 40])
def test_linear_out_is_a_slice(rows):
    rng = np.random.default_rng(8)
    x, w, dy = (normal(rng, s, np.float32) for s in ((rows, 50), (21, 50), (rows, 21)))
    y, y_wide = in_slice(np.zeros((rows, 21), np.float32), 2, 9)
    dx, dx_wide = in_slice(np.zeros((rows, 50), np.float32), 2, 9)
    assert cpu.linear_forward(x, w, None, out=y) is y and cpu.linear_backward_input(dy, w, out=dx) is dx
    close(y, x @ w.T, np.float32)
    close(dx, dy @ w, np.float32)
    assert untouched_around(y_wide, 2, 21) and untouched_around(dx_wide, 2, 50)


@pytest.mark.parametrize("rows, c, k", [(0, 5, 3), (2, 0, 3), (2, 5, 0)])
def test_linear_of_nothing(rows, c, k):
    x, w, dy = np.ones((rows, c), np.float32), np.ones((k, c), np.float32), np.ones((rows, k), np.float32)
    assert np.array_equal(cpu.linear_forward(x, w, None), np.full((rows, k), c))
    assert np.array_equal(cpu.linear_backward_input(dy, w), np.full((rows, c), k))
    assert np.array_equal(cpu.linear_backward_weight(dy, x), np.full((k, c), rows))
