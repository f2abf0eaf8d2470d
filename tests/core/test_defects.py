"""Defects found in other frameworks, each with one regression test here (on both kernels)."""

from functools import partial

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor, ops
from minigrad.gradcheck import gradcheck

pytestmark = pytest.mark.usefixtures("kernels")


def image(*values):
    """A one-channel image (1, H, W, 1)."""
    return np.array(values, dtype=np.float64)[None, :, :, None]


def test_max_pool_pads_with_minus_infinity_not_with_zero():
    x = Tensor(image([-1.0, -2.0], [-3.0, -4.0]), requires_grad=True)
    y = ops.max_pool2d(x, kernel_size=2, stride=2, padding=1)
    np.testing.assert_array_equal(y.data[0, :, :, 0], [[-1, -2], [-3, -4]])
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, np.ones_like(x.data))


def test_of_tied_maxima_exactly_one_gets_the_gradient_the_first_in_scan_order():
    x = Tensor(image([5.0, 5.0, 1.0], [5.0, 5.0, 1.0]), requires_grad=True)
    ops.max_pool2d(x, kernel_size=2, stride=1).sum().backward()
    np.testing.assert_array_equal(x.grad[0, :, :, 0], [[1, 1, 0], [0, 0, 0]])


def test_max_pool_does_not_hide_nan():
    x = Tensor(image([1.0, np.nan], [3.0, 2.0]))
    assert np.isnan(ops.max_pool2d(x, kernel_size=2).data).all()


def test_batch_norm_backward_in_evaluation_mode_treats_the_statistics_as_constants():
    rng = np.random.default_rng(0)
    x, gamma, beta = (Tensor(rng.standard_normal(s), requires_grad=True) for s in ((4, 3, 3, 2), (2,), (2,)))
    var = np.array([4.0, 0.25])
    settings = dict(running_mean=mg.tensor(np.array([1.0, -1.0])), running_var=mg.tensor(var), training=False, eps=0.0)
    dy = rng.standard_normal(x.shape)
    ops.batch_norm(x, gamma, beta, **settings).backward(dy)
    np.testing.assert_allclose(x.grad, dy * gamma.data / np.sqrt(var))


@pytest.mark.parametrize("hw, size, stride, padding", [((5, 8), (3, 2), 1, (1, 0)), ((9, 4), (1, 4), (2, 1), (0, 2))])
def test_convolution_backward_is_right_for_oblong_images_and_filters(hw, size, stride, padding):
    rng = np.random.default_rng(0)
    x, w = (Tensor(rng.standard_normal(s), requires_grad=True) for s in ((2, *hw, 3), (4, *size, 3)))
    gradcheck(partial(ops.conv2d, stride=stride, padding=padding), [x, w], linear=True)


def test_the_output_size_is_rounded_down_when_the_stride_does_not_divide():
    x, w = Tensor(np.ones((1, 224, 224, 1))), Tensor(np.ones((1, 7, 7, 1)), requires_grad=True)
    y = ops.conv2d(x, w, stride=2, padding=3)
    assert y.shape == (1, 112, 112, 1)
    y.sum().backward()
    assert w.grad[0, 3, 3, 0] == 112 * 112  # the middle of the filter never meets the padding


def test_the_running_variance_is_unbiased():
    x = Tensor(np.array([[1.0], [2.0], [6.0]]))
    mean, var = mg.tensor(np.zeros(1)), mg.tensor(np.ones(1))
    one, zero = Tensor(np.ones(1)), Tensor(np.zeros(1))
    ops.batch_norm(x, one, zero, running_mean=mean, running_var=var, momentum=0.1)
    assert mean.item() == pytest.approx(0.1 * 3.0)
    assert var.item() == pytest.approx(0.9 * 1 + 0.1 * 7.0)  # ((1-3)^2 + (2-3)^2 + (6-3)^2) / (3 - 1)


def test_the_batch_is_normalised_with_the_biased_variance():
    x = np.array([[1.0], [2.0], [6.0]])
    y = ops.batch_norm(Tensor(x), Tensor(np.ones(1)), Tensor(np.zeros(1)), eps=0.0)
    np.testing.assert_allclose(y.data, (x - 3) / np.sqrt(14 / 3))


def test_backward_twice_and_intermediate_gradients_are_possible():
    x = Tensor(np.array([[1.0, -2.0]]), requires_grad=True)
    mid = ops.relu(x * 3.0)
    mid.retain_grad()
    y = mid.sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_array_equal(mid.grad, [[2, 2]])
    np.testing.assert_array_equal(x.grad, [[6, 0]])


def test_every_image_of_a_batch_counts_in_the_gradients_of_weight_and_bias():
    rng = np.random.default_rng(0)
    x, w, b = rng.standard_normal((3, 4, 4, 2)), rng.standard_normal((2, 3, 3, 2)), rng.standard_normal(2)

    def gradients(images):
        tensors = [Tensor(images), Tensor(w, requires_grad=True), Tensor(b, requires_grad=True)]
        ops.conv2d(*tensors, padding=1).sum().backward()
        return tensors[1].grad, tensors[2].grad

    whole, parts = gradients(x), [gradients(x[i : i + 1]) for i in range(3)]
    for got, each in zip(whole, zip(*parts)):
        np.testing.assert_allclose(got, sum(each), rtol=1e-12)


def test_convolution_does_not_flip_its_filter():
    x = np.zeros((1, 3, 3, 1))
    x[0, 0, 2, 0] = 1
    w = np.arange(9.0).reshape(1, 3, 3, 1)
    assert ops.conv2d(Tensor(x), Tensor(w)).item() == w[0, 0, 2, 0]


def test_dropout_keeps_the_mean_and_drops_the_share_that_it_says():
    x = Tensor(np.ones((200, 200)), requires_grad=True)
    y = ops.dropout(x, p=0.3, seed=11)
    assert set(np.unique(y.data)) == {0, 1 / 0.7}
    assert (y.data == 0).mean() == pytest.approx(0.3, abs=0.01) and y.data.mean() == pytest.approx(1, abs=0.02)
    y.backward(np.ones(y.shape))
    np.testing.assert_array_equal(x.grad, y.data)  # dropped the same, rescaled the same
    assert (ops.dropout(x, p=0.3, seed=12).data != y.data).any()


def test_concat_gives_each_branch_its_own_gradient():
    a, b, c = (Tensor(np.zeros((1, 1, 1, n)), requires_grad=True) for n in (2, 1, 3))
    ops.concat(a, b, c).backward(np.arange(6.0).reshape(1, 1, 1, 6))
    assert [t.grad.ravel().tolist() for t in (a, b, c)] == [[0, 1], [2], [3, 4, 5]]
