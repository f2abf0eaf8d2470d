"""What is given to optimizers by hand: odd parameters, settings, clipping, types; several with one scale."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim

pytestmark = pytest.mark.usefixtures("reference_kernels")


def parameters():
    return [nn.Parameter(np.ones(shape)) for shape in ((4, 3), (3,))]


def ready(*values, dtype=np.float32):
    """Parameters with gradients of 3 and 4."""
    params = [nn.Parameter(np.array(v, dtype)) for v in values]
    for p in params:
        p.grad = np.array([3.0, 4.0], dtype)
    return params


def test_one_parameter_alone_and_iterators(kernels):
    for make in (
        lambda p: optim.SGD(p, lr=1.0),
        lambda p: optim.SGD(iter([p]), lr=1.0),
        lambda p: optim.SGD((p,), lr=1.0),
    ):
        (p,) = ready([1.0, 1.0])
        make(p).step()
        assert p.data.tolist() == [-2, -3]
    (p,) = ready([1.0, 1.0])
    assert optim.clip_grad_norm_(p, 1.0) == 5 and np.allclose(p.grad, [0.6, 0.8])
    optim.clip_grad_value_(p, 0.7)
    assert np.allclose(p.grad, [0.6, 0.7])


@pytest.mark.parametrize("clip", [optim.clip_grad_norm_, optim.clip_grad_value_])
def test_clipping_what_is_odd(clip, kernels):
    p, q = ready([1.0, 1.0], [1.0, 1.0])
    q.grad = p.grad  # one array for both
    clip([p, q, p], 1.0)  # and one of them twice
    first = p.grad.copy()
    assert np.array_equal(first, q.grad) and (np.abs(first) <= 1).all() and first.any()
    (p,) = ready([1.0, 1.0])
    for fixed in (np.broadcast_to(np.float32(9), (2,)), np.array([9.0, 0, 9.0], np.float32)[::2]):
        before, p.grad = fixed.copy(), fixed
        clip(p, 1.0)
        assert (p.grad <= 1).all() and np.array_equal(fixed, before)
    assert clip([], 1.0) in (None, 0.0)
    used = iter([p])
    next(used)
    for wrong, message in (
        (used, "params is an iterator that gives nothing, or was used before"),
        (nn.Linear(1, 1), "params must be parameters in a list; got Linear; pass its parameters"),
        ([np.ones(2)], "got ndarray"),
        (nn.Linear(1, 1).named_parameters(), "got tuple; pass parameters"),
        (3, "got int"),
        ({"params": [p]}, "got dict"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            clip(wrong, 1.0)
    with pytest.raises(ValueError, match="must be >= 0; got nan"):
        clip(p, np.nan)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: optim.SGD(parameters(), lr=np.nan), "SGD: lr must be a finite number; got nan"),
        (lambda: optim.SGD(parameters(), lr=np.inf), "SGD: lr must be a finite number; got inf"),
        (lambda: optim.SGD(parameters(), lr="0.1"), "SGD: lr must be a number; got '0.1'"),
        (lambda: optim.SGD(parameters(), lr=True), "SGD: lr must be a number; got True"),
        (lambda: optim.SGD(parameters(), dampening=np.nan), "SGD: dampening must be finite; got nan"),
        (lambda: optim.Adam(parameters(), betas=0.9), r"Adam: betas must be two numbers in \[0, 1\); got 0.9"),
        (lambda: optim.Adam(parameters(), betas=(0.9, np.nan)), "betas must be two numbers"),
        (lambda: optim.Adam(parameters(), betas=(-0.1, 0.9)), "betas must be two numbers"),
        (lambda: optim.RMSprop(parameters(), alpha=1.5), "RMSprop: alpha must be from 0 to 1; got 1.5"),
        (lambda: optim.Adagrad(parameters(), lr_decay=-1), "Adagrad: lr_decay must be >= 0; got -1"),
        (lambda: optim.SGD(nn.Linear(1, 1)), "got Linear; pass its parameters"),
        (lambda: optim.SGD({"params": parameters()}), "params must be parameters in a list; got dict"),
        (
            lambda: optim.SGD([{"params": parameters()}, parameters()[0]]),
            "a group must be a dict with 'params'; got Param",
        ),
        (lambda: optim.SGD([{"lr": 1.0}]), "a group must be a dict with 'params'"),
        (lambda: optim.SGD(nn.Linear(1, 1).named_parameters()), "got tuple; pass parameters"),
        (lambda: optim.SGD([{"params": ps} for ps in [iter(parameters())] * 2]), "iterator that gives nothing, or was"),
        (lambda: optim.SGD(2 * [{"params": parameters()[0]}][:1]), "the same parameter twice"),
        (lambda: optim.AveragedModel(parameters()), "AveragedModel: model must be a Module; got list"),
        (lambda: optim.ExponentialMovingAverage(parameters()[0]), "model must be a Module; got Parameter"),
    ],
)
def test_wrong_parameters_and_settings_are_refused(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_numbers_of_numpy_are_numbers_and_weights_keep_their_type(kernels):
    for lr in (np.float64(0.5), np.float32(0.5), np.array(0.5), mg.tensor(0.5), 0.5):
        for make in (optim.SGD, optim.Adam, optim.RMSprop, optim.Adagrad):
            (p,) = ready([1.0, 1.0])
            optimizer = make([p], lr=lr)
            optimizer.step()
            assert p.dtype == np.float32 and type(optimizer.param_groups[0]["lr"]) is float
            assert all(np.asarray(a).dtype in (np.float32, np.int64) for a in optimizer.state[0].values())


def test_settings_changed_by_hand_are_used_or_refused():
    (p,) = ready([1.0, 1.0])
    optimizer = optim.SGD([p], lr=1.0)
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.step()
    assert p.data.tolist() == [1, 1]
    optimizer.param_groups[0]["lr"] = -1.0
    with pytest.raises(ValueError, match="SGD: lr must be >= 0; got -1"):
        optimizer.step()
    optimizer.param_groups[0].update(lr=1.0)
    optimizer.param_groups[0]["params"].append(nn.Parameter(np.ones(1)))
    with pytest.raises(RuntimeError, match="the groups' params were changed; use add_param_group"):
        optimizer.step()
    assert p.data.tolist() == [1, 1]


def test_arrays_that_do_not_fit_are_refused_before_anything_reads_them(kernels):
    (p,) = ready([1.0, 1.0])
    optimizer = optim.Adam([p])
    p.data = np.ones(3, np.float32)
    with pytest.raises(ValueError, match=r"a gradient \(2,\) of float32 for a parameter \(3,\) of float32"):
        optimizer.step()
    p.data, p.grad = np.ones(2), np.ones(2)
    p.node.grad = np.ones(2, np.float32)
    with pytest.raises(ValueError, match=r"of float32 for a parameter \(2,\) of float64"):
        optimizer.step()
    p.data = np.ones(2, np.float32)
    p.data.setflags(write=False)
    with pytest.raises(ValueError, match=r"shape \(2,\) lies in memory that cannot be written"):
        optimizer.step()
    assert p.data.tolist() == [1, 1]


@pytest.mark.parametrize("make", [lambda p: optim.Adam(p), lambda p: optim.SGD(p, lr=0.1, momentum=0.9)])
def test_state_follows_a_net_into_another_type(make, kernels):
    net = nn.Linear(2, 1, bias=False)
    optimizer = make(net.parameters())
    for _ in range(2):
        net.weight.grad = np.ones((1, 2), net.weight.dtype)
        optimizer.step()
        net.double()
    arrays = [a for n, a in optimizer.state[0].items() if n != "step"]
    assert all(a.dtype == np.float64 for a in arrays) and net.weight.dtype == np.float64
    assert np.isfinite(net.weight.data).all() and np.abs(net.weight.data).max() < 2


def test_a_group_that_comes_later():
    a, b, c = ready([1.0, 1.0], [1.0, 1.0], [1.0, 1.0])
    optimizer = optim.SGD([a], lr=1.0, momentum=0.9)
    optimizer.step()
    optimizer.add_param_group({"params": b, "lr": 0.5})
    optimizer.add_param_group({"params": iter([c])})
    optimizer.step()
    assert b.data.tolist() == [-0.5, -1] and c.data.tolist() == [-2, -3] and len(optimizer.state) == 3
    np.testing.assert_allclose(a.data, np.array([-2, -3]) - 1.9 * np.array([3, 4]), rtol=1e-6)
    with pytest.raises(ValueError, match="the same parameter twice"):
        optimizer.add_param_group({"params": [a]})
    with pytest.raises(TypeError, match="got ndarray"):
        optimizer.add_param_group({"params": [np.ones(1)]})
    assert len(optimizer.param_groups) == 3 == len(optimizer.params)


def test_zero_grad_may_keep_the_arrays():
    (p,) = ready([1.0, 1.0])
    optimizer = optim.SGD([p, nn.Parameter(np.ones(1), requires_grad=False)])
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0, 0]
    optimizer.zero_grad()
    assert p.grad is None


# Several optimizers and one scale


def test_each_optimizer_of_a_scaler_gets_unscaled_gradients():
    a, b = ready([1.0, 1.0], [1.0, 1.0])
    one, other, scaler = optim.SGD([a], lr=1.0), optim.SGD([b], lr=1.0), optim.GradScaler(init_scale=4.0)
    for p in (a, b):
        p.grad = p.grad * 4
    assert scaler.step(one) and scaler.step(other)
    assert a.data.tolist() == b.data.tolist() == [-2, -3]
    with pytest.raises(RuntimeError, match="this optimizer made its step already; call update"):
        scaler.step(one)
    with pytest.raises(RuntimeError, match="unscaled already; call update"):
        scaler.unscale_(other)
    assert a.data.tolist() == [-2, -3]
    scaler.update()
    with pytest.raises(RuntimeError, match="no step was made since the last update"):
        scaler.update()


def test_one_overflow_of_two_shrinks_the_scale_and_stops_one_step():
    a, b = ready([1.0, 1.0], [1.0, 1.0])
    a.grad = np.array([np.inf, 1.0], np.float32)
    one, other, scaler = optim.SGD([a], lr=1.0), optim.SGD([b], lr=1.0), optim.GradScaler(init_scale=2.0)
    assert not scaler.step(one) and scaler.step(other)
    scaler.update()
    assert scaler.get_scale() == 1 and a.data.tolist() == [1, 1] and b.data.tolist() == [-0.5, -1]


@pytest.mark.parametrize("setting", ["init_scale", "growth_factor", "backoff_factor", "growth_interval"])
def test_a_scaler_refuses_what_is_no_number(setting):
    with pytest.raises(ValueError, match="GradScaler: init_scale > 0"):
        optim.GradScaler(**{setting: np.nan})


ALONE = [
    (lambda p: optim.SGD([p], lr=0.1), [2.4, 1.92, 1.536]),
    (lambda p: optim.SGD([p], lr=0.1, momentum=0.9), [2.4, 1.38, 0.186]),
    (lambda p: optim.SGD([p], lr=-0.0, maximize=True), [3.0, 3.0, 3.0]),
    (lambda p: optim.Adam([p], lr=0.1), [2.9, 2.8001, 2.7004]),
    (lambda p: optim.Adagrad([p], lr=0.1), [2.9, 2.8305, 2.7744]),
    (lambda p: optim.RMSprop([p], lr=0.1, centered=True, momentum=0.5), None),
]


@pytest.mark.parametrize("make, path", ALONE)
def test_a_single_number_alone_in_its_group(make, path, kernels):
    p = nn.Parameter(np.array(3.0, np.float32))
    optimizer, got = make(p), []
    for _ in range(3):
        optimizer.zero_grad()
        (p * p).backward()
        optimizer.step()
        got.append(round(p.item(), 4))
    assert got == path or (path is None and 0 < got[2] < got[1] < got[0] < 3)
