"""Tensor: making it, reading it, its operators in both orders, and what it refuses."""

import sys

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor, ops


def test_tensor_from_python_numbers_is_float32_and_arrays_keep_their_type():
    assert mg.tensor([1.0, 2.0]).dtype == np.float32
    assert mg.tensor([1, 2]).dtype == np.int64
    assert mg.tensor(np.ones(2)).dtype == np.float64
    assert mg.tensor(np.ones(2), dtype=np.float32).dtype == np.float32


def test_tensor_copies():
    a = np.ones(2)
    t = mg.tensor(a)
    a[0] = 5
    assert t.numpy()[0] == 1


def test_integers_can_not_require_a_gradient():
    with pytest.raises(TypeError, match="only floating-point tensors can require a gradient; this one is int64"):
        mg.tensor([1, 2], requires_grad=True)


@pytest.mark.parametrize("other", [3.0, 3, np.float64(3.0), np.array([3.0, 3.0])])
@pytest.mark.parametrize(
    "f",
    [
        lambda x, o: x + o,
        lambda x, o: o + x,
        lambda x, o: x - o,
        lambda x, o: o - x,
        lambda x, o: x * o,
        lambda x, o: o * x,
        lambda x, o: x / o,
        lambda x, o: o / x,
    ],
)
def test_operators_in_both_orders(f, other):
    a = np.array([2.0, 5.0])
    x = Tensor(a.copy(), requires_grad=True)
    y = f(x, other)
    np.testing.assert_allclose(y.data, f(a, other))
    y.sum().backward()
    np.testing.assert_allclose(x.grad, (f(a + 1e-6, other) - f(a - 1e-6, other)) / 2e-6, rtol=1e-6)


def test_float32_stays_float32_with_python_numbers():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    for y in (x + 1, 2.5 * x, x / 3, 1 - x, x**2, x.mean(), x.sum() / 7, -x):
        assert y.dtype == np.float32
    ((2.5 * x).mean() / 3).backward()
    assert x.grad.dtype == np.float32


def test_an_integer_tensor_times_a_float_is_a_float():
    np.testing.assert_allclose((mg.tensor([1, 2]) * 2.5).numpy(), [2.5, 5.0])


def test_matmul_with_an_array_on_either_side():
    a, b = np.ones((2, 3)), Tensor(np.ones((3, 4)), requires_grad=True)
    assert (a @ b).shape == (2, 4)
    assert (b.T @ a.T).shape == (4, 2)


def test_mixed_types_are_refused():
    with pytest.raises(TypeError, match=r"mul: inputs have different types \(float32, float64\); convert one"):
        mg.tensor([1.0]) * Tensor(np.ones(1))


def test_things_that_are_no_tensors_are_refused():
    with pytest.raises(TypeError, match="add: expected a tensor, an array or a number; got str"):
        mg.tensor([1.0]) + "a"


def test_reading():
    x = mg.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert (x.shape, x.ndim, x.size, len(x)) == ((2, 2), 2, 4, 2)
    assert x[1, 0].item() == 3.0 and float(x[0, 0]) == 1.0 and bool(x[0, 0])
    assert "1., 2." in repr(x) and "requires_grad" not in repr(x)
    assert "requires_grad=True" in repr(mg.tensor(1.0, requires_grad=True))
    assert "node=mul" in repr(mg.tensor(1.0, requires_grad=True) * 2)
    with pytest.raises(
        ValueError, match=r"item: only a tensor of one element has an item; this one has shape \(2, 2\)"
    ):
        x.item()
    with pytest.raises(TypeError):
        len(mg.tensor(1.0))


def test_grad_must_fit():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match=r"grad: shape \(3,\) does not match the tensor's \(2,\)"):
        x.grad = np.ones(3)
    with pytest.raises(RuntimeError, match="does not require a gradient"):
        mg.tensor(1.0).grad = np.ones(())


