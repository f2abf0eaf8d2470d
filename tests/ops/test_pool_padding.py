"""Pools whose padding differs from side to side: (left, right, top, bottom), and TensorFlow's "same"."""

import numpy as np
import pytest
from conftest import needs_torch
from weightless import weightless

import architectures
import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F

SIDES = [(0, 1, 0, 1), (1, 0, 0, 1), (1, 1, 0, 0), (0, 0, 0, 0), (1, 1, 1, 1)]


@pytest.fixture(autouse=True)
def reference():
    """What is around an image is no matter of kernels."""
    with mg.use_kernels("reference"):
        yield


def images(hw=(7, 6), c=2):
    return np.random.default_rng(0).standard_normal((2, *hw, c)) - 3  # below 0: padding with zeros would win


@needs_torch()
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("sides", SIDES)
def test_a_pool_of_four_sides_is_one_of_the_padded_image(sides, ceil_mode):
    import torch

    x = images()
    there = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    padded = [torch.nn.functional.pad(there, sides, value=value) for value in (-np.inf, 0)]
    pixels = torch.nn.functional.pad(torch.ones_like(there), sides)
    pool = torch.nn.functional
    wanted = {
        "max": pool.max_pool2d(padded[0], 3, 2, ceil_mode=ceil_mode),
        "mean": pool.avg_pool2d(padded[1], 3, 2, ceil_mode=ceil_mode),
        "mean of pixels": pool.avg_pool2d(padded[1], 3, 2, ceil_mode=ceil_mode)
        / pool.avg_pool2d(pixels, 3, 2, ceil_mode=ceil_mode),
    }
    pools = {
        "max": nn.MaxPool2d(3, 2, sides, ceil_mode=ceil_mode),
        "mean": nn.AvgPool2d(3, 2, sides, ceil_mode),
        "mean of pixels": nn.AvgPool2d(3, 2, sides, ceil_mode, count_include_pad=False),
    }
    for name, layer in pools.items():
        here = mg.tensor(x, requires_grad=True)
        y = layer(here)
        np.testing.assert_allclose(y.numpy(), wanted[name].detach().numpy().transpose(0, 2, 3, 1), rtol=1e-12)
        (y**2).sum().backward()
        there.grad = None
        (wanted[name] ** 2).sum().backward(retain_graph=True)
        np.testing.assert_allclose(here.grad, there.grad.numpy().transpose(0, 2, 3, 1), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("sides", [(2, 0, 0, 0), (0, 0, -1, 0), (0, 0, 0, 0.5)])
def test_sides_of_more_than_half_the_window_are_refused(sides):
    with pytest.raises(ValueError, match=r"max_pool2d: padding \(left, right, top, bottom\)"):
        F.max_pool2d(mg.tensor(images()), 3, 2, sides)


@pytest.mark.parametrize("size", [32, 33])
def test_same_padding_of_a_net_is_that_of_its_pools_too(size, monkeypatch):
    """TensorFlow's pool of 3x3 and stride 2 looks at other pixels of a map of even size than PyTorch's."""
    weightless(monkeypatch)
    net = architectures.create("resnet18", padding="same", image_size=size)
    x = mg.tensor(images((size, size), 1))
    y = net.maxpool(x)
    before = 0 if size % 2 == 0 else 1
    expected = F.max_pool2d(x, 3, 2, (before, 1, before, 1))
    assert np.array_equal(y.numpy(), expected.numpy()) and y.shape[1:3] == (-(-size // 2),) * 2
    usual = architectures.create("resnet18", image_size=size).maxpool(x)
    assert np.array_equal(y.numpy(), usual.numpy()) is bool(before)
