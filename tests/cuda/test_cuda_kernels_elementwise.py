"""Dropout, concat, softmax cross-entropy and the optimizers' CUDA kernels on the emulated device."""

import numpy as np
import pytest
from cuda_cases import (
    BFLOAT16,
    DTYPES,
    agrees,
    check_canaries,
    close,
    in_any_order,
    in_slice,
    needs_device,
    normal,
    thread_order,
    to_device,
    xp,
)

from kernels import cuda, reference
from kernels.cuda.optim import adam_update, launch, sgd_update

pytestmark = [needs_device, pytest.mark.long]
FLOAT, DOUBLE = np.dtype("f4"), np.dtype("f8")
either = pytest.mark.parametrize("dtype", [FLOAT, DOUBLE], ids=str)


# Dropout


@in_any_order
@either
@pytest.mark.parametrize("seed", [0, 7, 2**63 + 12345])
def test_dropout_drops_what_the_reference_drops(seed, dtype, order):
    for shape in ((), (33, 7), (2, 3, 4, 8), (0, 4)):
        x = normal(shape, dtype)
        with thread_order(order):
            y = cuda.dropout_forward(to_device(x), 0.3, seed)
            in_memory = cuda.dropout_forward(to_device(x), 0.3, to_device(np.full(1, seed, np.uint64)))
        np.testing.assert_array_equal(y.get(), reference.dropout_forward(x, 0.3, seed))
        np.testing.assert_array_equal(in_memory.get(), y.get())


def test_dropout_of_a_slice_numbers_the_elements_of_the_slice():
    x = normal((5, 8), FLOAT)
    view, _ = in_slice(x, 4, 8)
    np.testing.assert_array_equal(cuda.dropout_forward(view, 0.5, 3).get(), reference.dropout_forward(x, 0.5, 3))


@pytest.mark.parametrize("dtype", DTYPES[2:], ids=str)
def test_dropout_of_16_bits(dtype):
    agrees("dropout_forward", normal((3, 40), dtype), 0.3, 5, dtype=dtype)


def test_dropout_of_everything_and_nothing():
    x = to_device(normal((3, 5), FLOAT))
    assert not cuda.dropout_forward(x, 1.0, 0).get().any()
    np.testing.assert_array_equal(cuda.dropout_forward(x, 0.0, 0).get(), x.get())


# Concat


@in_any_order
@pytest.mark.parametrize("widths", [(8, 4, 16), (3, 1, 5), (7,), (4, 0, 8)])
def test_concat(widths, order):
    xs = [normal((2, 3, width), FLOAT, seed) for seed, width in enumerate(widths)]
    with thread_order(order):
        np.testing.assert_array_equal(cuda.concat_forward(to_device(xs)).get(), np.concatenate(xs, -1))
        out, wide = in_slice(np.zeros((2, 3, sum(widths)), FLOAT))
        assert cuda.concat_forward([in_slice(x)[0] for x in xs], out) is out
    np.testing.assert_array_equal(out.get(), np.concatenate(xs, -1))
    assert (wide.get()[..., :3] == 77).all() and (wide.get()[..., -5:] == 77).all()


def test_concat_of_other_types():
    xs = [np.arange(6).reshape(2, 3), np.arange(4).reshape(2, 2)]
    np.testing.assert_array_equal(cuda.concat_forward(to_device(xs)).get(), np.concatenate(xs, -1))
    xs = [normal((2, 3), BFLOAT16), normal((2, 2), BFLOAT16)]
    np.testing.assert_array_equal(cuda.concat_forward(to_device(xs)).get(), np.concatenate(xs, -1))


# Softmax cross-entropy


def targets(rows, classes, dtype, seed=9):
    q = np.random.default_rng(seed).random((rows, classes))
    return (q / q.sum(1, keepdims=True)).astype(dtype)


@in_any_order
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("rows, classes", [(1, 1), (5, 10), (9, 100), (2, 33), (0, 3)])
def test_cross_entropy(rows, classes, dtype, order):
    x, q, dloss = normal((rows, classes), dtype), targets(rows, classes, dtype), normal(rows, dtype, 3)
    with thread_order(order):
        agrees("cross_entropy_forward", 5 * x, q, dtype=dtype, tolerance=4)
        agrees("cross_entropy_backward", dloss, targets(rows, classes, dtype, 4), q, dtype=dtype, tolerance=4)


def test_cross_entropy_of_slices_and_of_one_number_for_all_rows():
    x, q = normal((6, 10), FLOAT), targets(6, 10, FLOAT)
    agrees("cross_entropy_forward", x, q, dtype=FLOAT, tolerance=4, arrays=[in_slice(x)[0], in_slice(q)[0]])
    one = xp.broadcast_to(to_device(np.full(1, 0.25, FLOAT)), (6,))
    expected = reference.cross_entropy_backward(np.full(6, 0.25), q.astype("d"), q.astype("d"))
    close(cuda.cross_entropy_backward(one, to_device(q), to_device(q)), expected, FLOAT, 4)


