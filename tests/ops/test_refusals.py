"""What losses, verbs, norms and images refuse, and why; whole numbers among floats; padding in all its ways."""

import re

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor, nn
from minigrad.nn import functional as F


def t(*shape):
    return Tensor(np.ones(shape, np.float32), requires_grad=True)


CASES = [
    (lambda: F.mse_loss(t(2, 3), t(3)), "mse_loss: x and target must have the same shape; got (2, 3) and (3,)"),
    (lambda: F.l1_loss(t(2), t(2), "max"), "l1_loss: reduction must be one of ('mean', 'sum', 'none'); got 'max'"),
    (lambda: F.huber_loss(t(2), t(2), delta=0), "huber_loss: delta must be above 0; got 0"),
    (lambda: F.smooth_l1_loss(t(2), t(2), beta=-1), "smooth_l1_loss: beta must be at least 0; got -1"),
    (lambda: F.binary_cross_entropy(t(2) * 2, t(2)), "binary_cross_entropy: x must hold probabilities from 0"),
    (lambda: F.binary_cross_entropy(t(2), t(2), t(2)), "binary_cross_entropy: weight is a constant and gets"),
    (lambda: F.binary_cross_entropy(t(2), t(2), np.ones(3)), "weight must broadcast to x's shape (2,); got (3,)"),
    (lambda: F.nll_loss(t(2, 3), np.array([0, 3])), "nll_loss: target must hold classes from 0 to 2; found 3"),
    (lambda: F.nll_loss(t(2, 3), np.array([0])), "nll_loss: x (..., K) needs a target of shape (2,); got (1,)"),
    (lambda: F.kl_div(t(2), t(2), "batch"), "kl_div: reduction must be one of"),
    (lambda: F.gelu(t(2), "erf"), "gelu: approximate must be 'none' or 'tanh'; got 'erf'"),
    (lambda: F.prelu(t(2, 3), t(2)), "prelu: weight must have shape (1,) or (3,), x's channels; got (2,)"),
    (lambda: F.hardtanh(t(2), 1, 1), "hardtanh: min_val must be below max_val; got 1 and 1"),
    (lambda: F.softmax(t(2, 3), 2), "softmax: dim must be an axis of x (2, 3), from -2 to 1; got 2"),
    (lambda: F.layer_norm(t(2, 3), 2), "layer_norm: normalized_shape must be the end of x's shape (2, 3); got (2,)"),
    (lambda: F.group_norm(t(2, 3), 2), "group_norm: num_groups must divide x's channels (last axis); got 2"),
    (lambda: F.instance_norm(t(1, 1, 1, 3)), "instance_norm: one pixel has no variance"),
    (lambda: nn.BatchNorm1d(3)(t(1, 2, 2, 3)), "BatchNorm1d: x must have axes (N, C) or (N, L, C)"),
    (lambda: F.pad(t(1, 4, 4, 2), (1, 1), "mirror"), "pad: mode must be 'constant' or one of"),
    (lambda: F.pad(t(2, 4, 3), (1, 1)), "pad: pads must be a (before, after) pair for each of 3 axes; got (1, 1)"),
    (lambda: F.pad(t(1, 4, 4, 2), (4, 0), "reflect"), "pad: reflect padding of 4 needs an axis of more than 4"),
    (lambda: nn.ZeroPad2d((1, 2)), "ZeroPad2d: padding must be an int >= 0 or (left, right, top, bottom); got (1, 2)"),
    (lambda: nn.Conv2d(1, 1, 3, stride=2, padding="same"), "Conv2d: padding 'same' needs stride 1; got stride (2, 2)"),
    (lambda: nn.Conv2d(1, 1, 3, padding="full"), "Conv2d: padding must be an int, a pair, four ints, 'same'"),
    (lambda: nn.Conv2d(1, 1, 3, padding_mode="mirror"), "Conv2d: padding_mode must be 'zeros' or one of"),
    (lambda: F.interpolate(t(1, 2, 2, 1)), "interpolate: give either size or scale_factor; got None and None"),
    (lambda: F.interpolate(t(1, 2, 2, 1), 3, mode="cubic"), "interpolate: mode must be one of ('nearest', 'bilinear')"),
    (lambda: F.interpolate(t(1, 2, 2, 1), scale_factor=0.1), "interpolate: scale_factor must leave at least one pixel"),
    (lambda: F.pixel_shuffle(t(1, 2, 2, 6), 2), "pixel_shuffle: x must have a multiple of 4 channels (last axis)"),
    (lambda: F.conv1d(t(1, 2, 2, 6), t(1, 3, 6)), "conv1d: x must have 3 axes (N, L, C), channels last"),
    (lambda: t(2, 3).expand(4, 3), "expand: shape (2, 3) does not stretch to (4, 3)"),
    (lambda: t(2, 3).repeat(2), "repeat: repeats must be ints >= 0, one for each of 2 axes or more; got (2,)"),
    (lambda: t(2, 3).split(0), "split: sizes must be an int >= 1; got 0"),
    (lambda: t(2, 3).split([1, 2]), "split: sizes [1, 2] do not add up to 2, the length of axis 0"),
    (lambda: t(2, 3).topk(4), "topk: k must be an int from 0 to 3, the length of axis 1; got 4"),
    (lambda: t(2, 3).gather(1, np.array([[3]])), "gather: index must be from 0 to 2; found 3 to 3"),
    (lambda: t(2, 3).gather(1, np.array([0])), "gather: index must fit into x (2, 3) beside axis 1; got (1,)"),
    (lambda: t(2, 3).unflatten(1, (2, -1)), "unflatten: sizes (2, -1) do not multiply to 3, the length of axis 1"),
    (lambda: t(2).norm(0), "norm: p must be a number above 0, or inf; got 0"),
    (lambda: t(2).clamp(), "clamp: at least one of min and max must be a number; both are None"),
    (lambda: t(2, 3).masked_fill(np.ones((2, 4), bool), 0.0), "masked_fill: mask must broadcast to x's shape (2, 3)"),
    (lambda: mg.stack([t(2), t(3)]), "stack: all tensors must have one shape; xs[1] has (3,), xs[0] (2,)"),
    (lambda: mg.einsum("ij,jk->ik", t(2, 3), t(2, 3)), "einsum: axis 'j' of 'ij,jk->ik' is 3 and 2 long"),
    (lambda: mg.einsum("ii->i", t(2, 2)), "einsum: 'ii->i' names an axis of one tensor twice"),
    (lambda: F.embedding(np.array([3]), t(3, 2)), "embedding: x must be from 0 to 2; found 3 to 3"),
    (lambda: mg.zeros(0).argmax(), "argmax: an empty tensor has no such element; x (0,)"),
]  # fmt: skip


