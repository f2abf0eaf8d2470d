"""element: the terms of one number of a gradient sum to it, and are the products that the formula says."""

import numpy as np
import pytest
from op_table import CASES

import architectures
import minigrad as mg
from minigrad import Tensor, nn, op, ops
from minigrad.explain import element
from minigrad.explain.dissect import settings_of
from minigrad.gradcheck.problem import written_op
from minigrad.nn import functional as F

TAKEN_APART = (
    "conv2d conv2d_relu linear linear_relu batch_norm batch_norm_relu max_pool2d avg_pool2d adaptive_avg_pool2d"
).split()


def weighted(case, seed=1):
    """Inputs of a case and a scalar loss whose dy is random."""
    tensors = [Tensor(a, requires_grad=True) for a in case.arrays()]
    y = case.run(tensors)
    return tensors, (y * Tensor(np.random.default_rng(seed).standard_normal(y.shape))).sum()


@pytest.mark.long
@pytest.mark.parametrize("case", CASES, ids=str)
def test_terms_sum_to_every_gradient(case):
    """Of every op in the table, three random elements of each input; also those ops that are not taken apart."""
    tensors, loss = weighted(case)
    expected, again = weighted(case)
    again.backward()
    rng = np.random.default_rng(2)
    for t, e in zip(tensors, expected):
        for _ in range(3):
            index = tuple(int(rng.integers(n)) for n in t.shape)
            found = element(loss, t, index)
            assert found.total == pytest.approx(found.gradient, rel=1e-10, abs=1e-12)
            assert found.gradient == pytest.approx(e.grad[index], rel=1e-12, abs=1e-14)
            if written_op(case.op):  # a composition ends in one of several ops
                assert all(p.factor_name for p in found.parts) == (case.op.__name__ in TAKEN_APART)
        assert t.grad is None


@pytest.mark.parametrize("case", [c for c in CASES if c.op.__name__ in TAKEN_APART], ids=str)
def test_factors_and_dys_stand_where_they_say(case):
    tensors, loss = weighted(case)
    for t in tensors:
        for p in element(loss, t, (0,) * t.ndim).parts:
            np.testing.assert_array_equal(p.dy, p.dy_array[tuple(p.dy_at.T)])
            if p.factor_at is not None:
                np.testing.assert_array_equal(p.factor, p.factor_array[tuple(p.factor_at.T)])


def test_an_op_of_the_users_own_is_not_taken_for_ours():
    """Ops are told by what they are: one that has the name of ours but saves other things gives the term it sent."""

    @op
    def linear(ctx, x):
        """y = 3 x,   dx = 3 dy"""

        def backward(dy):
            return (3 * dy,)

        return 3 * x, backward

    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    found = element(linear(x).sum(), x, 1)
    assert found.total == found.gradient == 3 and found.parts[0].factor_name == ""


def test_settings_are_what_the_node_says_not_what_the_closure_calls_them():
    """A node keeps its op's keyword arguments; those left out have their defaults; released with the saved arrays."""
    x, w = Tensor(np.ones((1, 4, 4, 2)), requires_grad=True), Tensor(np.ones((2, 2, 2, 1)))
    y = ops.conv2d(x, w, stride=2, groups=2)
    assert y.node.settings == dict(stride=2, groups=2)
    assert settings_of(y.node) == dict(stride=2, padding=0, dilation=1, groups=2)
    y.sum().backward()
    assert y.node.settings == {}


def test_convolution_weight_by_hand():
    """2x2 filter of stride 2 over a 4x4 image: dw[0,0,1,0] meets the pixels (0,1), (0,3), (2,1), (2,3)."""
    x = mg.tensor(np.arange(16.0).reshape(1, 4, 4, 1))
    w = Tensor(np.ones((1, 2, 2, 1)), requires_grad=True)
    dy = np.array([[1.0, -2.0], [3.0, 0.5]]).reshape(1, 2, 2, 1)
    loss = (F.conv2d(x, w, stride=2) * Tensor(dy)).sum()
    found = element(loss, w, (0, 0, 1, 0))
    assert [(t.factor_at[1:3], t.factor, t.dy_at[1:3], t.dy, t.product) for t in found.terms] == [
        ((2, 1), 9, (1, 0), 3, 27),
        ((0, 3), 3, (0, 1), -2, -6),
        ((2, 3), 11, (1, 1), 0.5, 5.5),
        ((0, 1), 1, (0, 0), 1, 1),
    ]
    assert found.total == found.gradient == 27.5 and found.count == 4 and found.by_image() == {0: 27.5}


def test_max_pool_names_the_windows_that_the_pixel_lost():
    x = Tensor(np.array([1.0, 5.0, 3.0, 4.0]).reshape(1, 1, 4, 1), requires_grad=True)
    loss = (F.max_pool2d(x, (1, 2), 1) * Tensor(np.array([10.0, 20.0, 30.0]).reshape(1, 1, 3, 1))).sum()
    assert [t.product for t in element(loss, x, (0, 0, 1, 0)).terms] == [20, 10]  # the largest of windows 0 and 1
    lost = element(loss, x, (0, 0, 2, 0))
    assert sorted(t.dy for t in lost.terms) == [20, 30] and lost.total == lost.gradient == 0


