"""Three tiers of every op, loops, array code and compiled: equal, at odd sizes."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from op_table import CASES
from places import everything

import architectures
import kernels.reference
import minigrad as mg
from kernels import loops
from minigrad import Tensor
from minigrad.nn import functional as F

TIERS = ("loops", "reference", "cpu")
WRITTEN = {n: f for n, f in inspect.getmembers(loops, inspect.isfunction) if f.__module__.startswith(loops.__name__)}
MADE_OF_OTHERS = ("norm_relu_conv_forward", "norm_relu_conv_backward")
OWN = {n: f for n, f in WRITTEN.items() if hasattr(kernels.reference, n) and n not in MADE_OF_OTHERS}


def test_what_is_written_as_loops_has_the_kernels_signatures():
    families = "conv2d linear batch_norm max_pool2d avg_pool2d relu concat cross_entropy channel".split()
    readable = {n for n, f in vars(kernels.reference).items() if n.startswith(tuple(families)) and callable(f)}
    assert readable == set(OWN)
    for name, f in OWN.items():
        assert inspect.signature(f) == inspect.signature(getattr(kernels.reference, name)), name


def test_nothing_in_them_is_array_code():
    """No whole-array operation does the work: each function that computes has a loop, or calls one that has."""
    for name, f in OWN.items():
        source = inspect.getsource(f)
        assert "for " in source or any(f"{other}(" in source for other in WRITTEN if other != name), name
        assert " @ " not in source and "np.sum" not in source and ".sum(" not in source, name


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_loops_equal_the_reference_on_every_op(case, dtype, tolerance):
    """(That the compiled kernels equal the reference is tested in test_ops.)"""
    results = []
    for tier in ("loops", "reference"):
        with mg.use_kernels(tier):
            results.append(everything(case, dtype))
    for a, b in zip(*results):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1, np.abs(b).max(initial=0)))


SIDE, SMALL = st.integers(1, 6), st.integers(1, 3)


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_three_tiers_of_convolution_and_pooling_at_odd_sizes(data):
    draw = data.draw
    groups, n = draw(SMALL), draw(SMALL)
    c, k = groups * draw(SMALL), groups * draw(SMALL)
    window, stride, padding = ((draw(SMALL), draw(SMALL)) for _ in range(3))
    padding = tuple(min(p, w // 2) for p, w in zip(padding, window))
    hw = tuple(draw(SIDE) + w for w in window)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x, w = rng.standard_normal((n, *hw, c)), rng.standard_normal((k, *window, c // groups))
    gamma, beta = rng.standard_normal(k), rng.standard_normal(k)
    results = []
    for tier in TIERS:
        tensors = [Tensor(a, requires_grad=True) for a in (x, w, gamma, beta)]
        with mg.use_kernels(tier):
            y = F.conv2d(*tensors[:2], None, stride, padding, 1, groups)
            if y.data[..., 0].size > 1:
                y = F.batch_norm(y, None, None, *tensors[2:], training=True, relu=True)
            y = F.concat(
                y, F.max_pool2d(tensors[0], window, stride, padding), F.avg_pool2d(tensors[0], window, stride, padding)
            )
            loss = F.cross_entropy(y.reshape(n, -1), np.zeros(n, int))
            loss.backward()
        results.append([y.data, loss.data, *(t.grad for t in tensors if t.grad is not None)])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * max(1, np.abs(b).max()))


def test_what_is_made_of_other_kernels_is_made_of_loops(monkeypatch):
    """The reference's own composition would run on array code."""
    asked = []
    original = loops.conv2d_forward
    monkeypatch.setattr(
        loops, "conv2d_forward", lambda *args, **settings: asked.append(1) or original(*args, **settings)
    )
    case = next(c for c in CASES if c.op.__name__ == "dense_block")
    with mg.use_kernels("loops"):
        case.run(case.tensors())
    assert asked


def test_its_old_name_still_works():
    from minigrad.explain import loops as old

    assert old is loops


def test_max_pool_ties_and_nan():
    x = np.array([[1.0, 3.0, 3.0], [np.nan, 2.0, 0.0], [-np.inf, -np.inf, -np.inf]]).reshape(1, 3, 3, 1)
    args = (2, 2), (1, 1), (0, 0), (1, 1), False
    for a, b in zip(loops.max_pool2d_forward(x, *args), kernels.reference.max_pool2d_forward(x, *args)):
        np.testing.assert_array_equal(a, b)


def test_a_whole_net_on_loops():
    net = architectures.create("lenet5", in_channels=1, image_size=28)
    rng = np.random.default_rng(0)
    image, gradients = rng.random((1, 28, 28, 1), np.float32), []
    for tier in ("loops", "reference"):
        net.zero_grad()
        with mg.use_kernels(tier):
            F.cross_entropy(net(mg.tensor(image)), np.array([3])).backward()
        gradients.append([p.grad for p in net.parameters()])
    for a, b in zip(*gradients):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)
