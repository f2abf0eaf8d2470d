"""Batch norm folded into the convolution before it: the same numbers, only where nothing is recorded, never stale."""

import numpy as np
import pytest

import architectures
import minigrad as mg
from minigrad import nn
from minigrad.nn import folding


def images(*shape, seed=0):
    return mg.tensor(np.random.default_rng(seed).standard_normal(shape))


def as_double(net):
    """The net in float64, with statistics and gammas far from their first values."""
    rng = np.random.default_rng(1)
    for t in (*net.parameters(), *net.buffers()):
        t.data = t.data.astype("d")
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            for t in (m.running_var, m.weight):
                t.data = 0.5 + rng.random(t.shape)
            for t in (m.running_mean, m.bias):
                t.data = rng.standard_normal(t.shape)
    return net.eval()


@pytest.fixture
def folds(monkeypatch):
    """How many pairs were folded so far, in a list of their convolutions."""
    seen, really = [], folding.folded
    monkeypatch.setattr(folding, "folded", lambda conv, norm: seen.append(conv) or really(conv, norm))
    return seen


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("settings", [dict(), dict(bias=False), dict(stride=2, padding=1, groups=2)])
def test_a_folded_pair_gives_what_the_two_layers_give(settings, relu, folds, kernels):
    pair = as_double(nn.Sequential(nn.Conv2d(4, 6, 3, **settings), nn.BatchNorm2d(6), *([nn.ReLU()] if relu else [])))
    x = images(2, 9, 8, 4)
    with mg.no_grad():
        y = pair(x)
    assert len(folds) == 1
    expected = pair(x)
    assert len(folds) == 1 and expected.requires_grad
    np.testing.assert_allclose(y.data, expected.data, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("net", ["resnet20", "preact_resnet20", "googlenet_small", "vgg_small_bn"])
def test_whole_nets_evaluate_alike_with_and_without_recording(net, folds):
    net = as_double(architectures.create(net))
    x = images(2, 32, 32, 3)
    expected = net(x).data
    assert not folds
    with mg.no_grad():
        np.testing.assert_allclose(net(x).data, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
    assert len(folds) > 3


def test_a_changed_weight_counts_at_once():
    pair, x = as_double(nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))), images(1, 4, 4, 2)
    with mg.no_grad():
        pair(x)
        for t in pair[0].weight, pair[0].bias, pair[1].weight, pair[1].bias, pair[1].running_mean, pair[1].running_var:
            t.data += 0.5  # behind the back of every counter of writes
            np.testing.assert_allclose(pair(x).data, pair[1](pair[0](x)).data, rtol=1e-12)


def test_no_fold_in_training_nor_where_filters_outweigh_the_output(folds):
    pair, x = nn.Sequential(nn.Conv2d(8, 4, 3), nn.BatchNorm2d(4)), mg.tensor(np.ones((2, 5, 5, 8), "f"))
    with mg.no_grad():
        pair.train()(x)
        pair.eval()(x)  # 8 x 3 x 3 weights a filter, but only 2 x 3 x 3 pixels of output
    assert not folds


def test_no_fold_past_a_forward_of_ones_own(folds):
    """As `summary` wraps each forward, or as a subclass may redefine it."""

    class Doubled(nn.Conv2d):
        def forward(self, x, relu=False):
            return super().forward(x, relu) * 2

    x, norm = images(1, 6, 6, 2), as_double(nn.BatchNorm2d(2))
    own, watched = as_double(Doubled(2, 2, 1)), as_double(nn.Conv2d(2, 2, 1))
    watched.forward = lambda x: mg.tensor(np.zeros(x.shape))
    with mg.no_grad():
        np.testing.assert_array_equal(nn.conv_norm(own, norm, x).data, norm(own(x)).data)
        np.testing.assert_array_equal(nn.conv_norm(watched, norm, x).data, norm(watched(x)).data)
    assert not folds


def test_images_of_the_wrong_shape_get_the_error_of_the_convolution():
    pair = as_double(nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)))
    with mg.no_grad(), pytest.raises(ValueError, match="conv2d: x must have 4 axes"):
        pair(images(4, 2))
