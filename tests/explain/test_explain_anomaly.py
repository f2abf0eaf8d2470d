"""The NaN locator: faults planted forward and backward are found where they were planted."""

import re

import numpy as np
import pytest
from train_runs import TINY, train

import minigrad as mg
from minigrad import Tensor, nn, op, ops
from minigrad.autograd import watcher
from minigrad.explain import AnomalyError, detect_anomaly, find_nan
from minigrad.nn import functional as F


def leaf(*values):
    return Tensor(np.array(values), requires_grad=True)


@op
def broken_backward(ctx, x):
    """y = x, dx = dy but for one NaN"""

    def backward(dy):
        dx = dy.copy()
        dx.flat[1] = np.nan
        return (dx,)

    return x * 1, backward


@op
def inplace_overflow(ctx, x):
    """y = 2 x, in numbers too large for the type"""

    def backward(dy):
        return (2 * dy,)

    return x * 2, backward


def net():
    conv, fc = nn.Conv2d(1, 3, 3, rng=np.random.default_rng(0)), nn.Linear(12, 2, rng=np.random.default_rng(1))
    body = nn.Sequential({"conv": conv, "norm": nn.BatchNorm2d(3), "relu": nn.ReLU(), "flatten": nn.Flatten()})
    return nn.Sequential({"body": body, "fc": fc})


IMAGES, LABELS = mg.tensor(np.random.default_rng(2).random((2, 4, 4, 1), np.float32)), np.array([0, 1])


def loss_of(model, images=IMAGES):
    return F.cross_entropy(model(images), LABELS)


FORWARD = [
    (lambda: (leaf(1.0, 0.0, 2.0).log() * 2).sum(), "log", (1,), -np.inf),
    (lambda: (leaf(1.0, 0.0) / leaf(1.0, 0.0)).sum(), "div", (1,), np.nan),
    (lambda: (leaf(1.0, 2.0, 1000.0) * 1).exp().mean(), "exp", (2,), np.inf),
    (lambda: inplace_overflow(leaf(3.0, 1.7e308)).sum(), "inplace_overflow", (1,), np.inf),
]


@pytest.mark.parametrize("fn, name, index, value", FORWARD, ids=lambda v: v if isinstance(v, str) else "")
def test_produced_forward(fn, name, index, value):
    found = find_nan(fn)
    assert (found.op, found.phase, found.role, found.index, found.count) == (name, "forward", "produced", index, 1)
    assert np.array_equal(found.value, value, equal_nan=True)
    assert found.place.line.startswith("test_explain_anomaly.py:")
    assert found.passed_on and all("forward" in p or "backward" in p for p in found.passed_on)
    with pytest.raises(AnomalyError, match=rf"{name} in the forward pass .*: produced .* at index \({index[0]},\)"):
        with detect_anomaly():
            fn()


BACKWARD = [
    (lambda: (leaf(4.0, 0.0).sqrt() + 1).sum(), "sqrt", "the gradient of x", np.inf),
    (lambda: broken_backward(leaf(1.0, 2.0) * 2).sum(), "broken_backward", "the gradient of x", np.nan),
    (lambda: (leaf(3.0, 0.0) ** 0.5).sum(), "power", "the gradient of x", np.inf),
]


@pytest.mark.parametrize("fn, name, what, value", BACKWARD, ids=lambda v: v if isinstance(v, str) else "")
def test_produced_backward(fn, name, what, value):
    found = find_nan(fn)
    assert (found.op, found.phase, found.role, found.what) == (name, "backward", "produced", what)
    assert found.index == (1,) and np.array_equal(found.value, value, equal_nan=True)
    with pytest.raises(AnomalyError, match=f"{name} in the backward pass"):
        with detect_anomaly():
            loss = fn()
            loss.backward()


def test_a_tensor_of_finite_numbers_gives_nothing():
    assert find_nan(lambda: loss_of(net())) is None
    assert find_nan(lambda: None) is None
    with detect_anomaly():
        loss_of(net()).backward()


def test_ranges_of_what_the_op_was_given():
    found = find_nan(lambda: leaf(1.0, 0.0, 2.5).log().sum())
    assert [tuple(r) for r in found.inputs] == [("x", (3,), 0.0, 2.5, 0)]
    found = find_nan(lambda: leaf(4.0, 0.0).sqrt().sum())
    assert {r.name: (r.low, r.high) for r in found.inputs} == {"dy": (1, 1), "y": (0, 2)}
    assert "x (3,) from 0 to 2.5" in str(find_nan(lambda: leaf(1.0, 0.0, 2.5).log().sum()))


