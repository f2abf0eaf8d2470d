"""Learning-rate schedules: against values written out here, and against PyTorch."""

import json
import math

import numpy as np
import pytest
from conftest import needs_torch
from resume import stored

from minigrad import nn, optim
from minigrad.optim import lr_scheduler as schedules


def parameters():
    return [nn.Parameter(np.ones(n)) for n in (1, 2, 3)]


STEPS = 14


def scheduled(make, lr=0.2, steps=STEPS):
    scheduler = make(optim.SGD(parameters(), lr=lr))
    rates = []
    for _ in range(steps):
        rates += scheduler.get_last_lr()
        scheduler.step()
    return rates


def test_rates_by_hand():
    assert scheduled(lambda o: schedules.StepLR(o, 2, 0.5), lr=1.0, steps=6) == [1, 1, 0.5, 0.5, 0.25, 0.25]
    assert scheduled(lambda o: schedules.MultiStepLR(o, [3, 1], 0.5), lr=1.0, steps=5) == [1, 0.5, 0.5, 0.25, 0.25]
    cosine = scheduled(lambda o: schedules.CosineAnnealingLR(o, 4, eta_min=0.2), lr=1.0, steps=5)
    half = 0.4 / math.sqrt(2)
    np.testing.assert_allclose(cosine, [1, 0.6 + half, 0.6, 0.6 - half, 0.2], rtol=1e-12)
    polynomial = scheduled(lambda o: schedules.PolynomialLR(o, 4, power=2), lr=1.0, steps=6)
    np.testing.assert_allclose(polynomial, [1, 9 / 16, 1 / 4, 1 / 16, 0, 0])
    warm = scheduled(lambda o: schedules.LinearWarmup(o, 4, start_factor=0.2), lr=1.0, steps=6)
    np.testing.assert_allclose(warm, [0.2, 0.4, 0.6, 0.8, 1, 1])
    cycle = scheduled(lambda o: schedules.OneCycleLR(o, 1.0, 10, pct_start=0.3, div_factor=4, final_div_factor=25))
    np.testing.assert_allclose([cycle[i] for i in (0, 1, 2, 9, 13)], [0.25, 0.625, 1.0, 0.01, 0.01], rtol=1e-12)


def test_warmup_leads_into_the_schedule_from_its_start():
    warm = schedules.warmup(schedules.cosine(8), steps=4, start_factor=0.5)
    np.testing.assert_allclose([warm(i, 2.0) for i in range(4)], [1.0, 1.25, 1.5, 1.75])
    assert [warm(i + 4, 2.0) for i in range(9)] == [schedules.cosine(8)(i, 2.0) for i in range(9)]
    assert schedules.warmup(schedules.cosine(8), steps=0)(0, 2.0) == 2.0


PEERS = {
    "StepLR": dict(step_size=3, gamma=0.5),
    "MultiStepLR": dict(milestones=[2, 5, 5, 9], gamma=0.3),
    "CosineAnnealingLR": dict(T_max=9, eta_min=0.01),
    "PolynomialLR": dict(total_iters=8, power=2.0),
    "OneCycleLR": dict(max_lr=0.4, total_steps=STEPS),
    "LinearLR": dict(total_iters=4, start_factor=0.1, end_factor=0.8),
    "ExponentialLR": dict(gamma=0.7),
    "LambdaLR": dict(lr_lambda=lambda step: 1 / (1 + step)),
    "CosineAnnealingWarmRestarts": dict(T_0=2, T_mult=2, eta_min=0.01),
}


@needs_torch()
@pytest.mark.filterwarnings("ignore")  # torch's about the order of calls
@pytest.mark.parametrize("name", PEERS)
def test_rates_equal_torch(name):
    import torch

    ours = getattr(schedules, name)
    optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.2)
    peer, expected = getattr(torch.optim.lr_scheduler, name)(optimizer, **PEERS[name]), []
    for step in range(STEPS):
        expected += peer.get_last_lr()
        if step < STEPS - 1:
            peer.step()
    np.testing.assert_allclose(scheduled(lambda o: ours(o, **PEERS[name])), expected, rtol=1e-12, atol=1e-16)


@needs_torch()
@pytest.mark.filterwarnings("ignore")
def test_warmup_equals_torch_sequential():
    import torch
    from torch.optim import lr_scheduler as peers

    optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.2)
    parts = [peers.LinearLR(optimizer, 0.1, total_iters=4), peers.CosineAnnealingLR(optimizer, 10)]
    peer, expected = peers.SequentialLR(optimizer, parts, [4]), []
    for _ in range(STEPS):
        expected += peer.get_last_lr()
        peer.step()
    warm = schedules.warmup(schedules.cosine(10), 4, 0.1)
    np.testing.assert_allclose(scheduled(lambda o: schedules.Scheduler(o, warm)), expected, rtol=1e-12)


