"""The ops against PyTorch, where it is installed: the same definitions, in the other layout."""

import numpy as np
import pytest
from conftest import needs_torch

from minigrad import Tensor, ops

pytestmark = needs_torch()


def torch_functional():
    import torch

    return torch, torch.nn.functional


def compare(ours, theirs, arrays, layouts, out="image"):
    """Output and gradients of ours(*tensors) and theirs(*torch tensors); layouts: "image", "filter" or "plain" each."""
    torch, _ = torch_functional()
    to_torch = {"image": (0, 3, 1, 2), "filter": (0, 3, 1, 2), "plain": None}
    back = {"image": (0, 2, 3, 1), "filter": (0, 2, 3, 1), "plain": None}
    mine = [Tensor(a, requires_grad=True) for a in arrays]
    its = [
        torch.tensor(a if to_torch[l] is None else a.transpose(to_torch[l]), requires_grad=True)
        for a, l in zip(arrays, layouts)
    ]
    y, z = ours(*mine), theirs(*its)
    expected = z.detach().numpy() if back[out] is None else z.detach().numpy().transpose(back[out])
    np.testing.assert_allclose(y.data, expected, rtol=1e-10, atol=1e-10)
    dy = np.random.default_rng(3).standard_normal(y.shape)
    y.backward(dy)
    z.backward(torch.tensor(dy if to_torch[out] is None else dy.transpose(to_torch[out])))
    for m, i, l in zip(mine, its, layouts):
        grad = i.grad.numpy()
        grad = grad if back[l] is None else grad.transpose(back[l])
        np.testing.assert_allclose(m.grad, grad, rtol=1e-9, atol=1e-10)


def normal(*shapes):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(s) for s in shapes]


@pytest.mark.parametrize(
    "x, w, params",
    [
        ((2, 7, 6, 4), (6, 3, 3, 4), dict(padding=1)),
        ((2, 9, 8, 4), (6, 3, 2, 2), dict(stride=(2, 1), padding=(0, 1), groups=2)),
        ((1, 11, 9, 3), (3, 3, 3, 1), dict(dilation=(2, 3), padding=2, groups=3)),
        ((2, 5, 5, 4), (5, 1, 1, 4), dict(stride=2)),
    ],
)
def test_conv2d(x, w, params, kernels):
    _, F = torch_functional()
    compare(
        lambda *a: ops.conv2d(*a, **params),
        lambda *a: F.conv2d(*a, **params),
        normal(x, w, w[:1]),
        ("image", "filter", "plain"),
    )


@pytest.mark.parametrize("params", [dict(stride=2, padding=1, output_padding=1), dict(groups=2, dilation=2)])
def test_conv_transpose2d(params, kernels):
    _, F = torch_functional()
    compare(
        lambda *a: ops.conv_transpose2d(*a, **params),
        lambda *a: F.conv_transpose2d(*a, **params),
        normal((2, 4, 5, 4), (4, 3, 3, 2), (2 * params.get("groups", 1),)),
        ("image", "filter", "plain"),
    )


@pytest.mark.parametrize("hw", [(7, 6), (8, 8), (5, 9)])
@pytest.mark.parametrize(
    "size, stride, padding", [(2, 2, 0), (3, 2, 1), (3, 1, 1), ((2, 3), (2, 1), (1, 0)), (3, 3, 1)]
)
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_pooling(hw, size, stride, padding, ceil_mode, kernels):
    _, F = torch_functional()
    arrays = normal((2, *hw, 3))
    settings = dict(kernel_size=size, stride=stride, padding=padding, ceil_mode=ceil_mode)
    compare(lambda x: ops.max_pool2d(x, **settings), lambda x: F.max_pool2d(x, **settings), arrays, ["image"])
    for include in (False, True):
        settings["count_include_pad"] = include
        compare(lambda x: ops.avg_pool2d(x, **settings), lambda x: F.avg_pool2d(x, **settings), arrays, ["image"])


@pytest.mark.parametrize("output_size", [1, 3, (2, 5), (7, 6)])
def test_adaptive_avg_pool2d(output_size, kernels):
    _, F = torch_functional()
    compare(
        lambda x: ops.adaptive_avg_pool2d(x, output_size=output_size),
        lambda x: F.adaptive_avg_pool2d(x, output_size),
        normal((2, 5, 6, 3)),
        ["image"],
    )


@pytest.mark.parametrize("size", [1, 4, 5])
def test_local_response_norm(size, kernels):
    _, F = torch_functional()
    settings = dict(size=size, alpha=0.3, beta=0.75, k=2.0)
    compare(
        lambda x: ops.local_response_norm(x, **settings),
        lambda x: F.local_response_norm(x, **settings),
        normal((2, 3, 3, 7)),
        ["image"],
    )


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(training, kernels):
    torch, F = torch_functional()
    mean, var = np.array([0.1, -0.3, 0.7]), np.array([1.5, 0.5, 2.0])
    ours = Tensor(mean.copy()), Tensor(var.copy())
    theirs = torch.tensor(mean), torch.tensor(var)
    compare(
        lambda x, g, b: ops.batch_norm(x, g, b, running_mean=ours[0], running_var=ours[1], training=training),
        lambda x, g, b: F.batch_norm(x, *theirs, g, b, training, 0.1, 1e-5),
        normal((4, 3, 5, 3), (3,), (3,)),
        ("image", "plain", "plain"),
    )
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a.data, b.numpy(), rtol=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy(reduction, smoothing, weighted):
    torch, F = torch_functional()
    target, weight = np.array([2, 0, -100, 3, 1]), np.array([0.5, 1.0, 2.0, 1.5]) if weighted else None
    compare(
        lambda x: ops.cross_entropy(x, target, weight=weight, label_smoothing=smoothing, reduction=reduction),
        lambda x: F.cross_entropy(
            x,
            torch.tensor(target),
            None if weight is None else torch.tensor(weight),
            label_smoothing=smoothing,
            reduction=reduction,
        ),
        normal((5, 4)),
        ["plain"],
        "plain",
    )


def test_cross_entropy_with_probabilities():
    torch, F = torch_functional()
    q = np.random.default_rng(1).dirichlet(np.ones(4), 5)
    compare(
        lambda x: ops.cross_entropy(x, q, label_smoothing=0.1),
        lambda x: F.cross_entropy(x, torch.tensor(q), label_smoothing=0.1),
        normal((5, 4)),
        ["plain"],
        "plain",
    )


def test_activations(kernels):
    _, F = torch_functional()
    for name in ("relu", "leaky_relu", "sigmoid", "tanh"):
        compare(getattr(ops, name), getattr(F, name), normal((3, 4)), ["plain"], "plain")
    compare(ops.softmax, lambda x: F.softmax(x, -1), normal((3, 4)), ["plain"], "plain")
    compare(ops.log_softmax, lambda x: F.log_softmax(x, -1), normal((3, 4)), ["plain"], "plain")
