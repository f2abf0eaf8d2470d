"""Gradient clipping and averages of weights: against formulas written out here, and against PyTorch."""

import math

import numpy as np
import pytest
from conftest import needs_torch
from resume import stored

from minigrad import nn, optim

# Clipping


def with_gradients(*grads, dtype=np.float64):
    params = [nn.Parameter(np.zeros(np.shape(g), dtype)) for g in grads]
    for p, g in zip(params, grads):
        p.grad = np.array(g, dtype)
    return params


def test_norm_is_that_of_all_gradients_together():
    params = with_gradients([3.0, 0.0], [[4.0]])
    assert optim.clip_grad_norm_([*params, nn.Parameter(np.ones(2))], 1.0) == 5.0
    np.testing.assert_allclose(params[0].grad, [0.6, 0], rtol=1e-6)
    np.testing.assert_allclose(params[1].grad, [[0.8]], rtol=1e-6)


def test_small_gradients_are_left_alone():
    params = with_gradients([3.0, 4.0])
    assert optim.clip_grad_norm_(iter(params), 5.1) == 5.0
    np.testing.assert_array_equal(params[0].grad, [3, 4])


def test_gradients_that_are_scalars_are_scaled_too():
    w = nn.Parameter(np.array(2.0))
    optimizer, scaler = optim.SGD([w]), optim.GradScaler(init_scale=4.0)
    scaler.scale((w * np.ones(3)).sum()).backward()
    scaler.unscale_(optimizer)
    assert w.grad == 3 and optim.clip_grad_norm_([w], 1.0) == 3 and w.grad == pytest.approx(1)


def test_norm_is_summed_in_float64():
    small = np.full(1 << 16, 1e-2, np.float32)  # float32 would lose their squares beside that of 1e4
    (p,) = params = with_gradients(np.concatenate([[1e4], small]), dtype=np.float32)
    exact = math.sqrt((p.grad.astype(np.float64) ** 2).sum())
    assert optim.clip_grad_norm_(params, np.inf) == pytest.approx(exact, rel=1e-12)
    (p,) = params = with_gradients([1e30, 1e30], dtype=np.float32)  # whose squares are no float32
    assert optim.clip_grad_norm_(params, 1.0) == pytest.approx(math.sqrt(2) * 1e30)
    np.testing.assert_allclose(p.grad, [0.5**0.5] * 2, rtol=1e-6)


def test_a_norm_that_is_not_a_number_shows():
    params = with_gradients([np.nan, 1.0], [1.0])
    assert math.isnan(optim.clip_grad_norm_(params, 1.0))
    assert np.isnan(params[1].grad).all()


def test_values_are_clipped():
    params = [*with_gradients([-3.0, 0.5, 2.0]), nn.Parameter(np.ones(2))]
    optim.clip_grad_value_(params, 1.0)
    np.testing.assert_array_equal(params[0].grad, [-1, 0.5, 1])


@needs_torch()
def test_clipping_equals_torch():
    import torch

    rng = np.random.default_rng(0)
    grads = [rng.standard_normal(shape) for shape in ((4, 3), (3,), (2, 2, 2, 3))]
    ours, theirs = (
        with_gradients(*grads),
        [torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for g in grads],
    )
    for q, g in zip(theirs, grads):
        q.grad = torch.tensor(g)
    expected = torch.nn.utils.clip_grad_norm_(theirs, 0.7).item()
    assert optim.clip_grad_norm_(ours, 0.7) == pytest.approx(expected, rel=1e-12)
    for p, q in zip(ours, theirs):
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("clip", [optim.clip_grad_norm_, optim.clip_grad_value_])
def test_negative_bounds_are_refused(clip):
    with pytest.raises(ValueError, match="must be >= 0; got -1"):
        clip([], -1)


# Averages


def net(seed=0):
    rng = np.random.default_rng(seed)
    model = nn.Sequential(nn.Conv2d(2, 3, 3, rng=rng), nn.BatchNorm2d(3))
    shake(model, seed)
    return model


def shake(model, seed):
    """Other weights and running statistics, as a step would leave them."""
    rng = np.random.default_rng(seed)
    for t in (*model.parameters(), *model.buffers()):
        t.data[...] = rng.random(t.shape, np.float32)