def test_each_group_has_its_own_base():
    a, b, c = parameters()
    optimizer = optim.SGD([{"params": [a], "lr": 1.0}, {"params": [b, c]}], lr=0.1)
    scheduler = schedules.StepLR(optimizer, 1, 0.5)
    scheduler.step()
    assert scheduler.get_last_lr() == [0.5, 0.05] == [g["lr"] for g in optimizer.param_groups]


def test_a_resumed_schedule_goes_on_where_it_was():
    def make():
        optimizer = optim.SGD(parameters(), lr=0.2)
        return optimizer, schedules.Scheduler(optimizer, schedules.warmup(schedules.cosine(9), 3))

    (optimizer, scheduler), (again, resumed) = make(), make()
    for _ in range(5):
        scheduler.step()
    again.load_state_dict(stored(optimizer.state_dict()))
    resumed.load_state_dict(json.loads(json.dumps(scheduler.state_dict())))
    for _ in range(4):
        assert resumed.get_last_lr() == scheduler.get_last_lr() == [again.param_groups[0]["lr"]]
        scheduler.step()
        resumed.step()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: schedules.step_decay(0), "step_size must be > 0; got 0"),
        (lambda: schedules.cosine(-1), "steps must be > 0"),
        (lambda: schedules.one_cycle(5, pct_start=2), "pct_start must be from 0 to 1; got 2"),
        (lambda: schedules.warmup(schedules.cosine(3), -1), "warmup: steps must be >= 0"),
        (lambda: schedules.StepLR(3, 1), "StepLR: optimizer must be an Optimizer; got int"),
        (
            lambda: schedules.StepLR(optim.SGD(parameters()), 1).load_state_dict({"last_epoch": 1, "base_lrs": [1, 2]}),
            "2 groups saved, but the optimizer has 1",
        ),
    ],
)
def test_bad_schedules_are_refused(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


# Together, by hand, and by results


def both(lr=0.2, groups=1):
    """(torch's schedulers, its optimizer), (ours, our optimizer)."""
    import torch

    its = torch.optim.SGD([{"params": [torch.ones(1, requires_grad=True)]} for _ in range(groups)], lr=lr)
    ours = optim.SGD([{"params": [p]} for p in parameters()[:groups]], lr=lr)
    return (torch.optim.lr_scheduler, its), (schedules, ours)


def rates_of(make, sides, change=None, steps=STEPS):
    """The learning rates on both sides, step after step, with change(optimizer) before step 5."""
    results = []
    for package, optimizer in sides:
        scheduler, rates = make(package, optimizer), []
        for i in range(steps):
            rates.append([g["lr"] for g in optimizer.param_groups])
            if i == 5 and change:
                change(optimizer)
            scheduler.step()
        results.append(rates)
    return results


MADE = {
    "chained": lambda p, o: p.ChainedScheduler([p.LinearLR(o, 0.1, total_iters=4), p.ExponentialLR(o, 0.9)]),
    "sequence": lambda p, o: p.SequentialLR(
        o, [p.LinearLR(o, 0.1, total_iters=3), p.ExponentialLR(o, 0.8), p.CosineAnnealingLR(o, 9)], [3, 6]
    ),
    "one for each group": lambda p, o: p.LambdaLR(o, [lambda step: 0.9**step, lambda step: 1 / (1 + step)]),
}


@needs_torch()
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MADE)
def test_schedulers_together_equal_torchs(name):
    its, ours = rates_of(MADE[name], both(groups=2))
    np.testing.assert_allclose(ours, its, rtol=1e-12)


SET_BY_HAND = {
    "StepLR": lambda p, o: p.StepLR(o, 3, 0.5),
    "ExponentialLR": lambda p, o: p.ExponentialLR(o, 0.8),
    "LinearLR": lambda p, o: p.LinearLR(o, 0.1, total_iters=9),
    "CosineAnnealingLR": lambda p, o: p.CosineAnnealingLR(o, 20, eta_min=0.05),
    "PolynomialLR": lambda p, o: p.PolynomialLR(o, 20, power=2.0),
}


@needs_torch()
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SET_BY_HAND)
def test_a_learning_rate_set_by_hand_is_gone_on_from_as_torch_does(name):
    its, ours = rates_of(SET_BY_HAND[name], both(), change=lambda o: o.param_groups[0].update(lr=0.7))
    np.testing.assert_allclose(ours, its, rtol=1e-9)


