"""mg.grad, and the ways to switch the recording of the graph."""

import math

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import minigrad as mg


def leaf(*numbers):
    return mg.tensor(list(numbers), requires_grad=True)


def test_grad_of_leaves_and_of_what_ops_made_leaves_no_grad_behind():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    w.grad = np.array([7.0, 7.0], np.float32)
    y = x * w
    dx, dy = mg.grad((y * y).sum(), (x, y))
    assert_array_equal(dy, 2 * y.numpy())
    assert_array_equal(dx, 2 * y.numpy() * w.numpy())
    assert x.grad is None
    assert_array_equal(w.grad, [7, 7])


def test_grad_of_several_outputs_is_that_of_their_sum():
    x = leaf(1.0, 2.0)
    (dx,) = mg.grad([x.sum(), x * x], x, grad_outputs=[None, np.array([1.0, 10.0])])
    assert_array_equal(dx, [3, 41])


def test_grad_owns_its_arrays():
    x = leaf(1.0)
    y = x + 0
    dx, dy = mg.grad(y.sum(), (x, y), retain_graph=True)
    dx[...] = 5
    assert dy == 1 and mg.grad(y.sum(), x)[0] == 1


def test_grad_of_what_is_not_used():
    x, other = leaf(1.0), leaf(2.0)
    with pytest.raises(RuntimeError, match="don't depend on input 1; allow_unused=True"):
        mg.grad((x * x).sum(), (x, other))
    assert mg.grad((x * x).sum(), (x, other), allow_unused=True)[1] is None


def test_grad_refuses_what_it_can_not_do():
    x = leaf(1.0)
    with pytest.raises(NotImplementedError, match="double backward, which minigrad does not have"):
        mg.grad(x.sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="input 0 does not require a gradient"):
        mg.grad(x.sum(), mg.tensor([1.0]))
    with pytest.raises(ValueError, match="one for each output; got 2 for 1"):
        mg.grad(x.sum(), x, grad_outputs=[None, None])


def test_recording_is_switched_by_a_call_and_put_back_by_a_block():
    with mg.set_grad_enabled(False):
        assert not mg.is_grad_enabled()
        with mg.set_grad_enabled(True):
            assert mg.is_grad_enabled()
    assert mg.is_grad_enabled()
    mg.set_grad_enabled(False)
    try:
        assert not (leaf(1.0) * 2).requires_grad
    finally:
        mg.set_grad_enabled(True)
    assert (leaf(1.0) * 2).requires_grad


def test_inference_mode_is_no_grad():
    with mg.inference_mode():
        assert not (leaf(1.0) * 2).requires_grad
        with mg.inference_mode(False):
            assert (leaf(1.0) * 2).requires_grad
    assert mg.inference_mode()(mg.is_grad_enabled)() is False


@pytest.mark.parametrize("name", ["var", "std"])
def test_the_variance_of_one_value_is_nan_as_is_its_gradient(name):
    x = leaf(1.0)
    with pytest.warns(UserWarning, match=f"{name} is NaN without more values than correction 1"):
        y = getattr(x, name)()
    y.backward()
    assert math.isnan(y.item()) and math.isnan(x.grad[0])
