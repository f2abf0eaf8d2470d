"""What torch's users type beside arithmetic: products, parts, places, steps, questions; beside torch itself."""

import math
import sys

import numpy as np
import pytest
from conftest import needs_torch

import minigrad as mg

X = np.array([[1.5, -2.5, 0.0, 0.5], [3.2, 4.0, -5.1, 7.0], [0.3, -0.2, 2.5, -3.5]])
Y = np.array([[2.0, -2.0, 1.0, 4.0], [0.5, 4.0, 3.0, 0.25], [1.5, -0.4, 2.0, 8.0]])
ODD = np.array([[math.nan, math.inf, 1.0, 0.0], [-math.inf, 0.0, 2.0, math.nan], [0.0, 0.0, 0.0, 1.0]])


def package_of(x):
    """minigrad or torch"""
    return sys.modules[type(x).__module__.partition(".")[0]]


CALLS = {
    **{n: lambda x, y, n=n: getattr(x, n)() for n in "expm1 floor ceil trunc round sign ravel diag".split()},
    **{n: lambda x, y, n=n: getattr(x.abs() + 1, n)() for n in "log1p log2 log10 rsqrt reciprocal amin".split()},
    "round to tens": lambda x, y: x.round(decimals=-1),
    "mm": lambda x, y: x.mm(y.t()),
    "mv": lambda x, y: x.mv(y[0]),
    "dot": lambda x, y: x[0].dot(y[1]),
    "outer": lambda x, y: x[0].outer(y[:, 0]),
    "bmm": lambda x, y: x.view(3, 2, 2).bmm(y.view(3, 2, 2)),
    "remainder": lambda x, y: x.remainder(y),
    "% a number": lambda x, y: x % 2.0,
    "tril": lambda x, y: x.tril(-1),
    "triu": lambda x, y: x.triu(diagonal=1),
    "diag of a vector": lambda x, y: x[0].diag(1),
    "diagonal": lambda x, y: x.view(3, 2, 2).diagonal(-1, 1, 2),
    "trace": lambda x, y: x.trace(),
    "roll": lambda x, y: x.roll(2),
    "roll of axes": lambda x, y: x.roll((1, -1), (0, 1)),
    "movedim": lambda x, y: x.view(3, 2, 2).movedim(0, -1),
    "movedim of two": lambda x, y: x.view(3, 2, 1, 2).movedim((0, 3), (1, 0)),
    "swapaxes": lambda x, y: x.swapaxes(0, 1),
    "narrow": lambda x, y: x.narrow(1, 1, 2),
    "narrow from the end": lambda x, y: x.narrow(1, -3, 2),
    "select": lambda x, y: x.select(1, -1),
    "masked_select": lambda x, y: x.masked_select(x > 0),
    "masked_select of a column": lambda x, y: x.masked_select(x[:, :1] > 0),
    "take_along_dim": lambda x, y: x.take_along_dim(y.argsort(1), 1),
    "reshape_as": lambda x, y: x.reshape_as(y.t()),
    "var_mean": lambda x, y: sum(package_of(x).var_mean(x, 1)),
    "std_mean": lambda x, y: sum(package_of(x).std_mean(x, (0, 1), correction=0)),
}
WITHOUT = {
    **{n: lambda x, y, n=n: getattr(x, n)() for n in "isnan isinf isfinite logical_not nonzero count_nonzero".split()},
    **{n: lambda x, y, n=n: getattr(x, f"logical_{n}")(x < y) for n in ("and", "or", "xor")},
    "nonzero as a tuple": lambda x, y: x.nonzero(as_tuple=True)[1],
    "count_nonzero of rows": lambda x, y: x.count_nonzero(1),
    "isclose": lambda x, y: x.isclose(x * 1.0000001, equal_nan=True),
    "//": lambda x, y: y // 0.4,
    "a number % and //": lambda x, y: 7.0 % y + 7.0 // y,
    "whole numbers": lambda x, y: (y.long() // 3) * 100 + y.long() % -3,
    "type_as": lambda x, y: y.type_as(y.long()),
    "clamp_": lambda x, y: y.clone().clamp_(0, 2),
    "masked_fill_": lambda x, y: y.clone().masked_fill_(y > 1, 9.0),
    "new_zeros": lambda x, y: y.long().new_zeros(2, 3) + y.new_ones((2, 3)),
    "new_tensor": lambda x, y: y.new_tensor([1, 2]) + y.new_full((2,), 3),
    "equal": lambda x, y: y.new_tensor([x.equal(x), y.equal(y), y.equal(y[0]), y.is_floating_point()]),
}


def both(call, x):
    import torch

    return call(mg.tensor(x), mg.tensor(Y)), call(torch.tensor(x), torch.tensor(Y))


@needs_torch()
@pytest.mark.parametrize("name", [*CALLS, *WITHOUT])
def test_values_and_types_are_torchs(name):
    ours, theirs = both(CALLS[name], X) if name in CALLS else both(WITHOUT[name], ODD)
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-14)
    assert ours.numpy().dtype == theirs.numpy().dtype and ours.shape == tuple(theirs.shape)


