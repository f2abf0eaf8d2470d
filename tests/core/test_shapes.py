"""Odd shapes: empty batches, single images, scalars, images of one pixel, random geometry (hypothesis)."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import Tensor, ops

sizes = st.integers(1, 9)
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def geometries(draw):
    """(x shape, w shape, settings) of a convolution in which the window fits at least once."""
    groups = draw(st.integers(1, 3))
    channels, filters = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    stride, dilation, size = draw(pairs), draw(pairs), draw(pairs)
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    hw = draw(st.tuples(sizes, sizes))
    assume(all(n + 2 * p >= d * (k - 1) + 1 for n, p, d, k in zip(hw, padding, dilation, size)))
    x = (draw(st.integers(1, 3)), *hw, channels)
    w = (filters, *size, channels // groups)
    return x, w, dict(stride=stride, padding=padding, dilation=dilation, groups=groups)


@settings(deadline=None, max_examples=60)
@given(geometries(), st.sampled_from(["reference", "cpu"]))
def test_convolution_passes_are_adjoint(geometry, kernels):
    """<conv(x, w), dy> = <x, dx> = <w, dw>: the three passes are one trilinear form, whatever the geometry."""
    x_shape, w_shape, params = geometry
    rng = np.random.default_rng(0)
    x, w = (Tensor(rng.standard_normal(s), requires_grad=True) for s in (x_shape, w_shape))
    with mg.use_kernels(kernels):
        y = ops.conv2d(x, w, **params)
        dy = rng.standard_normal(y.shape)
        y.backward(dy)
    form = np.vdot(y.data, dy)
    assert np.vdot(x.data, x.grad) == pytest.approx(form, rel=1e-9, abs=1e-9)
    assert np.vdot(w.data, w.grad) == pytest.approx(form, rel=1e-9, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(st.tuples(sizes, sizes), pairs, pairs, st.booleans(), st.booleans(), st.sampled_from(["reference", "cpu"]))
def test_average_pooling_is_adjoint_and_keeps_a_constant_image(hw, size, stride, ceil_mode, include, kernels):
    padding = tuple(k // 2 for k in size)
    x = Tensor(np.random.default_rng(0).standard_normal((2, *hw, 3)), requires_grad=True)
    params = dict(kernel_size=size, stride=stride, padding=padding, ceil_mode=ceil_mode, count_include_pad=include)
    with mg.use_kernels(kernels):
        y = ops.avg_pool2d(x, **params)
        dy = np.random.default_rng(1).standard_normal(y.shape)
        y.backward(dy)
        if not include:
            constant = ops.avg_pool2d(Tensor(np.full(x.shape, 7.0)), **params)
            np.testing.assert_allclose(constant.data, 7, rtol=1e-12)
    assert np.vdot(x.data, x.grad) == pytest.approx(np.vdot(y.data, dy), rel=1e-9, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(st.tuples(sizes, sizes), pairs, pairs, pairs, st.booleans(), st.sampled_from(["reference", "cpu"]))
def test_max_pooling_sends_each_gradient_to_one_pixel(hw, size, stride, dilation, ceil_mode, kernels):
    padding = tuple(k // 2 if d == 1 else 0 for k, d in zip(size, dilation))  # no window in the padding alone
    assume(all(n + 2 * p >= d * (k - 1) + 1 for n, p, d, k in zip(hw, padding, dilation, size)))
    x = Tensor(np.random.default_rng(0).standard_normal((2, *hw, 3)), requires_grad=True)
    params = dict(kernel_size=size, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)
    with mg.use_kernels(kernels):
        y = ops.max_pool2d(x, **params)
        y.sum().backward()
    assert y.data.max() <= x.data.max()
    assert x.grad.sum() == y.size
    assert np.vdot(x.grad, x.data) == pytest.approx(y.data.sum())  # the gradient went to what was taken


@pytest.mark.parametrize("n", [0, 1])
def test_empty_batches_and_single_images(n, kernels):
    x = Tensor(np.ones((n, 6, 5, 4)), requires_grad=True)
    w = Tensor(np.ones((3, 3, 3, 4)), requires_grad=True)
    gamma, beta = Tensor(np.ones(3), requires_grad=True), Tensor(np.zeros(3), requires_grad=True)
    y = ops.conv2d(x, w, padding=1)
    running = dict(running_mean=mg.tensor(np.zeros(3)), running_var=mg.tensor(np.ones(3)))
    y = ops.batch_norm_relu(y, gamma, beta, training=False, **running)
    y = ops.concat(ops.max_pool2d(y, kernel_size=2), ops.avg_pool2d(y, kernel_size=2))
    y = ops.adaptive_avg_pool2d(y, output_size=1).reshape(n, 6)
    y = ops.linear_relu(y, Tensor(np.ones((2, 6))))
    assert y.shape == (n, 2)
    y.sum().backward()
    assert x.grad.shape == x.shape and w.grad.shape == w.shape and gamma.grad.shape == (3,)
    assert (w.grad != 0).any() == bool(n)


def test_images_of_one_pixel(kernels):
    x, w = (Tensor(np.full(s, 2.0), requires_grad=True) for s in ((2, 1, 1, 3), (4, 3, 3, 3)))
    y = ops.conv2d(x, w, padding=1)
    assert y.shape == (2, 1, 1, 4) and (y.data == 12).all()
    y.sum().backward()
    assert (x.grad == 8).all() and w.grad[:, 1, 1].sum() == 4 * 3 * 4 and np.count_nonzero(w.grad) == 12


def test_scalars():
    x = Tensor(np.array(2.0), requires_grad=True)
    y = ops.exp(x * x) / 2
    assert y.shape == () and isinstance(y.data, np.ndarray)
    y.backward()
    assert x.grad == pytest.approx(2 * np.exp(4.0))


def test_a_channel_slice_of_a_wider_image(kernels):
    wide = np.random.default_rng(0).standard_normal((2, 5, 5, 7))
    w = Tensor(np.random.default_rng(1).standard_normal((3, 3, 3, 4)))
    got = ops.conv2d(Tensor(wide[..., 2:6]), w, padding=1).data
    np.testing.assert_allclose(got, ops.conv2d(Tensor(wide[..., 2:6].copy()), w, padding=1).data, rtol=1e-12)
