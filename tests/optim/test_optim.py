"""Optimizers: against formulas written out here, against PyTorch, and resumed."""

import numpy as np
import pytest
from conftest import needs_torch
from hypothesis import given, settings
from hypothesis import strategies as st
from resume import stored

import kernels.cpu.optim
import minigrad as mg
from minigrad import nn, optim

SHAPES = [(4, 3), (3,), (2, 2, 2, 3)]
SGD_CASES = [
    dict(lr=0.1),
    dict(lr=0.1, weight_decay=0.2),
    dict(lr=0.1, momentum=0.9),
    dict(lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.1),
    dict(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
]
ADAM_CASES = [dict(), dict(lr=0.1, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.1)]
LATER_CASES = [  # those without a kernel of their own, and options that go past it
    ("SGD", dict(lr=0.1, momentum=0.9, weight_decay=0.1, maximize=True)),
    ("Adam", dict(maximize=True, weight_decay=0.1)),
    ("Adam", dict(lr=0.1, amsgrad=True, betas=(0.5, 0.7), weight_decay=0.1)),
    ("AdamW", dict(lr=0.1, amsgrad=True, betas=(0.5, 0.7), maximize=True)),
    ("RMSprop", dict()),
    ("RMSprop", dict(lr=0.1, alpha=0.8, eps=1e-4, weight_decay=0.1, momentum=0.9)),
    ("RMSprop", dict(lr=0.1, centered=True, momentum=0.5, maximize=True)),
    ("Adagrad", dict()),
    ("Adagrad", dict(lr=0.1, lr_decay=0.2, weight_decay=0.1, initial_accumulator_value=0.3, eps=1e-4, maximize=True)),
]
CASES = [(name, c) for name, cs in (("SGD", SGD_CASES), ("Adam", ADAM_CASES), ("AdamW", ADAM_CASES)) for c in cs]


pytestmark = pytest.mark.usefixtures("reference_kernels")


def parameters(seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return [nn.Parameter(rng.standard_normal(s).astype(dtype)) for s in SHAPES]


def gradients(step, dtype=np.float64):
    rng = np.random.default_rng(100 + step)
    return [rng.standard_normal(s).astype(dtype) for s in SHAPES]


def run(optimizer, params, steps):
    for step in steps:
        for p, g in zip(params, gradients(step, params[0].dtype)):
            p.grad = g
        optimizer.step()
    return [p.data.copy() for p in params]


# Against formulas


def sgd_by_hand(w, grads, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
    v = None
    for g in grads:
        g = g + weight_decay * w
        if momentum:
            v = g if v is None else momentum * v + (1 - dampening) * g
            g = g + momentum * v if nesterov else v
        w = w - lr * g
    return w


def adam_by_hand(w, grads, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=False):
    m = v = 0.0
    for t, g in enumerate(grads, 1):
        w, g = (w - lr * weight_decay * w, g) if decoupled else (w, g + weight_decay * w)
        m, v = betas[0] * m + (1 - betas[0]) * g, betas[1] * v + (1 - betas[1]) * g * g
        w = w - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
    return w


def by_hand(name, w, grads, case):
    if name == "SGD":
        return sgd_by_hand(w, grads, **case)
    decoupled = name == "AdamW"
    return adam_by_hand(w, grads, **{"weight_decay": 0.01 if decoupled else 0.0, **case}, decoupled=decoupled)


@pytest.mark.parametrize("name, case", CASES)
def test_steps_follow_the_formula(name, case, kernels):
    params = parameters()
    start = [p.data.copy() for p in params]
    got = run(getattr(optim, name)(params, **case), params, range(5))
    for i, w in enumerate(start):
        expected = by_hand(name, w, [gradients(step)[i] for step in range(5)], case)
        np.testing.assert_allclose(got[i], expected, rtol=1e-12, atol=1e-13)


@needs_torch()
@pytest.mark.parametrize("name, case", [*CASES, *LATER_CASES])
def test_steps_equal_torch(name, case):
    import torch

    params = parameters()
    theirs = [torch.tensor(p.data.copy(), requires_grad=True) for p in params]
    ours, its = (
        getattr(optim, name)(params, **case),
        getattr(torch.optim, name)(theirs, **({"lr": 1e-3} if name == "SGD" else {}) | case),
    )
    for step in range(6):
        for p, q, g in zip(params, theirs, gradients(step)):
            p.grad, q.grad = g, torch.tensor(g)
        ours.step()
        its.step()
        for p, q in zip(params, theirs):
            np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-12, atol=1e-14, err_msg=f"step {step}")


@pytest.mark.parametrize("name, case", CASES)
def test_stepping_together_equals_one_by_one_bit_for_bit(name, case, monkeypatch):
    together, apart = parameters(), parameters()
    with mg.use_kernels("cpu"):
        got = run(getattr(optim, name)(together, **case), together, range(4))
        monkeypatch.setattr(kernels.cpu.optim, "SMALL", -1)
        alone = run(getattr(optim, name)(apart, **case), apart, range(4))
    for a, b in zip(got, alone, strict=True):
        np.testing.assert_array_equal(a, b)


GRADIENTS_ABSENT = st.lists(st.sets(st.integers(0, 2), max_size=2), min_size=1, max_size=6)  # in each of some steps


@given(absent=GRADIENTS_ABSENT, name=st.sampled_from(["SGD", "Adam"]))
@settings(deadline=None, max_examples=40)
def test_a_parameter_without_gradient_is_left_out_of_that_step(absent, name):
    case = dict(momentum=0.9) if name == "SGD" else {}
    params = parameters()
    start = [p.data.copy() for p in params]
    optimizer = getattr(optim, name)(params, lr=0.1, **case)
    with mg.use_kernels("reference"):
        for step, missing in enumerate(absent):
            for i, (p, g) in enumerate(zip(params, gradients(step))):
                p.grad = None if i in missing else g
            optimizer.step()
    for i, p in enumerate(params):
        grads = [gradients(step)[i] for step, missing in enumerate(absent) if i not in missing]
        np.testing.assert_allclose(p.data, by_hand(name, start[i], grads, dict(lr=0.1, **case)), rtol=1e-12, atol=1e-14)


def test_groups_have_their_own_settings():
    params = parameters()
    start = [p.data.copy() for p in params]
    groups = [{"params": params[:1], "lr": 1.0}, {"params": iter(params[1:]), "weight_decay": 0.5}]
    got = run(optim.SGD(groups, lr=0.1, momentum=0.9), params, range(3))
    for i, case in enumerate((dict(lr=1.0), dict(lr=0.1, weight_decay=0.5), dict(lr=0.1, weight_decay=0.5))):
        expected = sgd_by_hand(start[i], [gradients(step)[i] for step in range(3)], momentum=0.9, **case)
        np.testing.assert_allclose(got[i], expected, rtol=1e-12)


def test_types_may_be_mixed():
    params = [nn.Parameter(np.ones(3, np.float32)), nn.Parameter(np.ones(3)), nn.Parameter(np.ones(2, np.float32))]
    for p in params:
        p.grad = np.ones_like(p.data)
    optim.SGD(params, lr=0.5).step()
    for p in params:
        np.testing.assert_array_equal(p.data, np.full(p.shape, 0.5, p.dtype), strict=True)


def test_the_array_of_a_parameter_stays_the_same_and_gradients_are_not_written():
    params = parameters()
    arrays, grads = [p.data for p in params], gradients(0)
    run(optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=0.1), params, [0])
    for p, array, kept, g in zip(params, arrays, grads, gradients(0)):
        assert p.data is array
        np.testing.assert_array_equal(kept, g)
        np.testing.assert_array_equal(p.grad, g)


def test_backward_after_step_is_refused_where_it_needs_the_old_weights():
    w = nn.Parameter(np.ones((2, 2)))
    loss = (mg.tensor(np.ones((1, 2)), requires_grad=True) @ w).sum()
    w.grad = np.ones((2, 2))
    optim.SGD([w], lr=0.1).step()
    with pytest.raises(RuntimeError, match=r"matmul saved b .* written in place"):
        loss.backward()


def test_zero_grad_forgets_gradients():
    params = [*parameters(), nn.Parameter(np.ones(2), requires_grad=False)]
    optimizer = optim.SGD(params, lr=0.1)
    run(optimizer, params[:3], [0])
    optimizer.zero_grad()
    assert all(p.grad is None for p in params)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: optim.SGD([]), "SGD: params is empty"),
        (lambda: optim.SGD(2 * parameters()[:1]), "SGD: params holds the same parameter twice"),
        (lambda: optim.SGD(parameters(), lr=-1), "SGD: lr must be >= 0; got -1"),
        (lambda: optim.SGD(parameters(), momentum=-0.5), "momentum must be >= 0; got -0.5"),
        (lambda: optim.AdamW(parameters(), weight_decay=-1), "AdamW: weight_decay must be >= 0"),
        (lambda: optim.Adam(parameters(), betas=(0.9, 1.0)), r"Adam: betas must be two numbers in \[0, 1\)"),
        (lambda: optim.SGD(parameters(), nesterov=True), "nesterov needs momentum > 0 and dampening 0"),
        (lambda: optim.SGD(parameters(), momentum=0.9, dampening=0.1, nesterov=True), "dampening 0.1"),
        (lambda: optim.SGD([{"params": parameters(), "beta": 1}]), r"unknown settings \['beta'\]"),
        (lambda: optim.SGD([p * 2 for p in parameters()]), "leaf tensors .* an op made"),
        (lambda: optim.SGD([np.ones(3)]), "leaf tensors .* got ndarray"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_parameter_groups_split_off_the_vectors():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    (one,) = optim.parameter_groups(model, 1e-4)
    assert one["weight_decay"] == 1e-4 and len(one["params"]) == 6
    weights, vectors = optim.parameter_groups(model, 1e-4, norm_weight_decay=0.0)
    assert [p.ndim for p in weights["params"]] == [4, 2] and weights["weight_decay"] == 1e-4
    assert [p.shape for p in vectors["params"]] == [(4,), (4,), (4,), (2,)] and vectors["weight_decay"] == 0.0
    assert len(optim.SGD([weights, vectors], lr=0.1).params) == 6


# Resume


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name, case", [*CASES, *LATER_CASES])
def test_a_resumed_optimizer_takes_the_same_steps_bit_for_bit(name, case, dtype):
    params = parameters(dtype=dtype)
    optimizer = getattr(optim, name)(params, **case)
    run(optimizer, params, range(3))
    saved, weights = stored(optimizer.state_dict()), [p.data.copy() for p in params]
    expected = run(optimizer, params, range(3, 6))

    again = [nn.Parameter(w) for w in weights]
    resumed = getattr(optim, name)(again, lr=77.0)
    resumed.load_state_dict(saved)
    for a, b in zip(run(resumed, again, range(3, 6)), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_is_loaded_is_a_copy():
    params = parameters()[:1]  # one alone is stepped in place
    optimizer = optim.SGD(params, lr=0.1, momentum=0.9)
    run(optimizer, params, [0])
    saved = stored(optimizer.state_dict())
    before = {n: a.copy() for n, a in saved["state"].items()}
    optimizer.load_state_dict(saved)
    run(optimizer, params, [1])
    for n, a in before.items():
        np.testing.assert_array_equal(saved["state"][n], a)


def test_a_state_of_other_parameters_is_refused_and_changes_nothing():
    params = parameters()
    optimizer = optim.Adam(params)
    run(optimizer, params, range(2))
    saved = stored(optimizer.state_dict())
    with pytest.raises(ValueError, match=r"groups of \[3\] parameters saved, but this optimizer has \[2\]"):
        optim.Adam(params[:2]).load_state_dict(saved)
    other = optim.Adam([nn.Parameter(np.ones(5)), *params[1:]], lr=5.0)
    with pytest.raises(ValueError, match=r"0.exp_avg has shape \(4, 3\), but the parameter has \(5,\)"):
        other.load_state_dict(saved)
    sgd = optim.SGD(params, momentum=0.9)
    with pytest.raises(ValueError, match=r"0.step does not belong to SGD of 3 parameters \(momentum_buffer\)"):
        sgd.load_state_dict(saved)
    del saved["state"]["1.exp_avg"]
    with pytest.raises(ValueError, match="parameter 1 has only step, exp_avg_sq of its state"):
        optim.Adam(params).load_state_dict(saved)
    saved["state"]["3.step"] = np.array(1)
    with pytest.raises(ValueError, match=r"3.step does not belong to Adam of 3 parameters"):
        optim.Adam(params).load_state_dict(saved)
    assert other.state == [{}, {}, {}] and other.param_groups[0]["lr"] == 5.0 and sgd.state == [{}, {}, {}]


# On a net


@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, lr=0.05, momentum=0.9), lambda p: optim.Adam(p, lr=0.02)])
def test_a_small_net_learns(make):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 4)).astype(np.float32)
    target = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    model = nn.Sequential(nn.Linear(4, 32, rng=rng), nn.ReLU(), nn.Linear(32, 2, rng=rng))
    optimizer, losses = make(model.parameters()), []
    for _ in range(150):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(mg.tensor(x)), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
