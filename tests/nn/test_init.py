"""Initial weights: their mean, spread and bounds."""

import math

import numpy as np
import pytest

from minigrad import nn
from minigrad.nn import init

FILLS = {
    "normal": (lambda t, rng: init.normal_(t, rng, mean=2.0, std=0.5), 2.0, 0.5, None),
    "normal, as torch writes it": (lambda t, rng: init.normal_(t, 2.0, 0.5, generator=rng), 2.0, 0.5, None),
    "truncated": (lambda t, rng: init.trunc_normal_(t, rng, 0.0, 1.0, -1.0, 1.0), 0.0, 0.5396, (-1, 1)),
    "kaiming uniform, leaky": (
        lambda t, rng: init.kaiming_uniform_(t, a=math.sqrt(5), rng=rng), 0, 1 / 24 / math.sqrt(3), (-1 / 24, 1 / 24)
    ),
    "uniform": (lambda t, rng: init.uniform_(t, rng, -1.0, 3.0), 1.0, 4 / math.sqrt(12), (-1, 3)),
    "kaiming normal": (init.kaiming_normal_, 0, math.sqrt(2 / 576), None),
    "kaiming normal, fan out": (lambda t, r: init.kaiming_normal_(t, r, mode="fan_out"), 0, math.sqrt(2 / 1152), None),
    "kaiming normal, linear": (
        lambda t, r: init.kaiming_normal_(t, r, nonlinearity="linear"), 0, math.sqrt(1 / 576), None
    ),
    "kaiming uniform": (init.kaiming_uniform_, 0, math.sqrt(2 / 576), (-math.sqrt(6 / 576), math.sqrt(6 / 576))),
    "xavier normal": (init.xavier_normal_, 0, math.sqrt(2 / 1728), None),
    "xavier uniform": (init.xavier_uniform_, 0, math.sqrt(2 / 1728), (-math.sqrt(6 / 1728), math.sqrt(6 / 1728))),
}  # fmt: skip


@pytest.mark.parametrize("fill, mean, std, bounds", FILLS.values(), ids=FILLS)
def test_initial_values_have_their_mean_spread_and_bounds(fill, mean, std, bounds):
    t = nn.Parameter(np.full((128, 3, 3, 64), np.nan, np.float32))  # fan in 576, fan out 1152
    assert fill(t, np.random.default_rng(0)) is t and t.dtype == np.float32
    assert abs(t.data.mean() - mean) < 5 * std / math.sqrt(t.size)
    assert abs(t.data.std() / std - 1) < 0.01
    if bounds:
        span = bounds[1] - bounds[0]
        assert bounds[0] <= t.data.min() < bounds[0] + span / 100 and bounds[1] - span / 100 < t.data.max() <= bounds[1]


@pytest.mark.parametrize("shape, expected", [((7, 5), (5, 7)), ((8, 3, 5, 4), (60, 120)), ((8, 3, 3, 1), (9, 72))])
def test_fans(shape, expected):
    assert init.fans(shape) == expected


def test_constant_and_the_same_numbers_for_the_same_generator():
    t = nn.Parameter(np.empty((2, 2)))
    np.testing.assert_array_equal(init.constant_(t, 3).data, np.full((2, 2), 3))
    one, other = (nn.Conv2d(3, 4, 3, rng=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one.weight.data, other.weight.data)
    assert (nn.Linear(3, 3).weight.data != nn.Linear(3, 3).weight.data).any()


def test_layers_start_within_one_over_root_fan_in():
    for layer, fan_in in ((nn.Conv2d(8, 512, 3, groups=2), 36), (nn.Linear(100, 512), 100)):
        for p in layer.parameters():
            assert 0.95 / math.sqrt(fan_in) < np.abs(p.data).max() <= 1 / math.sqrt(fan_in)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda t, r: init.kaiming_normal_(t, r, mode="in"), "mode must be 'fan_in' or 'fan_out'; got 'in'"),
        (
            lambda t, r: init.kaiming_normal_(t, r, nonlinearity="swish"),
            "one of linear, sigmoid, tanh, relu, selu, leaky_relu; got 'swish'",
        ),
        (lambda t, r: init.xavier_normal_(nn.Parameter(np.ones(3)), r), r"at least 2 axes; got shape (3,)"),
    ],
)
def test_bad_initialisations_are_refused(make, message):
    with pytest.raises(ValueError) as error:
        make(nn.Parameter(np.ones((2, 2))), np.random.default_rng(0))
    assert message in str(error.value)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda t: init.normal_(t, rng=3), "normal_: rng must be a numpy Generator .* got int 3"),
        (lambda t: init.uniform_(t, generator=np.random.RandomState(0)), "uniform_: rng .* got RandomState"),
        (lambda t: nn.Linear(2, 2, rng=0), "rng must be a numpy Generator"),
        (lambda t: init.normal_(t, 0, -0.1), "normal_: std must be >= 0; got -0.1"),
        (lambda t: init.normal_(t, 0, math.nan), "normal_: std must be >= 0; got nan"),
        (lambda t: init.uniform_(t, 1, 0), "uniform_: a must not be larger than b; got a 1, b 0"),
        (lambda t: init.trunc_normal_(t, 0, 1, 50, 60), "trunc_normal_: std must be > 0"),
    ],
)
def test_wrong_settings_are_refused_and_write_nothing(make, message):
    t = nn.Parameter(np.full((2, 2), 7.0))
    with pytest.raises((TypeError, ValueError), match=message):
        make(t)
    np.testing.assert_array_equal(t.data, np.full((2, 2), 7.0))


def test_without_a_generator_numbers_differ_each_time():
    one, other = (init.normal_(nn.Parameter(np.empty(100)), 0, 0.02).data.copy() for _ in range(2))
    assert (one != other).all() and abs(one).max() < 0.2


def test_zeros_and_ones_and_half_precision():
    t = nn.Parameter(np.empty((3, 3), np.float16))
    assert not init.zeros_(t).data.any() and (init.ones_(t).data == 1).all()
    assert init.xavier_uniform_(t).dtype == np.float16 and t.data.std() > 0