def test_a_group_that_comes_later_follows_the_schedule():
    a, b, _ = parameters()
    optimizer = optim.SGD([a], lr=1.0)
    scheduler = schedules.ExponentialLR(optimizer, 0.5)
    scheduler.step()
    optimizer.add_param_group({"params": [b], "lr": 3.0})
    scheduler.step()
    assert scheduler.get_last_lr() == [0.25, 1.5]
    scheduler.step()
    assert scheduler.get_last_lr() == [0.125, 0.75] and scheduler.base_lrs == [1.0, 6.0]


PLATEAUS = [
    dict(factor=0.5, patience=1),
    dict(mode="max", patience=0, cooldown=2, min_lr=0.01),
    dict(threshold=0.3, threshold_mode="abs", patience=1, min_lr=[0.1, 0.02]),
    dict(mode="max", threshold=0.05, threshold_mode="abs", patience=2, eps=0.05),
]
METRICS = [3.0, 2.5, 2.6, 2.4, 2.45, 2.41, 2.41, 2.0, 2.1, float("nan"), 2.2, 2.3, 2.4, 2.5]


@needs_torch()
@pytest.mark.parametrize("case", PLATEAUS)
def test_reducing_on_a_plateau_equals_torch(case):
    results = []
    for package, optimizer in both(groups=2):
        scheduler, rates = package.ReduceLROnPlateau(optimizer, **case), []
        for metric in METRICS:
            scheduler.step(metric)
            rates.append([g["lr"] for g in optimizer.param_groups])
        results.append(rates)
    np.testing.assert_allclose(results[1], results[0], rtol=1e-12)
    assert results[0][0] != results[0][-1]


@pytest.mark.parametrize("make", [MADE["chained"], MADE["sequence"]])
def test_schedulers_together_resume(make):
    results = []
    for stop in (None, 4):
        optimizer = optim.SGD(parameters(), lr=0.2)
        scheduler, rates = make(schedules, optimizer), []
        for step in range(9):
            if step == stop:
                saved, rate = json.loads(json.dumps(scheduler.state_dict())), optimizer.param_groups[0]["lr"]
                optimizer = optim.SGD(parameters(), lr=0.2)
                scheduler = make(schedules, optimizer)
                scheduler.load_state_dict(saved)
                assert optimizer.param_groups[0]["lr"] == rate
            scheduler.step()
            rates += scheduler.get_last_lr()
        results.append(rates)
    np.testing.assert_allclose(results[0], results[1], rtol=1e-12)


def test_a_plateau_resumes():
    optimizer = optim.SGD(parameters(), lr=0.2)
    scheduler = schedules.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    for metric in METRICS[:5]:
        scheduler.step(metric)
    other = optim.SGD(parameters(), lr=0.2)
    again = schedules.ReduceLROnPlateau(other, factor=0.5, patience=1)
    again.load_state_dict(json.loads(json.dumps(scheduler.state_dict())))
    for metric in METRICS[5:]:
        scheduler.step(metric)
        again.step(metric)
        assert scheduler.get_last_lr() == again.get_last_lr()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda o: schedules.ReduceLROnPlateau(o, factor=1.0), "factor must be between 0 and 1"),
        (lambda o: schedules.ReduceLROnPlateau(o, "lowest"), "mode 'min' or 'max'"),
        (lambda o: schedules.ReduceLROnPlateau(o, min_lr=[1, 2]), "2 values of min_lr for 1 groups"),
        (lambda o: schedules.ReduceLROnPlateau(3), "optimizer must be an Optimizer; got int"),
        (lambda o: schedules.LambdaLR(o, 0.5), "lr_lambda must be a function of the step"),
        (lambda o: schedules.LambdaLR(o, [abs, abs]), "2 schedules for 1 groups"),
        (lambda o: schedules.CosineAnnealingWarmRestarts(o, 0), "ints >= 1; got 0, 1"),
        (lambda o: schedules.ExponentialLR(o, -0.5), "gamma must be > 0; got -0.5"),
        (lambda o: schedules.LinearLR(o, 2.0), "factors must be from 0 to 1; got 2.0, 1.0"),
        (lambda o: schedules.SequentialLR(o, [schedules.StepLR(o, 1)], [2]), "a milestone between each two schedules"),
        (lambda o: schedules.SequentialLR(o, [], []), "at least one, all of the same optimizer"),
        (lambda o: schedules.ChainedScheduler([]), "at least one, all of the same optimizer"),
        (
            lambda o: schedules.ChainedScheduler([schedules.StepLR(o, 1)], optim.SGD(parameters())),
            "all of the same optimizer",
        ),
    ],
)
def test_wrong_schedules_are_refused(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make(optim.SGD(parameters(), lr=0.1))