def test_the_module_is_named():
    model = net()
    model.fc.weight.data[1, 3] = np.inf
    found = find_nan(lambda: loss_of(model))
    assert (found.op, found.place.module, found.role, found.what) == ("linear", "fc", "received", "w")
    assert found.index == (1, 3) and "linear of fc in the forward pass" in str(found)


def test_a_weight_deep_in_the_net_and_those_that_passed_it_on():
    model = net()
    model.body.conv.weight.data[0, 1, 2, 0] = np.nan
    found = find_nan(lambda: loss_of(model))
    assert (found.op, found.place.module, found.role, found.what) == ("conv2d", "body.conv", "received", "w")
    forward = ["batch_norm (forward, body.norm)", "relu (forward, body.relu)", "reshape (forward, body.flatten)"]
    assert found.passed_on[:3] == forward and "conv2d (backward, body.conv)" in found.passed_on


def test_running_statistics_and_data_are_told_from_ops():
    model = net().eval()
    model.body.norm.running_var.data[2] = np.nan
    found = find_nan(lambda: loss_of(model))
    assert (found.op, found.role, found.what, found.index) == ("batch_norm", "received", "running_var", (2,))
    images = IMAGES.data.copy()
    images[1, 2, 3, 0] = np.nan
    found = find_nan(lambda: loss_of(net(), mg.tensor(images)))
    assert (found.op, found.role, found.what, found.index) == ("conv2d", "received", "x", (1, 2, 3, 0))


def test_dense_blocks_and_statistics_in_lists():
    import architectures

    model = architectures.create("densenet_small", in_channels=1).eval()
    model.features.denseblock2.denselayer3.norm1.running_mean.data[1] = np.nan
    found = find_nan(lambda: model(mg.tensor(np.ones((1, 28, 28, 1), np.float32))))
    assert (found.op, found.place.module) == ("dense_block", "features.denseblock2")
    assert found.role == "received" and found.what.startswith("running[4][0]")


def test_a_sum_of_gradients_that_overflows():
    x = leaf(1e-10)

    def loss():
        y = x * 1.0
        return (y * 1.7e308 + y * 1.6e308).sum()

    found = find_nan(loss)
    assert (found.op, found.phase, found.role, found.what) == ("mul", "backward", "received", "dy")


def test_gradients_are_left_as_they_were():
    model = net()
    loss_of(model).backward()
    before = {n: p.grad.copy() for n, p in model.named_parameters()}
    assert find_nan(lambda: loss_of(model)) is None
    for name, p in model.named_parameters():
        np.testing.assert_array_equal(p.grad, before[name])


def test_backward_gives_the_same_bits_as_without():
    model = net()
    loss_of(model).backward()
    before = {n: p.grad.copy() for n, p in model.named_parameters()}
    model.zero_grad()
    with detect_anomaly():
        loss = loss_of(model)
    loss.backward()
    for name, p in model.named_parameters():
        np.testing.assert_array_equal(p.grad, before[name])


def test_nothing_is_watched_outside():
    with detect_anomaly():
        assert watcher.get() is not None
    assert watcher.get() is None
    with np.errstate(all="ignore"):
        assert np.isinf(ops.log(leaf(0.0)).data).all()


def test_checkpointed_pieces_are_looked_into():
    found = find_nan(lambda: mg.checkpoint(lambda x: x.log() * 2, leaf(1.0, 0.0)).sum())
    assert (found.op, found.index) == ("log", (1,))
    found = find_nan(lambda: mg.checkpoint(lambda x: x.sqrt() * 2, leaf(1.0, 0.0)).sum())
    assert (found.op, found.phase, found.index) == ("sqrt", "backward", (1,))


def test_on_the_command_line(tmp_path, capsys):
    settings = ("--lr", "1e30", "--lr-scheduler", "constant", "--lr-warmup-epochs", "0", "--detect-anomaly")
    assert train(tmp_path, "-a", "lenet5", *TINY, *settings) == 1
    out = capsys.readouterr().out
    found = (
        r"Stopped: \w+ of \w+ in the \w+ pass.*: (produced|was given) (nan|-?inf) at index \(.* at step \d \(epoch 1\)"
    )
    assert re.search(found, out) and re.search(r"^  \w+ \(.*\) (from|nothing finite)", out, re.M)