@needs_torch()
@pytest.mark.parametrize("name", CALLS)
def test_gradients_are_torchs(name):
    import torch

    ours, theirs = ([package.tensor(a, requires_grad=True) for a in (X, Y)] for package in (mg, torch))
    for pair in (ours, theirs):
        (CALLS[name](*pair) ** 2).sum().backward()
    for a, b in zip(ours, theirs):
        assert (a.grad is None) == (b.grad is None)
        if a.grad is not None:
            np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=1e-12, atol=1e-14)


@needs_torch()
def test_functions_of_the_package_are_torchs():
    import torch

    for package in (mg, torch):
        assert package.is_tensor(package.as_tensor([1.0])) and not package.is_tensor(1.0)
    vectors = [np.arange(3.0), np.arange(4.0)]
    for settings in (dict(indexing="ij"), dict(indexing="xy")):
        ours = mg.meshgrid(*map(mg.tensor, vectors), **settings)
        for a, b in zip(ours, torch.meshgrid(*map(torch.tensor, vectors), **settings)):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert mg.tensor([1, 2], dtype=mg.long).dtype == np.int64 and mg.zeros(1, dtype=mg.double).dtype == np.float64


def test_as_tensor_shares_memory_where_it_can():
    array = np.zeros(2, np.float32)
    shared = mg.as_tensor(array)
    array[0] = 5
    assert shared.tolist() == [5, 0] and mg.as_tensor(shared) is shared
    assert mg.as_tensor(array, dtype=mg.float64).dtype == np.float64 and mg.as_tensor([1, 2]).dtype == np.int64


def test_random_numbers_in_place_follow_the_seed():
    drawn = []
    for _ in range(2):
        mg.manual_seed(4)
        drawn.append((mg.zeros(500).normal_(3.0, 0.1), mg.zeros(500).uniform_(-2, -1)))
    (normal, uniform), again = drawn
    assert normal.equal(again[0]) and uniform.equal(again[1]) and normal.dtype == np.float32
    assert abs(normal.mean().item() - 3) < 0.03 and -2 <= uniform.min().item() < uniform.max().item() < -1


def test_numpys_functions_keep_the_gradient():
    x = mg.tensor([0.5, 2.0], requires_grad=True)
    (np.log1p(x) + np.floor(x)).sum().backward()
    np.testing.assert_allclose(x.grad, [1 / 1.5, 1 / 3])


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda x: x.mm(mg.ones(2)), ValueError, r"mm: b must be a matrix, of 2 axes; got shape \(2,\)"),
        (lambda x: mg.ones(2, 1, 2).bmm(mg.ones(3, 2, 1)), ValueError, "bmm: a and b must have as many matrices"),
        (lambda x: x.dot(x), ValueError, "dot: a must be a vector"),
        (lambda x: x.narrow(0, 1, 2), ValueError, "narrow: start 1 and length 2 must lie in axis 0"),
        (lambda x: x.select(0, 2), ValueError, "select: index must be from -2 to 1"),
        (lambda x: x.roll((1, 2), 0), ValueError, "roll: shifts must be ints, one for each of dims 0"),
        (lambda x: x.movedim((0, 1), 0), ValueError, "movedim: source and destination must be as many axes"),
        (lambda x: x[0].tril(), ValueError, "tril: x must be"),
        (lambda x: mg.ones(1, 1, 1).diag(), ValueError, "diag: x must be a vector or a matrix"),
        (lambda x: x.round(decimals=0.5), ValueError, "round: decimals must be an int; got 0.5"),
        (lambda x: mg.arange(3) % 0, ZeroDivisionError, "remainder: whole numbers can't be divided by 0"),
        (lambda x: x.masked_select(x), TypeError, "masked_select: mask must hold booleans"),
        (lambda x: mg.meshgrid(x[0], indexing="yx"), ValueError, "indexing must be 'ij' or 'xy'; got 'yx'"),
    ],
)
def test_what_makes_no_sense_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make(mg.ones(2, 3))


@pytest.mark.parametrize("name", ["floor", "ceil", "trunc", "round", "sign"])
def test_true_and_false_are_whole_numbers(name):
    y = getattr(mg.tensor([True, False]), name)()
    assert y.dtype == bool and y.tolist() == [True, False]
