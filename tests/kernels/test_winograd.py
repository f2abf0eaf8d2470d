"""Winograd's F(4x4, 3x3): its matrices, its accuracy, its edges, and where it is chosen."""

import numpy as np
import pytest
from conv_checks import check_all_passes, close, in_slice, normal, untouched_around

from kernels import cpu, reference
from kernels.cpu.convolution import winograd
from kernels.cpu.convolution.winograd_transform import FILTER, INPUT, OUTPUT

HOW = ((1, 1), (1, 1), (1, 1), 1)


WINOGRAD = {
    "whole patches": ((2, 8, 8, 16), (16, 3, 3, 16), (1, 1), (1, 1), (1, 1), 1),
    "parts of patches": ((2, 9, 11, 24), (40, 3, 3, 24), (1, 1), (1, 1), (1, 1), 1),
    "a long sum": ((3, 7, 7, 512), (48, 3, 3, 512), (1, 1), (1, 1), (1, 1), 1),
    "no padding": ((2, 13, 13, 64), (48, 3, 3, 64), (1, 1), (0, 0), (1, 1), 1),
    "more padding than filter": ((2, 6, 5, 16), (16, 3, 3, 16), (1, 1), (2, 3), (1, 1), 1),
    "one pixel": ((1, 1, 1, 16), (16, 3, 3, 16), (1, 1), (1, 1), (1, 1), 1),
    "several portions": ((2, 57, 57, 256), (64, 3, 3, 256), (1, 1), (1, 1), (1, 1), 1),
}


@pytest.mark.parametrize("case", WINOGRAD.values(), ids=WINOGRAD)
def test_winograd(case, monkeypatch):
    monkeypatch.setattr(winograd, "MODE", "1")
    check_all_passes(case, np.float32, seed=1, tolerance=1e-5)


def test_the_matrices_are_those_of_a_correlation():
    """y = A^T [(G g) * (B^T d)]: four sums of three products from six; the constants are rounded to float32."""
    a, g, b = (np.array(m) for m in (OUTPUT, FILTER, INPUT))
    d, f = np.random.default_rng(0).standard_normal((2, 6))
    np.testing.assert_allclose(a @ ((g @ f[:3]) * (b @ d)), np.correlate(d, f[:3], "valid"), rtol=0, atol=5e-7)


@pytest.mark.parametrize("n, size, c", [(2, 28, 64), (2, 14, 256)])
def test_accuracy(n, size, c, monkeypatch):
    """Error of the largest value: with the points 0, 1, -1, 2, -2 it was 5e-6 to 1.3e-5; a direct sum has 6e-7."""
    monkeypatch.setattr(winograd, "MODE", "1")
    rng = np.random.default_rng(1)
    x, dy = np.maximum(normal(rng, (n, size, size, c), np.float32), 0), normal(rng, (n, size, size, c), np.float32)
    w = normal(rng, (c, 3, 3, c), np.float32) * np.float32((2 / 9 / c) ** 0.5)
    exact = passes(reference, *(a.astype("d") for a in (x, w, dy)))
    for found, right, most in zip(passes(cpu, x, w, dy), exact, (3.5e-6, 4e-6, 3.5e-6)):
        close(found, right, np.float32, most)


def passes(kernels, x, w, dy):
    dx, dw = kernels.conv2d_backward_input(dy, w, x.shape, *HOW), kernels.conv2d_backward_weight(dy, x, w.shape, *HOW)
    return kernels.conv2d_forward(x, w, None, *HOW), dx, dw


def test_winograd_out_bias_relu_and_repeat(monkeypatch):
    monkeypatch.setattr(winograd, "MODE", "1")
    rng, how = np.random.default_rng(9), ((1, 1), (1, 1), (1, 1), 1)
    x, w, b = (normal(rng, s, np.float32) for s in ((2, 10, 7, 32), (48, 3, 3, 32), (48,)))
    y, wide = in_slice(np.zeros((2, 10, 7, 48), np.float32), 3, 5)
    assert cpu.conv2d_forward(x, w, b, *how, relu=True, out=y) is y
    close(y, reference.conv2d_forward(x, w, b, *how, relu=True), np.float32, 1e-5)
    assert untouched_around(wide, 3, 48)
    assert np.array_equal(y, cpu.conv2d_forward(x, w, b, *how, relu=True))
    dy = np.ascontiguousarray(y)
    first, second = (cpu.conv2d_backward_weight(dy, x, w.shape, *how) for _ in range(2))
    assert np.array_equal(first, second)


def test_winograd_only_where_it_applies_and_is_wanted(monkeypatch):
    w_shape, how, y_shape = (64, 3, 3, 64), ((1, 1), (1, 1), 1), (2, 14, 14, 64)
    monkeypatch.setattr(winograd, "MODE", None)
    assert winograd.chosen(w_shape, *how, np.dtype("f4"), y_shape)
    assert not winograd.chosen(w_shape, *how, np.dtype("f8"), y_shape)
    assert not winograd.chosen(w_shape, (2, 2), *how[1:], np.dtype("f4"), y_shape)
    assert not winograd.chosen((64, 3, 3, 67), *how, np.dtype("f4"), y_shape)
    assert not winograd.chosen(w_shape, *how, np.dtype("f4"), (1, 14, 14, 64))
    assert not winograd.chosen(w_shape, *how, np.dtype("f4"), (99, 5, 5, 64))
    monkeypatch.setattr(winograd, "MODE", "0")
    assert not winograd.chosen(w_shape, *how, np.dtype("f4"), y_shape)
