"""The roofline's counts: two layers by hand, nets against their papers and against the summary."""

import math

import pytest

import architectures
from architectures.registry import find
from minigrad.nn import summary


@pytest.fixture
def roofline(module):
    return module("roofline")


@pytest.fixture
def training_step(module):
    return module("kernel_calls").training_step


def only(calls, kernel, x, w):
    """The one call with these shapes of x and w, without the images' axis."""
    found = [c for c in calls if c.kernel == kernel and c.input("x").shape[1:] == x and c.input("w").shape == w]
    assert len(found) == 1
    return found[0], calls[found[0]]


def test_a_3x3_layer_of_resnet18_by_hand(roofline, training_step):
    """The first stage: two blocks of two 3x3 convolutions, 56x56x64."""
    layer, count = only(training_step("resnet18"), "conv2d_forward", (56, 56, 64), (64, 3, 3, 64))
    image, weights = 56 * 56 * 64, 64 * 9 * 64
    assert count == 4 and layer.macs(10) == 10 * image * 9 * 64 and layer.flops(10) == 2 * layer.macs(10)
    low, _ = only(training_step("resnet18", "bfloat16"), "conv2d_forward", (56, 56, 64), (64, 3, 3, 64))
    assert layer.bytes(10) == 4 * (10 * 2 * image + weights) and low.bytes(1) == 2 * (2 * image + weights)
    for call, precision, peak in (layer, "fp32", 66.9e12), (low, "bf16", 989.4e12):  # more arithmetic than memory
        seconds = roofline.seconds(call, 64, precision, roofline.GPUS["H200"])
        assert seconds == pytest.approx(2 * 64 * image * 9 * 64 / peak)


def test_a_strided_1x1_layer_by_hand(roofline, training_step):
    """ResNet's projection with stride 2 sees every second row and column of its image."""
    calls = training_step("resnet18")
    layer, count = only(calls, "conv2d_forward", (56, 56, 64), (128, 1, 1, 64))
    seen, output, weights = 28 * 28 * 64, 28 * 28 * 128, 128 * 64
    assert count == 1 and layer.macs(2) == 2 * output * 64
    assert layer.bytes(2) == 4 * (2 * (seen + output) + weights)
    seconds = roofline.seconds(layer, 64, "tf32", roofline.GPUS["H100"])
    assert seconds == pytest.approx(4 * (64 * (seen + output) + weights) / 3.35e12)  # memory takes longer
    (gradient,) = (c for c in calls if c.kernel == "conv2d_backward_input" and c.input("w").shape == (128, 1, 1, 64))
    assert gradient.macs(2) == layer.macs(2)
    assert gradient.bytes(2) == 4 * (2 * (output + 56 * 56 * 64) + weights)


def test_batch_norm_reads_twice_what_it_must_sum_first(training_step):
    calls = training_step("resnet18")
    forward = next(c for c in calls if c.kernel == "batch_norm_forward" and c.input("x").shape[1:] == (112, 112, 64))
    backward = next(c for c in calls if c.kernel == "batch_norm_backward" and c.input("x").shape[1:] == (112, 112, 64))
    image = 112 * 112 * 64
    assert forward.bytes(8) == 4 * (8 * 3 * image + 4 * 64)  # x, x, y; gamma, beta, mean, var
    assert backward.bytes(8) == 4 * (8 * 5 * image + 6 * 64)  # dy, x, dy, x, dx; gamma, beta, mean, var and two


def forward_macs(calls):
    return sum(n * c.macs(1) for c, n in calls.items() if c.kernel.endswith("_forward"))


@pytest.mark.parametrize("net, billions", [("resnet18", 1.8), ("resnet152_v1", 11.3)])
def test_macs_are_the_papers(net, billions, training_step):
    """He et al. 2015, table 1 ("FLOPs" there are multiply-accumulates)."""
    assert round(forward_macs(training_step(net)) / 1e9, 1) == billions


@pytest.mark.parametrize("net", ["alexnet_small", "resnet20", "densenet_small", "densenet_bc_100_12"])
def test_the_whole_step_is_there(net, training_step):
    """Forward as the summary counts it; backward twice that, without the first layer's input gradient."""
    made_for, calls = find(net), training_step(net)
    forward = forward_macs(calls)
    assert forward == summary(architectures.create(net), (made_for.image_size,) * 2 + (made_for.in_channels,)).macs
    first = next(c for c in calls if c.kernel == "conv2d_forward")
    assert sum(n * c.macs(1) for c, n in calls.items()) == 3 * forward - first.macs(1)
    (update,) = (c for c in calls if c.kernel == "sgd_step")
    parameters = sum(p.size for p in architectures.create(net).parameters())
    assert update.bytes(1) == 5 * 4 * parameters  # reads w, dw and v, writes w and v


def test_sums_of_gradients_are_counted(training_step):
    """ResNet-20 has 9 blocks, whose inputs each get a second gradient."""
    calls = training_step("resnet20")
    sums = {c: n for c, n in calls.items() if c.kernel == "add"}
    assert sum(sums.values()) == 9
    assert all(c.bytes(2) == 3 * 4 * math.prod(c.outputs[0].at(2)) for c in sums)


def test_mixed_precision_casts_each_weight_and_its_gradient(training_step):
    calls = training_step("resnet20", "bfloat16")
    products = architectures.create("resnet20").parameters()
    weights = sum(p.size for p in products if p.ndim > 1) + 10  # and the classifier's bias
    casts = {c: n for c, n in calls.items() if c.kernel == "cast" and c.outputs[0].shape[0] != 3}
    assert sum(n * c.bytes(1) for c, n in casts.items()) == 2 * (4 + 2) * weights
    update = next(c for c in calls if c.kernel == "sgd_step")
    assert {array.dtype.name for _, array in update.inputs} == {"float32"}


def test_the_page(roofline):
    text = "\n".join(roofline.page(("resnet20",), (8, 16)))
    assert "Computed, not measured" in text and "| 32x32x3, 3x3 to 16 | resnet20 1 |" in text
    assert text.count("| `resnet20` | 8 |") == text.count("| `resnet20` | 16 |") == 1
