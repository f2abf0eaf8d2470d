"""Methods by torch's names for what has a sign or needs one line, beside torch itself."""

import numpy as np
import pytest
from conftest import needs_torch

import minigrad as mg

X, Y = np.array([[1.0, -2.0, 0.0], [3.0, 4.0, -5.0]]), np.array([[2.0, -2.0, 1.0], [0.5, 4.0, 1.0]])
CALLS = {
    **{name: lambda x, y, name=name: getattr(x, name)(y) for name in "add sub mul div eq ne lt le gt ge".split()},
    **{name: lambda x, y, name=name: getattr(x, name)() for name in "neg square t float double int long bool".split()},
    **{f"{name}_": lambda x, y, name=name: getattr(x.clone(), f"{name}_")(y) for name in "add sub mul div".split()},
    "matmul": lambda x, y: x.matmul(y.t()),
    "where": lambda x, y: x.where(x > 0, y),
    "where a number": lambda x, y: x.where(x > 0, -1.0),
    "zero_": lambda x, y: x.clone().zero_(),
    "fill_": lambda x, y: x.clone().fill_(2.5),
}


@needs_torch()
@pytest.mark.parametrize("name", CALLS)
def test_values_and_types_are_torchs(name):
    import torch

    ours, theirs = CALLS[name](mg.tensor(X), mg.tensor(Y)), CALLS[name](torch.tensor(X), torch.tensor(Y))
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert ours.numpy().dtype == theirs.numpy().dtype


@needs_torch()
@pytest.mark.parametrize("name", "add sub mul div neg square t matmul where".split())
def test_gradients_are_torchs(name):
    import torch

    x, tx = mg.tensor(X, requires_grad=True), torch.tensor(X, requires_grad=True)
    (CALLS[name](x, mg.tensor(Y)) ** 2).sum().backward()
    (CALLS[name](tx, torch.tensor(Y)) ** 2).sum().backward()
    np.testing.assert_allclose(x.grad, tx.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", ["add_", "sub_", "mul_", "div_"])
def test_in_place_by_name_is_never_lost(name):
    """x += y may bind x anew; a method can't: it writes, or says why not."""
    x, y = mg.ones(2), mg.ones(2, requires_grad=True)
    assert getattr(x, name)(2.0) is x and x.data[0] == {"add_": 3, "sub_": -1, "mul_": 2, "div_": 0.5}[name]
    for written, other in ((y, 1.0), (y * 2, 1.0), (x, y)):
        with pytest.raises(RuntimeError, match="writing in place"):
            getattr(written, name)(other)
    with mg.no_grad():
        assert getattr(y, name)(2.0) is y and y.requires_grad


def test_whole_numbers_have_no_gradient_and_types_stay():
    x = mg.tensor([1.5, -2.5], requires_grad=True)
    assert x.long().tolist() == [1, -2] and not x.long().requires_grad and x.float() is x
    assert x.double().requires_grad and x.to(np.int32).dtype == np.int32


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda x: x.eq("a"), TypeError, "eq: other must be a tensor, an array or a number; got str"),
        (lambda x: x.fill_("a"), TypeError, "fill_: value must be a number; got str"),
        (lambda x: mg.ones(2, 3, 4).t(), ValueError, "t: expects at most 2 axes"),
        (lambda x: mg.arange(2).add_(0.5), TypeError, "a tensor of int64 does not hold"),
        (lambda x: x.add_(mg.ones(3, 2)), ValueError, "writing in place: the result has shape"),
    ],
)
def test_what_makes_no_sense_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make(mg.ones(2))


def test_writing_by_name_counts_as_writing():
    x = mg.ones(2)
    w = mg.ones(2, requires_grad=True)
    loss = (w * x).sum()
    x.zero_()
    with pytest.raises(RuntimeError, match="written in place"):
        loss.backward()


def test_size_is_a_number_and_torchs_function():
    x = mg.zeros(2, 3)
    assert x.size == 6 and x.size + 1 == 7 and x.size() == (2, 3) and x.size(0) == 2 and x.size(-1) == 3
    with pytest.raises(IndexError, match=r"size: dim must be an axis of shape \(2, 3\); got 2"):
        x.size(2)