def test_cross_entropy_of_extreme_logits():
    x = to_device(np.array([[1e4, -1e4, 0], [np.nan, 0, 1]], FLOAT))
    loss, p = cuda.cross_entropy_forward(x, to_device(np.eye(2, 3, dtype=FLOAT)))
    np.testing.assert_array_equal(p.get()[0], [1, 0, 0])
    assert loss.get()[0] == 0 and np.isnan(loss.get()[1]) and np.isnan(p.get()[1]).all()


# Optimizers

SHAPES = [(3, 5), (0,), (4096,), (1,), (4097,), (), (2, 3, 70)]


def state(dtype, columns):
    """w, dw, and states of which the last is positive: lists of arrays on the host and on the device."""
    host = [[np.asarray(normal(shape, dtype, 10 * i + c)) for i, shape in enumerate(SHAPES)] for c in range(columns)]
    host[-1] = [np.asarray(a * a) for a in host[-1]]
    return host, [to_device(column) for column in host]


def same_steps(name, host, device, *settings, dtype):
    getattr(cuda, name)(*device, *settings)
    doubles = [None if column is None else [np.array(a, np.float64) for a in column] for column in host]
    getattr(reference, name)(*doubles, *settings)
    for actual, expected in zip(device, doubles):
        for a, e in zip(actual or [], expected or []):
            close(a, e, dtype, 8)
        check_canaries(name, actual or [])


@in_any_order
@either
@pytest.mark.parametrize("how", [(0.0, 0.0, False), (0.9, 0.0, False), (0.9, 0.3, False), (0.9, 0.0, True)])
def test_sgd_step(how, dtype, order):
    momentum, dampening, nesterov = how
    host, device = state(dtype, 3)
    if not momentum:
        host[2] = device[2] = None
    with thread_order(order):
        same_steps("sgd_step", host, device, 0.1, momentum, dampening, 0.01, nesterov, dtype=dtype)


@in_any_order
@either
@pytest.mark.parametrize("decoupled", [False, True])
def test_adam_step(decoupled, dtype, order):
    host, device = state(dtype, 4)
    with thread_order(order):
        same_steps("adam_step", host, device, 3, 1e-2, 0.9, 0.999, 1e-8, 0.05, decoupled, dtype=dtype)


@in_any_order
@either
def test_scale_all(dtype, order):
    for bad in (None, np.nan, np.inf, -np.inf):
        host, device = (columns[0] for columns in state(dtype, 2))
        if bad is not None:
            device[4][4096], host[4][4096] = bad, bad
        with thread_order(order):
            assert bool(cuda.scale_all(device, 1 / 3)) == (bad is None)
        assert bool(reference.scale_all(host, 1 / 3)) == (bad is None)
        for actual, expected in zip(device, host):
            np.testing.assert_array_equal(actual.get(), expected)
        check_canaries("scale_all", device)
    wide = to_device(np.ones((2, 6), dtype))
    assert bool(cuda.scale_all([wide[:, :3]], 2.0)) and wide.get().sum() == 18


@in_any_order
@either
def test_squared_norm(dtype, order):
    host, device = (columns[0] for columns in state(dtype, 2))
    with thread_order(order):
        norm = cuda.squared_norm(device)
        assert norm.get() == cuda.squared_norm(device).get(), "the same bits"
    doubles = [np.array(a, np.float64) for a in host]
    assert norm.dtype == np.float64 and norm.shape == ()
    np.testing.assert_allclose(norm.get(), reference.squared_norm(doubles), rtol=1e-13)
    device[4][4096] = np.nan
    assert np.isnan(cuda.squared_norm(device).get())
    assert cuda.squared_norm(device[1:2]).get() == 0
    wide = to_device(np.ones((2, 6), dtype))
    assert cuda.squared_norm([wide[:, :3]]).get() == 6


@pytest.mark.parametrize("update, columns", [
    (sgd_update, (0.1, 0.9, 0.0, 0.01, False)),
    (adam_update, (3, 1e-2, 0.9, 0.999, 1e-8, 0.05, True)),
])  # fmt: skip
def test_an_update_that_is_not_to_go_changes_nothing(update, columns):
    _, device = state(FLOAT, 3 if update is sgd_update else 4)
    before = [a.get() for column in device for a in column]
    for go in (False, True):
        launch(*update(*device, *columns), to_device(np.array(go)))
        same = [(a.get() == b).all() for a, b in zip((a for column in device for a in column), before)]
        assert all(same) is not go


def test_steps_of_other_layouts():
    w, dw = normal((4, 6), FLOAT), normal((4, 6), FLOAT, 1)
    for turned in (False, True):  # a gradient in another layout is copied; weights in one are the reference's
        weights = to_device(w.T.copy()).T if turned else to_device(w)
        cuda.sgd_step([weights], [to_device(dw.T.copy()).T], None, 0.1, 0.0, 0.0, 0.0, False)
        np.testing.assert_allclose(weights.get(), w - np.float32(0.1) * dw, rtol=1e-6)