def test_methods_equal_numpy():
    a = np.random.default_rng(0).random((2, 3, 4)) + 0.5
    x = Tensor(a)
    np.testing.assert_allclose(x.sum(dim=(0, 2)).data, a.sum((0, 2)))
    np.testing.assert_allclose(x.mean(dim=-1, keepdim=True).data, a.mean(-1, keepdims=True))
    values, indices = x.max(dim=1)
    np.testing.assert_allclose(values.data, a.max(1))
    np.testing.assert_array_equal(indices.data, a.argmax(1))
    np.testing.assert_allclose(x.amax(dim=(0, 2)).data, a.max((0, 2)))
    np.testing.assert_allclose(x.exp().data, np.exp(a))
    np.testing.assert_allclose(x.log().data, np.log(a))
    np.testing.assert_allclose(x.sqrt().data, np.sqrt(a))
    assert x.reshape(6, 4).shape == x.reshape((6, 4)).shape == (6, 4)
    assert x.permute(1, 0, 2).shape == x.permute((1, 0, 2)).shape == (3, 2, 4) and x.T.shape == (4, 3, 2)
    assert x.transpose(1, -1).shape == (2, 4, 3) and x.transpose(0, 0).shape == (2, 3, 4)
    assert x.flatten(1).shape == (2, 12) and x.flatten().shape == (24,) and x.flatten(0, 1).shape == (6, 4)


def test_a_maximum_that_is_tied_sends_its_gradient_to_the_first_of_an_axis_and_shares_it_over_all():
    """As in torch."""
    x = Tensor(np.array([1.0, 3.0, 3.0]), requires_grad=True)
    x.max(0).values.backward()
    np.testing.assert_array_equal(x.grad, [0, 1, 0])
    x.grad = None
    (4 * x.max()).backward()
    np.testing.assert_array_equal(x.grad, [0, 2, 2])
    x.grad = None
    x.amax().backward()
    np.testing.assert_array_equal(x.grad, [0, 0.5, 0.5])


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x: x.reshape(5), r"reshape: 6 elements of shape \(2, 3\) do not fill shape \(5,\)"),
        (lambda x: x.permute(0, 0), r"transpose: axes \(0, 0\) are not an order of the 2 axes"),
        (lambda x: x.sum(dim=2), "sum: dim 2 is outside a tensor of 2 axes"),
        (lambda x: x.sum(dim=(0, -2)), "names an axis twice"),
        (lambda x: x @ x, r"matmul: the last axis of a must equal the last but one of b; a \(2, 3\), b \(2, 3\)"),
        (lambda x: x ** "2", "power: the exponent must be a number; got str"),
        (lambda x: ops.pad(x, pads=((0, 1),)), r"pad: pads must be a \(before, after\) pair"),
    ],
)
def test_errors_name_the_value_and_the_rule(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call(Tensor(np.ones((2, 3))))


def test_devices():
    x = mg.tensor([1.0], requires_grad=True)
    assert x.device.name == "cpu" and x.to("cpu") is x and "cpu" in repr(x.device)
    with pytest.raises(ValueError, match="'gpu' is not one of 'cpu', 'cuda'"):
        x.to("gpu")


def test_mixed_devices_are_refused():
    """With a second device that is NumPy under another name."""
    from minigrad import device as devices

    class Elsewhere(np.ndarray):
        pass

    other = devices.Device("elsewhere", np, "kernels.reference")
    original = devices.device_of
    tensor_module = sys.modules[Tensor.__module__]
    tensor_module.device_of = lambda a: other if isinstance(a, Elsewhere) else original(a)
    try:
        with pytest.raises(ValueError, match=r"add: inputs are on different devices \(cpu, elsewhere\); move them"):
            Tensor(np.ones(2)) + Tensor(np.ones(2).view(Elsewhere))
    finally:
        tensor_module.device_of = original


def test_use_kernels_is_undone():
    import kernels.reference

    before = mg.get_device("cpu").kernels
    with mg.use_kernels("reference") as module:
        assert module is kernels.reference and mg.get_device("cpu").kernels is module
    assert mg.get_device("cpu").kernels is before
