"""InstanceNorm2d's running statistics, beside torch's."""

import numpy as np
import pytest
from conftest import needs_torch
from refusals import refused

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F

IMAGES = np.random.default_rng(0).standard_normal((3, 4, 5, 2)).astype("f") * 2 + 1


@needs_torch()
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("track", [False, True])
def test_values_and_running_statistics_are_torchs(affine, track, kernels):
    import torch

    settings = dict(momentum=0.3, affine=affine, track_running_stats=track)
    ours, theirs = nn.InstanceNorm2d(2, 1e-3, **settings), torch.nn.InstanceNorm2d(2, 1e-3, **settings)
    for training in (True, True, False):
        ours.train(training), theirs.train(training)
        y = ours(mg.tensor(IMAGES)).numpy()
        z = theirs(torch.tensor(IMAGES.transpose(0, 3, 1, 2))).detach().numpy().transpose(0, 2, 3, 1)
        np.testing.assert_allclose(y, z, rtol=1e-4, atol=1e-5)
        for name in ("running_mean", "running_var") if track else ():
            np.testing.assert_allclose(getattr(ours, name).numpy(), getattr(theirs, name).numpy(), rtol=1e-5)
    assert {*ours.state_dict()} == {*theirs.state_dict()} - {"num_batches_tracked"}  # torch never counts them here


def test_evaluation_of_one_pixel_and_gradients_by_running_statistics():
    norm = nn.InstanceNorm2d(2, eps=0, track_running_stats=True).eval()
    norm.running_var.copy_([4.0, 0.25])
    x = mg.tensor([[[[2.0, 1.0]]]], requires_grad=True)
    y = norm(x)
    y.sum().backward()
    assert y.tolist() == [[[[1.0, 2.0]]]] and x.grad.tolist() == [[[[0.5, 2.0]]]]


def test_a_checkpointed_piece_moves_them_once():
    norm, once = (nn.InstanceNorm2d(2, track_running_stats=True) for _ in range(2))
    x = mg.tensor(IMAGES, requires_grad=True)
    mg.checkpoint(norm, x).sum().backward()
    once(x)
    np.testing.assert_array_equal(norm.running_var.numpy(), once.running_var.numpy())


def test_a_batch_in_16_bits_moves_statistics_of_32():
    mean, var = mg.zeros(2), mg.ones(2)
    F.instance_norm(mg.tensor(IMAGES.astype(np.float16)), mean, var, momentum=1.0)
    np.testing.assert_allclose(mean.numpy(), IMAGES.mean((0, 1, 2)), rtol=1e-2)
    np.testing.assert_allclose(var.numpy(), IMAGES.var((1, 2), ddof=1).mean(0), rtol=1e-2)


def test_what_makes_no_sense_is_refused():
    refused(lambda: nn.InstanceNorm2d(2, momentum=None), TypeError, "momentum must be a number; got None")
    refused(lambda: F.instance_norm(mg.tensor(IMAGES), mg.zeros(3), mg.ones(3)), ValueError, "running_mean must have")
    refused(lambda: F.instance_norm(mg.tensor(IMAGES), use_input_stats=False), ValueError, "needs running_mean")