def history(model, averaged, seeds=range(1, 6)):
    """The states that went into the average, in order."""
    states = []
    for seed in seeds:
        shake(model, seed)
        averaged.update()
        states.append({n: a.copy() for n, a in model.state_dict().items()})
    return states


def test_polyak_average_is_the_mean():
    model = net()
    averaged = optim.AveragedModel(model)
    states = history(model, averaged)
    for name, _ in model.named_parameters():
        np.testing.assert_allclose(averaged.average[name], np.mean([s[name] for s in states], 0), rtol=1e-5)


def test_exponential_average_by_hand():
    model = net()
    averaged = optim.ExponentialMovingAverage(model, 0.75)
    states = history(model, averaged)
    for name, _ in model.named_parameters():
        expected = states[0][name].astype(np.float64)
        for s in states[1:]:
            expected = 0.75 * expected + 0.25 * s[name]
        np.testing.assert_allclose(averaged.average[name], expected, rtol=1e-5)


def test_buffers_are_those_of_the_last_update():
    model = net()
    averaged = optim.ExponentialMovingAverage(model, 0.9)
    states = history(model, averaged)
    for name, _ in model.named_buffers():
        np.testing.assert_array_equal(averaged.average[name], states[-1][name])


@needs_torch()
@pytest.mark.parametrize("kind", ["polyak", "ema"])
def test_averages_equal_torch(kind):
    import torch
    from torch.optim import swa_utils

    model, peer = nn.Linear(3, 2), torch.nn.Linear(3, 2)
    ours = optim.AveragedModel(model) if kind == "polyak" else optim.ExponentialMovingAverage(model, 0.8)
    rule = {} if kind == "polyak" else {"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.8)}
    theirs = swa_utils.AveragedModel(peer, **rule)
    for seed in range(5):
        shake(model, seed)
        peer.load_state_dict({n: torch.tensor(a) for n, a in model.state_dict().items()})
        ours.update()
        theirs.update_parameters(peer)
    for name, array in ours.average.items():
        np.testing.assert_allclose(array, theirs.module.state_dict()[name].numpy(), rtol=1e-5)


def test_applied_swaps_and_swaps_back():
    model = net()
    averaged = optim.AveragedModel(model)
    history(model, averaged)
    average = {n: a.copy() for n, a in averaged.average.items()}
    weights = {n: a.copy() for n, a in model.state_dict().items()}
    with pytest.raises(KeyError), averaged.applied() as same:
        assert same is model
        for name, array in model.state_dict().items():
            np.testing.assert_array_equal(array, average[name])
        raise KeyError
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, weights[name])
        np.testing.assert_array_equal(averaged.average[name], average[name])


def test_training_goes_on_after_applied():
    model = net()
    optimizer, averaged = optim.SGD(model.parameters(), lr=0.1), optim.AveragedModel(model)
    with averaged.applied():
        pass
    before = {n: a.copy() for n, a in averaged.average.items()}
    for p in model.parameters():
        p.grad = np.ones_like(p.data)
    optimizer.step()
    for name, p in model.named_parameters():
        np.testing.assert_allclose(p.data, before[name] - 0.1, rtol=1e-5)
        np.testing.assert_array_equal(averaged.average[name], before[name])


@pytest.mark.parametrize("make", [optim.AveragedModel, optim.ExponentialMovingAverage])
def test_a_resumed_average_goes_on_bit_for_bit(make):
    model = net()
    averaged = make(model)
    history(model, averaged, [1, 2])
    saved = stored(averaged.state_dict())
    history(model, averaged, [3, 4])
    resumed = make(net(9))
    resumed.load_state_dict(saved)
    history(resumed.model, resumed, [3, 4])
    for name, array in averaged.average.items():
        np.testing.assert_array_equal(resumed.average[name], array)


def test_bad_averages_are_refused():
    with pytest.raises(ValueError, match=r"decay must be in \[0, 1\); got 1"):
        optim.ExponentialMovingAverage(net(), 1)
    averaged = optim.AveragedModel(net())
    saved = stored(averaged.state_dict())
    saved["state"]["0.bias"] = np.zeros(7)
    del saved["state"]["1.weight"]
    with pytest.raises(ValueError, match=r"names or shapes differ: 0.bias, 1.weight"):
        averaged.load_state_dict(saved)