def test_a_tensor_with_two_users_has_two_parts():
    x = Tensor(np.array([[2.0, 3.0]]), requires_grad=True)
    w = Tensor(np.array([[1.0, -1.0], [0.5, 4.0]]), requires_grad=True)
    loss = (F.linear(x, w) + x).sum()
    found = element(loss, x, (0, 1))
    assert [p.op for p in found.parts] == ["add", "linear"] and found.total == found.gradient == 1 + (-1 + 4)


def test_batch_norm_input_reaches_the_loss_by_all_values_of_its_channel():
    case = next(c for c in CASES if c.op is ops.batch_norm and not c.params)
    tensors, loss = weighted(case)
    x = tensors[0].data
    (part,) = element(loss, tensors[0], (0,) * x.ndim).parts
    assert len(part.dy) == x.size // x.shape[-1] and np.count_nonzero(part.factor) == len(part.dy)
    assert np.abs(part.factor).argmax() == 0 and part.factor[0] * tensors[1].data[0] > 0  # itself most of all
    assert part.factor.sum() == pytest.approx(
        0, abs=1e-12
    )  # moving every dy alike moves nothing: the mean is taken off


@pytest.mark.long
@pytest.mark.parametrize("name", ["vgg_small_bn", "resnet20", "googlenet_small", "densenet_small", "alexnet_small"])
def test_in_whole_nets(name):
    """float32, compiled kernels: the first and the last weight, and the image."""
    net = architectures.create(name, in_channels=1, image_size=28)
    rng = np.random.default_rng(0)
    x = Tensor(rng.standard_normal((2, 28, 28, 1), np.float32), requires_grad=True)
    loss = architectures.training_loss(F.cross_entropy, net(x), np.array([3, 7]))
    weights = [p for n, p in net.named_parameters() if n.endswith("weight") and p.ndim > 1]
    for t in (weights[0], weights[-1], x):
        index = tuple(int(n) // 2 for n in t.shape)
        found = element(loss, t, index)
        scale = sum(np.abs(p.product).sum() for p in found.parts)
        assert found.count > 1 and abs(found.total - found.gradient) <= 1e-5 * scale
    assert weights[0].grad is None
    loss.backward()  # the graph is still there
    assert found.gradient == pytest.approx(x.grad[index], rel=1e-6)


def test_text_and_picture():
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    loss = F.cross_entropy(net(mg.tensor(np.random.default_rng(0).random((2, 4, 4, 1), np.float32))), np.array([0, 2]))
    found = element(loss, net[0].weight, (-1, 1, 0, 0))
    lines = str(found).splitlines()
    assert lines[0].startswith("gradient of element (3, 1, 0, 0) of a tensor (4, 3, 3, 1): ")
    assert lines[1].startswith("  conv2d_relu: 24 terms (x * dy), sum") and lines[-1].startswith("and 12 smaller terms")
    fig = found.plot()
    titles = [ax.get_title() for ax in fig.axes if ax.get_title()]
    assert len(titles) == 4 and titles[0].startswith("x: image") and titles[1].startswith("dy: image")
    assert fig._repr_png_().startswith(b"\x89PNG")
    assert len(element(loss, net[3].weight, (0, 0)).plot().axes) == 1


def test_bad_arguments():
    w = Tensor(np.ones((2, 3)), requires_grad=True)
    loss = F.linear(mg.tensor(np.ones((1, 3))), w).sum()
    with pytest.raises(
        ValueError, match=r"element: index must name one element of a tensor of shape \(2, 3\); got \(2"
    ):
        element(loss, w, (2, 0))
    with pytest.raises(ValueError, match="element: index must name one element"):
        element(loss, w, 1)
    with pytest.raises(ValueError, match="does not require a gradient"):
        element(loss, mg.tensor(np.ones(3)), 0)
    with pytest.raises(ValueError, match="does not depend on this tensor"):
        element(loss, Tensor(np.ones(3), requires_grad=True), 0)
    loss.backward()
    with pytest.raises((RuntimeError, ValueError)):
        element(loss, w, (0, 0))


def test_a_number_without_axes_is_taken_apart():
    """H = x w + x: what comes by the addition, and what comes by the product."""
    x, w = mg.tensor(2.0, requires_grad=True), mg.tensor(0.25, requires_grad=True)
    found = element(x * w + x, x, ())
    assert [(p.op, p.product.tolist()) for p in found.parts] == [("add", [1.0]), ("mul", [0.25])]
    assert (found.total, found.count, found.by_image()) == (1.25, 2, {})
    assert "add: 1 term (sent by the op" in str(found)
    assert found.plot().axes
