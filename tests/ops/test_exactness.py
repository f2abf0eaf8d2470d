"""Numbers at the edges: long sums in float32, -inf among logits, nothing to sum; as PyTorch where it is installed."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import ops
from minigrad.nn import functional as F

torch = pytest.importorskip("torch", reason="PyTorch, the peer, is not installed")
F32 = np.float32


@pytest.mark.parametrize("shape, dim", [((300_000, 10), 0), ((40, 100, 100, 3), (0, 1, 2)), ((3, 200_000, 2), 1)])
def test_long_sums_over_leading_axes_are_as_exact_as_torch(shape, dim):
    a = np.full(shape, 0.1, F32)
    t, theirs = mg.tensor(a), torch.tensor(a)
    for name in ("sum", "mean"):
        expected = getattr(a.astype(np.float64), name)(dim)
        found = getattr(t, name)(dim).data
        assert found.dtype == F32
        error, its = (np.abs(f / expected - 1).max() for f in (found, getattr(theirs, name)(dim).numpy()))
        assert error <= max(1e-7, its)


@pytest.mark.parametrize("operation", [ops.add, ops.sub, ops.mul, ops.div])
def test_the_gradient_of_what_was_broadcast_is_exact(operation):
    x, b = mg.tensor(np.ones((400_000, 3), F32)), mg.tensor(np.ones(3, F32), requires_grad=True)
    operation(x, b).backward(np.full(x.shape, 0.1, F32))
    assert b.grad.dtype == F32
    np.testing.assert_allclose(np.abs(b.grad), 400_000 * np.float64(F32(0.1)), rtol=1e-7)


def test_reference_kernels_sum_exactly():
    from kernels import reference

    a = np.full((300_000, 4), 0.1, F32)
    exact = np.float64(F32(0.1))
    np.testing.assert_allclose(reference.channel_sum(a), 300_000 * exact, rtol=1e-7)
    np.testing.assert_allclose(reference.channel_mean_var(a)[0], exact, rtol=1e-7)
    np.testing.assert_allclose(reference.channel_mean_var(a)[1], 0, atol=1e-12)


def test_the_mean_of_a_large_image(kernels):
    a = np.random.default_rng(0).random((2, 224, 224, 3)).astype(F32)
    y = F.adaptive_avg_pool2d(mg.tensor(a), 1).data
    np.testing.assert_allclose(y[:, 0, 0], a.astype(np.float64).mean((1, 2)), rtol=2e-7)


INF = np.inf
LOGITS = [
    ([[1.0, -INF, 2.0]], [0]),
    ([[1.0, -INF, 2.0]], [1]),
    ([[1.0, 2.0]], [-100]),
    ([[1.0, 2.0], [3.0, 1.0]], [-100, 0]),
    ([[-INF, -INF]], [0]),
]


@pytest.mark.parametrize("x, target", LOGITS, ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_of_masked_logits_and_ignored_targets(x, target, reduction, kernels):
    """[F08]"""
    ours = mg.tensor(np.array(x, F32), requires_grad=True)
    theirs = torch.tensor(np.array(x, F32), requires_grad=True)
    with np.errstate(invalid="ignore"):
        y = F.cross_entropy(ours, np.array(target), reduction=reduction)
        z = torch.nn.functional.cross_entropy(theirs, torch.tensor(target), reduction=reduction)
        np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=1e-6)
        y.sum().backward()
        z.sum().backward()
    np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("x", [[[1.0, -INF, 2.0]], [[-INF, -INF]], [[INF, 1.0]], [[1e30, -1e30]]], ids=str)
def test_softmax_of_infinite_logits(name, x):
    with np.errstate(invalid="ignore", divide="ignore"):
        found = getattr(F, name)(mg.tensor(np.array(x, F32))).data
    np.testing.assert_allclose(found, getattr(torch.nn.functional, name)(torch.tensor(x), -1).numpy(), rtol=1e-6)


SETTINGS = [
    dict(output_padding=1, dilation=2),
    dict(output_padding=2, dilation=3, stride=2),
    dict(output_padding=1, stride=1, dilation=2, padding=1),
    dict(output_padding=(1, 0), stride=(1, 2), dilation=(2, 1), padding=(2, 1)),
    dict(output_padding=1, stride=2),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_transposed_convolution_with_output_padding_beyond_the_stride(settings, kernels):
    """[F10]"""
    rng = np.random.default_rng(0)
    x, w = rng.random((2, 4, 5, 2)), rng.random((2, 3, 3, 4))
    ours = [mg.tensor(a, requires_grad=True) for a in (x, w)]
    theirs = [torch.tensor(a.transpose(0, 3, 1, 2), requires_grad=True) for a in (x, w)]
    y = F.conv_transpose2d(*ours, **settings)
    z = torch.nn.functional.conv_transpose2d(*theirs, **settings)
    np.testing.assert_allclose(y.data, z.detach().numpy().transpose(0, 2, 3, 1), rtol=1e-9)
    dy = rng.random(y.shape)
    y.backward(dy)
    z.backward(torch.tensor(dy.transpose(0, 3, 1, 2)))
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a.grad, b.grad.numpy().transpose(0, 2, 3, 1), rtol=1e-9)


def test_nothing_to_sum(kernels):
    x = mg.tensor(np.ones((0, 4, 5, 3), F32), requires_grad=True)
    assert x.flatten(1).shape == (0, 60) and x.flatten().shape == (0,)
    assert x.sum(0).data.tolist() == np.zeros((4, 5, 3)).tolist() and np.isnan(x.mean(0).data).all()
    assert x.max(1).values.shape == (0, 5, 3) and x.sum().item() == 0 and np.isnan(x.mean().item())
    for dim in (None, 0):
        with pytest.raises(ValueError, match="max: there is no largest of no numbers"):
            x.max(dim)
    gamma, beta = (mg.tensor(np.ones(3, F32), requires_grad=True) for _ in range(2))
    y = F.batch_norm(x, np.zeros(3, F32), np.ones(3, F32), gamma, beta, training=True)
    y.sum().backward()
    assert y.shape == x.shape and gamma.grad.tolist() == beta.grad.tolist() == [0, 0, 0] and x.grad.shape == x.shape


@pytest.mark.parametrize("name", ["sum", "mean", "amax"])
def test_reductions_of_no_axes_and_by_no_axes(name):
    one, many = mg.tensor(2.5), mg.tensor([[1.0, 2.0], [4.0, 9.0]])
    for dim in (0, -1, (), (0,)):
        assert getattr(one, name)(dim).item() == 2.5 and getattr(one, name)(dim).shape == ()
    assert getattr(many, name)(()).item() == getattr(torch.tensor(many.data), name)(()).item()
    assert one.max(0).indices.item() == 0 and one.max(-1).values.item() == 2.5


@pytest.mark.parametrize("size", [9, 32, 112, 224])
def test_the_mean_of_large_windows(size, kernels):
    a = (np.random.default_rng(0).random((1, 224, 224, 3)) + 0.5).astype(F32)
    counts = 224 // size
    windows = a[:, : counts * size, : counts * size].astype(np.float64).reshape(1, counts, size, counts, size, 3)
    y = F.avg_pool2d(mg.tensor(a), size).data
    assert y.dtype == F32
    np.testing.assert_allclose(y, windows.mean((2, 4)), rtol=2e-7)
    if size * counts == 224:
        np.testing.assert_allclose(F.adaptive_avg_pool2d(mg.tensor(a), counts).data, windows.mean((2, 4)), rtol=2e-7)


def test_long_sums_in_einsum_and_softmax():
    a = np.full((300_000, 2), 0.1, F32)
    exact = 300_000 * np.float64(F32(0.1))
    np.testing.assert_allclose(mg.einsum("nc->c", mg.tensor(a)).data, exact, rtol=1e-7)
    w = mg.tensor(np.ones(2, F32), requires_grad=True)
    mg.einsum("nc,d->d", mg.tensor(a), w).sum().backward()
    np.testing.assert_allclose(w.grad, 2 * exact, rtol=2e-7)
    x = mg.tensor(a, requires_grad=True)
    np.testing.assert_allclose(F.softmax(x, dim=0).data, 1 / 300_000, rtol=2e-7)
    F.log_softmax(x, dim=0).backward(a)
    np.testing.assert_allclose(x.grad, 0, atol=1e-7)


@pytest.mark.parametrize("x", [[-INF, -INF], [1.0, INF], [1.0, -INF], []], ids=str)
def test_logsumexp_of_infinite_numbers_and_of_none(x):
    with np.errstate(all="ignore"):
        same_as_torch(lambda t: t.logsumexp(0), lambda t: t.logsumexp(0), x)
        if not x:
            same_as_torch(lambda t: F.softmax(t, 0), lambda t: t.softmax(0), x)
            same_as_torch(lambda t: F.log_softmax(t, 0), lambda t: t.log_softmax(0), x)


def test_gradients_where_nothing_counts_and_at_infinity():
    nll = torch.nn.functional.nll_loss
    ignored = np.array([-100])
    with np.errstate(all="ignore"):
        same_as_torch(lambda t: F.nll_loss(t, ignored), lambda t: nll(t, torch.tensor(ignored)), [[-1.0, -2.0]])
        same_as_torch(F.hardswish, torch.nn.functional.hardswish, [-INF, -5.0, 1.0, 4.0, INF])


def same_as_torch(ours, theirs, x):
    """Values and gradient."""
    t, u = mg.tensor(np.array(x, F32), requires_grad=True), torch.tensor(x, dtype=torch.float32, requires_grad=True)
    y, z = ours(t), theirs(u)
    y.sum().backward()
    z.sum().backward()
    np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=1e-6)
    np.testing.assert_allclose(t.grad, u.grad.numpy(), rtol=1e-6, atol=1e-7)