@pytest.mark.parametrize("call, message", CASES, ids=[m[:50] for _, m in CASES])
def test_refused_with_reason(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: mg.where(t(2), 1.0, t(2)), "where: condition must hold booleans; got float32"),
        (lambda: t(2, 2).gather(0, np.zeros((1, 1))), "gather: index must hold integers; got float64"),
        (lambda: t(2).clamp(min=t(2)), "clamp: min and max must be numbers or None; got Tensor"),
        (lambda: F.elu(t(2), slope=1), "elu: got an unexpected keyword argument 'slope'; its arguments are"),
        (lambda: F.layer_norm(mg.arange(4), 4), "layer_norm: x must hold floating-point numbers, but is int64"),
    ],
)
def test_wrong_types(call, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        call()


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.huber_loss, F.binary_cross_entropy_with_logits])
def test_a_target_of_whole_numbers_leaves_values_and_gradients_in_float32(loss):
    x = Tensor(np.array([0.5, -1, 2], np.float32), requires_grad=True)
    y = loss(x, np.array([1, 0, 1]))
    y.backward()
    assert y.dtype == x.grad.dtype == np.float32
    z = Tensor(x.data, requires_grad=True)
    loss(z, np.array([1, 0, 1], np.float32)).backward()
    np.testing.assert_array_equal(x.grad, z.grad)


def test_batch_norm_without_affine_running_statistics_or_momentum():
    rng = np.random.default_rng(0)
    batches = [rng.standard_normal((4, 3, 3, 2)).astype(np.float32) + i for i in range(3)]
    plain, mean_of_all = nn.BatchNorm2d(2, affine=False), nn.BatchNorm2d(2, momentum=None)
    untracked = nn.BatchNorm2d(2, track_running_stats=False)
    assert not list(plain.parameters()) and not list(untracked.buffers())
    for x in batches:
        y = plain(Tensor(x)).data
        np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-5)
        np.testing.assert_allclose(untracked.eval()(Tensor(x)).data, y, atol=1e-6)
        mean_of_all(Tensor(x))
    np.testing.assert_allclose(mean_of_all.running_mean.data, np.mean(batches, (0, 1, 2, 3)), rtol=1e-4)
    again = nn.BatchNorm2d(2, momentum=None)
    again.load_state_dict(mean_of_all.state_dict())
    assert again.num_batches_tracked.item() == 3


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", ["same", (1, 2, 0, 3), (2, 1), 1])
def test_a_convolution_padded_in_any_way_is_one_of_the_padded_image(padding, mode):
    layer = nn.Conv2d(2, 3, (2, 3), padding=padding, padding_mode=mode)
    x = Tensor(np.random.default_rng(0).standard_normal((1, 5, 6, 2)).astype(np.float32))
    sides = {"same": (1, 1, 0, 1), (2, 1): (1, 1, 2, 2), 1: (1,) * 4}.get(padding, padding)
    padded = F.pad(x, sides, "constant" if mode == "zeros" else mode)
    np.testing.assert_allclose(layer(x).data, F.conv2d(padded, layer.weight, layer.bias).data, atol=1e-6)
    norm = nn.BatchNorm2d(3)
    both = nn.Sequential(layer, norm).eval()
    with mg.no_grad():
        np.testing.assert_allclose(both(x).data, norm(layer(x)).data, atol=1e-6)
