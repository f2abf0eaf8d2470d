"""Ops at their kinks, ties and edges, where differences see nothing: what torch has there, forward and backward."""

import math

import numpy as np
import pytest
from places import host, put

from minigrad import Tensor, ops
from minigrad.ops.ordering import argmax, sort, topk


def at(op, *arrays, **settings):
    """The output and the gradient of each input for an incoming gradient of ones."""
    tensors = [Tensor(put(np.array(a, float)), requires_grad=True) for a in arrays]
    y = op(*tensors, **settings)
    y.backward(np.ones(y.shape))
    return [host(y).tolist(), *(host(t.grad).tolist() for t in tensors)]


CASES = [
    (ops.abs, ([-1, 0, 2],), {}, [1, 0, 2], [-1, 0, 1]),
    (ops.l1_loss, ([1, 2], [1, 0]), dict(reduction="sum"), 2, [0, 1], [0, -1]),
    (ops.prelu, ([0, -2], [0.25]), {}, [0, -0.5], [0.25, 0.25], [-2]),
    (ops.relu6, ([0, 6],), {}, [0, 6], [0, 0]),
    (ops.hardtanh, ([-1, 0, 1],), {}, [-1, 0, 1], [0, 1, 0]),
    (ops.hardsigmoid, ([-3, 3],), {}, [0, 1], [0, 0]),
    (ops.hardswish, ([-3, 3],), {}, [0, 3], [0, 1]),
    (ops.clamp, ([1, 2, 3],), dict(min=1, max=3), [1, 2, 3], [0, 1, 0]),
    (ops.clamp, ([0, 4],), dict(min=1, max=3), [1, 3], [0, 0]),
    (ops.maximum, ([1, 2, 3], [2, 2, 1]), {}, [2, 2, 3], [0, 0.5, 1], [1, 0.5, 0]),
    (ops.minimum, ([1, 2, 3], [2, 2, 1]), {}, [1, 2, 1], [1, 0.5, 0], [0, 0.5, 1]),
    (ops.pow, ([0, 0, 1, 2], [2, 0, -1, 0]), {}, [0, 1, 1, 1], [0, 0, -1, 0], [0, 0, 0, math.log(2)]),
    (ops.std, ([2, 2, 2],), {}, 0, [0, 0, 0]),
    (ops.var, ([2, 2, 2],), {}, 0, [0, 0, 0]),
    (ops.norm, ([0, 0],), {}, 0, [0, 0]),
    (ops.norm, ([0, 3],), dict(p=1), 3, [0, 1]),
    (ops.norm, ([0, 3, -4],), {}, 5, [0, 0.6, -0.8]),
    (ops.norm, ([2, -2, 1, 0],), dict(p=math.inf), 2, [0.5, -0.5, 0, 0]),
    (ops.norm, ([[2, -2], [0, 0]],), dict(p=math.inf, dim=1), [2, 0], [[0.5, -0.5], [0, 0]]),
    (ops.norm, ([1e200, 0],), {}, 1e200, [1, 0]),
    (ops.prod, ([0, 3, 2],), {}, 0, [6, 0, 0]),
    (ops.kl_div, ([-1, -2], [0, 1]), dict(reduction="sum"), 2, [0, -1], [2, 3]),
    (ops.softplus, ([-1000, 1000],), {}, [0, 1000], [0, 1]),
    (ops.logsigmoid, ([-1000, 1000],), {}, [-1000, 0], [1, 0]),
    (ops.gelu, ([-40, 0, 40],), {}, [0, 0, 40], [0, 0.5, 1]),
    (ops.elu, ([-1000, 0, 1000],), {}, [-1, 0, 1000], [0, 1, 1]),
    (ops.binary_cross_entropy_with_logits, ([-800, 800], [1, 1]), dict(reduction="none"),
     [800, 0], [-1, 0], [800, -800]),
    (ops.binary_cross_entropy, ([0, 1], [1, 1]), dict(reduction="sum"), 100, [-1e12, 0], [100, -100]),
    (ops.logsumexp, ([1000, 1000],), dict(dim=0), 1000 + math.log(2), [0.5, 0.5]),
]  # fmt: skip


