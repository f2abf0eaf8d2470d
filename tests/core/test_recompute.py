"""checkpoint: the same numbers as without it, from less memory."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.recompute import recomputing


@pytest.fixture(autouse=True)
def reference_kernels():
    with mg.use_kernels("reference"):
        yield


def block(seed=0):
    """Everything that a second run could get wrong: weights, running statistics, random numbers."""
    rng = np.random.default_rng(seed)
    layers = nn.Conv2d(3, 4, 3, padding=1, rng=rng), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.4)
    return nn.Sequential(*layers, nn.Conv2d(4, 3, 3, padding=1, rng=rng))


def image(requires_grad=True, seed=1):
    return mg.tensor(np.random.default_rng(seed).standard_normal((2, 5, 5, 3)), requires_grad=requires_grad)


def as_double(model):
    for t in (*model.parameters(), *model.buffers()):
        t.data = t.data.astype(np.float64)
    return model


def trained(run, steps=1):
    """Output, all gradients and the state after `steps` forward and backward passes of run(model, x)."""
    model, x = as_double(block()), image()
    nn.reseed(model, 7)
    for _ in range(steps):
        y = run(model, x)
        (y * y).sum().backward()
    return [y.data, x.grad, *(p.grad for p in model.parameters()), *model.state_dict().values()]


def plain(model, x):
    return model(x)


def nested(model, x):
    return mg.checkpoint(lambda x: mg.checkpoint(model, mg.checkpoint(nn.Identity(), x)) * 1.0, x)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("run", [mg.checkpoint, nested], ids=["once", "nested"])
def test_numbers_equal_those_without_it_bit_for_bit(run, steps):
    for got, expected in zip(trained(run, steps), trained(plain, steps), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_only_the_inputs_are_kept():
    y = mg.checkpoint(as_double(block()), image())
    assert y.node.name == "checkpoint" and len(y.node.parents) == 1
    assert y.node.saved_arrays == []


def test_parameters_get_gradients_though_the_input_needs_none():
    model, x = as_double(block()), image(requires_grad=False)
    mg.checkpoint(model, x).sum().backward()
    assert all(p.grad is not None and np.isfinite(p.grad).all() for p in model.parameters())
    assert x.grad is None


def test_several_inputs_each_get_their_gradient():
    a, b = image(seed=1), image(seed=2)
    mg.checkpoint(lambda a, b, c: a * b + c, a, b, image(False)).sum().backward()
    np.testing.assert_array_equal(a.grad, b.data)
    np.testing.assert_array_equal(b.grad, a.data)


def test_fresh_random_numbers_are_replayed():
    x = mg.tensor(np.ones(1000), requires_grad=True)
    y = mg.checkpoint(lambda x: nn.functional.dropout(x, 0.5), x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.data)  # x is 1, so output and gradient are the same scaled mask
    assert 0 < np.count_nonzero(y.data) < 1000


def test_two_checkpoints_draw_different_numbers():
    x = mg.tensor(np.ones(1000))
    one, other = (mg.checkpoint(lambda x: nn.functional.dropout(x, 0.5), x) for _ in range(2))
    assert (one.data != other.data).any()


def test_recomputing_is_true_in_the_second_run_only():
    seen = []

    def fn(x):
        seen.append(recomputing())
        return x * 2

    mg.checkpoint(lambda x: mg.checkpoint(fn, x), image()).sum().backward()
    assert seen == [False, True, True]  # forward; the outer one's second run; the inner one's in that
    assert not recomputing()


def test_running_twice_with_retain_graph_adds_the_same_again():
    model, x = as_double(block()), image()
    y = mg.checkpoint(model, x).sum()
    y.backward(retain_graph=True)
    once = x.grad.copy()
    y.backward()
    np.testing.assert_allclose(x.grad, 2 * once, rtol=1e-14)


def test_without_recording_it_is_a_plain_call():
    with mg.no_grad():
        y = mg.checkpoint(lambda x: x * 2, image())
    assert y.node is None


def test_an_input_written_before_backward_is_refused():
    hidden = image() * 1.0
    y = mg.checkpoint(lambda x: x * x, hidden).sum()
    with mg.no_grad():
        hidden.copy_(0.0)
    with pytest.raises(RuntimeError, match=r"checkpoint saved input 0 .* written in place"):
        y.backward()


@pytest.mark.parametrize("fn, x", [(lambda x: (x, x), image()), (lambda x: x, np.ones(3))], ids=["result", "input"])
def test_only_tensors_in_and_out(fn, x):
    with pytest.raises(TypeError, match=r"checkpoint: fn (takes|returns) tensors; got (tuple|ndarray)"):
        mg.checkpoint(fn, x)


def test_an_error_inside_leaves_no_tape_behind():
    def broken(x):
        raise KeyError("inside")

    with pytest.raises(KeyError):
        mg.checkpoint(broken, image())
    assert not recomputing()
    assert mg.autograd.recording.get()
