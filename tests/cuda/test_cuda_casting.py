"""Weights in 16 bits: all of them cast in a launch, and gradients that come to them as the sums were computed."""

import ml_dtypes
import numpy as np
import pytest
from cuda_cases import BFLOAT16, DEVICE, needs_device, normal, to_device
from places import here, prepare, running_on

import minigrad as mg
from kernels import cuda
from kernels.cuda import casting
from minigrad.nn import functional as F

prepare(DEVICE)
pytestmark = needs_device


@pytest.fixture(autouse=True)
def on_the_device():
    with running_on(DEVICE):
        yield


@pytest.fixture
def launches(monkeypatch):
    """The grids of the launches made."""
    made, kernel = [], casting.CAST_ALL
    monkeypatch.setattr(
        casting, "CAST_ALL", lambda template, grid, *rest: made.append(grid) or kernel(template, grid, *rest)
    )
    return made


@pytest.mark.parametrize("dtype", [np.dtype("f2"), BFLOAT16], ids=str)
def test_many_arrays_are_cast_in_one_launch(dtype, launches):
    arrays = [normal((n, 3), np.dtype("f4"), n) for n in (1, 0, 1400, 5000, *range(2, 110))]
    for copy, given in zip(cuda.cast_all(to_device(arrays), dtype), arrays, strict=True):
        np.testing.assert_array_equal(copy.get(), given.astype(dtype))
    assert launches == [(1 + 2 + 4 + 108,)]


def test_more_arrays_take_more_launches_and_other_layouts_are_copied(launches):
    arrays = [normal((4,), np.dtype("f4"), n) for n in range(250)]
    assert len(cuda.cast_all(to_device(arrays), BFLOAT16)) == 250 and len(launches) == 3
    turned = to_device(normal((4, 5), np.dtype("f4"))).T
    (copy,) = cuda.cast_all([turned], BFLOAT16)
    np.testing.assert_array_equal(copy.get(), turned.get().astype(BFLOAT16))
    assert len(launches) == 3


@pytest.mark.parametrize("dtype", [np.dtype("f4"), np.dtype("f8"), BFLOAT16], ids=str)
def test_many_arrays_are_copied_in_one_launch(dtype, launches):
    given = [normal((n,), dtype, n) for n in (3, 5000, 0)]
    rooms = to_device([np.zeros_like(a) for a in given])
    cuda.copy_all(rooms, to_device(given))
    for room, wanted in zip(rooms, given, strict=True):
        np.testing.assert_array_equal(room.get(), wanted)
    assert len(launches) == (dtype != BFLOAT16)


def weight_gradient(given, **settings):
    x, w = (mg.Tensor(here().asarray(a), requires_grad=True) for a in given)
    with mg.autocast("bfloat16", **({"weights": [w]} if settings else {})):
        y = F.conv2d(x, w, padding=1)
    y.backward(here().asarray(np.full(y.shape, 1, BFLOAT16)))
    return w.grad.get()


def test_the_gradient_of_a_cast_weight_is_not_rounded_to_16_bits(launches):
    """257 pixels, each with 1: float32 counts them, bfloat16, of 8 bits, can't."""
    given = np.ones((1, 1, 257, 8), np.float32), np.ones((8, 3, 3, 8), np.float32)
    grad = weight_gradient(given)
    assert grad.dtype == np.float32 and grad[0, 1, 1, 0] == 257 != np.float32(ml_dtypes.bfloat16(257))
    assert not launches
    np.testing.assert_array_equal(weight_gradient(given, weights=True), grad)
    assert len(launches) == 1