@pytest.mark.parametrize(
    "op, arrays, settings, expected", [(*c[:3], c[3:]) for c in CASES], ids=lambda v: getattr(v, "__name__", None)
)
def test_special_values(op, arrays, settings, expected, place):
    for found, right in zip(at(op, *arrays, **settings), expected):
        np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("x", np.linspace(-38, 8, 47))
def test_gelu_in_the_tails(x, place):
    """To rounding beside the error function of the standard library; erfc keeps the left tail."""
    value, slope = at(ops.gelu, x)
    cdf = math.erfc(-x / math.sqrt(2)) / 2
    density = math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    assert value == pytest.approx(x * cdf, rel=4e-13, abs=1e-300)
    assert slope == pytest.approx(cdf + x * density, rel=4e-13, abs=1e-300)


def test_sorting_keeps_the_order_of_equal_elements(place):
    x = Tensor(put(np.array([[2.0, 1, 2, 3], [0, 0, 1, 0]])), requires_grad=True)
    values, indices = sort(x, descending=True)
    assert host(indices).tolist() == [[3, 0, 2, 1], [2, 0, 1, 3]]
    assert host(values).tolist() == [[3, 2, 2, 1], [1, 0, 0, 0]]
    assert host(sort(x).indices).tolist() == [[1, 0, 2, 3], [0, 1, 3, 2]]
    values.backward(np.array([[10.0, 20, 30, 40], [1, 2, 3, 4]]))
    assert host(x.grad).tolist() == [[20, 40, 30, 10], [2, 3, 1, 4]]


def test_the_k_largest_and_the_k_smallest(place):
    x = Tensor(put(np.array([3.0, 1, 2, 5])), requires_grad=True)
    assert host(topk(x, k=2).values).tolist() == [5, 3] and host(topk(x, k=2).indices).tolist() == [3, 0]
    assert host(topk(x, k=2, largest=False).values).tolist() == [1, 2]
    topk(x, k=2).values.sum().backward()
    assert host(x.grad).tolist() == [1, 0, 0, 1]
    assert topk(x, k=0).values.shape == (0,)


def test_argmax_takes_the_first_and_keeps_axes_on_request():
    x = Tensor(np.array([[1.0, 3, 3], [5, 2, 5]]))
    assert argmax(x).item() == 3
    assert argmax(x, dim=1).data.tolist() == [1, 0]
    assert argmax(x, dim=0, keepdim=True).data.tolist() == [[1, 0, 1]]
    assert argmax(x, keepdim=True).shape == (1, 1)


def test_sums_of_many_float32_numbers(place):
    """A million numbers along an axis that is not the last: to rounding, where adding one by one loses three digits."""
    x = np.random.default_rng(0).random((1_000_000, 2)).astype(np.float32)
    t = Tensor(put(x), requires_grad=True)
    wide = x.astype(float)
    for y, right in [
        (ops.var(t, dim=0), wide.var(0, ddof=1)),
        (ops.std(t, dim=0), wide.std(0, ddof=1)),
        (ops.norm(t, dim=0), np.sqrt((wide * wide).sum(0))),
        (ops.logsumexp(t, dim=0), np.log(np.exp(wide).sum(0))),
        (ops.cumsum(t, dim=0)[-1], wide.sum(0)),
        (ops.mse_loss(t, t * 0), (wide * wide).mean()),
        (ops.nll_loss(t, np.zeros(len(x), int)), -wide[:, 0].mean()),
    ]:
        np.testing.assert_allclose(host(y), right, rtol=3e-7)
    ops.repeat(t[:1], repeats=(1_000_000, 1)).sum().backward()
    assert host(t.grad)[0].tolist() == [1_000_000] * 2


def test_norms_far_from_zero(place):
    """Mean 1000, deviation 1, in float32: normalised to rounding, and the gradient with it."""
    x = (np.random.default_rng(0).standard_normal((1, 256, 256, 4)) + 1000).astype(np.float32)
    wide = x.astype(float)
    right = (wide - wide.mean((1, 2), keepdims=True)) / wide.std((1, 2), keepdims=True)
    t = Tensor(put(x), requires_grad=True)
    y = ops.instance_norm(t, eps=0)
    np.testing.assert_allclose(host(y), right, atol=2e-6)
    y.backward(np.ones(x.shape, np.float32))
    assert np.abs(host(t.grad)).max() < 2e-6
