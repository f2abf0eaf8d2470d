"""What the papers say of their nets holds for these: towers, 1x1 filters, auxiliary heads, shortcuts, dense layers."""

import numpy as np
import pytest

import architectures
import minigrad as mg
from architectures.googlenet import GoogLeNetOutputs, InceptionNaive, training_loss
from architectures.resnet import BasicBlock, Bottleneck, PreActBlock
from minigrad import nn
from minigrad.nn import functional as F


@pytest.fixture(autouse=True)
def reference_kernels():
    """These tests are about nets, not kernels: nothing to compile."""
    with mg.use_kernels("reference"):
        yield


def images(*shape, seed=0):
    return mg.Tensor(np.random.default_rng(seed).standard_normal(shape, np.float32))


def same(a, b, tolerance=1e-5):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())


# AlexNet on two GPUs (claim 1)


def tower(state, half, x):
    """conv1 and conv2 of one GPU, from its half of the filters alone."""

    def conv(name, x, **settings):
        w, b = state[f"features.{name}.weight"], state[f"features.{name}.bias"]
        mine = slice(half * len(w) // 2, (half + 1) * len(w) // 2)
        return F.conv2d(x, mg.Tensor(w[mine]), mg.Tensor(b[mine]), relu=True, **settings)

    def normed(x):
        return F.max_pool2d(F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0), 3, 2)

    first = normed(conv("conv2", normed(conv("conv1", x, stride=4)), padding=2))
    return first, conv


@pytest.mark.long
def test_grouped_alexnet_is_two_towers_that_exchange_at_conv3_and_the_full_layers():
    net = architectures.create("alexnet_paper", num_classes=7, image_size=67).eval()
    x, state = mg.Tensor(100 * images(2, 67, 67, 3).data), net.state_dict()  # large enough for the norms to matter
    (left, conv_left), (right, conv_right) = (tower(state, half, x) for half in (0, 1))
    both = F.concat(left, right)  # the exchange
    halves = []
    for conv in (conv_left, conv_right):
        y = conv("conv4", conv("conv3", both, padding=1), padding=1)
        halves.append(F.max_pool2d(conv("conv5", y, padding=1), 3, 2))
    assert F.concat(*halves).data.any()
    same(net.features(x).data, F.concat(*halves).data)
    same(net(x).data, net.classifier(F.concat(*halves).flatten(1)).data)


def test_ungrouped_alexnet_is_another_net():
    shapes = [
        architectures.create(name, image_size=67).state_dict()["features.conv2.weight"].shape
        for name in ("alexnet_paper", "alexnet_paper_ungrouped")
    ]
    assert shapes == [(256, 5, 5, 48), (256, 5, 5, 96)]


# 1x1 convolution (claim 7)


def test_1x1_convolution_is_a_linear_layer_at_every_pixel():
    conv, x, z = nn.Conv2d(5, 4, 1), images(2, 3, 6, 5), images(2, 3, 6, 5)
    x, z = mg.tensor(x.data, requires_grad=True), mg.tensor(x.data, requires_grad=True)
    w = mg.tensor(conv.weight.data.reshape(4, 5), requires_grad=True)
    y, dy = conv(x), images(2, 3, 6, 4, seed=1).data
    linear = F.linear(z, w, conv.bias.detach())
    same(y.data, linear.data)
    y.backward(dy)
    linear.backward(dy)
    same(x.grad, z.grad)
    same(conv.weight.grad.reshape(4, 5), w.grad)


# GoogLeNet


def test_auxiliary_heads_are_used_in_training_only_and_weigh_a_third():
    net = architectures.create("googlenet_torchvision", num_classes=4, image_size=32)
    x, target = images(2, 32, 32, 3), np.array([0, 3])
    outputs = net(x)
    assert isinstance(outputs, GoogLeNetOutputs)
    main, second, first = (F.cross_entropy(y, target).item() for y in outputs)
    assert training_loss(F.cross_entropy, outputs, target).item() == pytest.approx(main + 0.3 * (first + second))
    y = net.eval()(x)
    assert y.shape == (2, 4)
    assert training_loss(F.cross_entropy, y, target).item() == pytest.approx(F.cross_entropy(y, target).item())
    assert architectures.create("googlenet_torchvision", image_size=32, aux_logits=False)(x).shape == (2, 1000)


def test_aux1_reads_inception4a_and_aux2_reads_4d():
    net = architectures.create("googlenet_torchvision", image_size=32)
    depth = {name: getattr(net, name).conv.conv.in_channels for name in ("aux1", "aux2")}
    assert depth == {"aux1": 512, "aux2": 528}
    net(images(2, 32, 32, 3)).aux_logits1.sum().backward()
    reached = {name.split(".")[0] for name, p in net.named_parameters() if p.grad is not None}
    assert reached == {"conv1", "conv2", "conv3", "inception3a", "inception3b", "inception4a", "aux1"}


def test_naive_module_passes_all_its_input_on():
    y = InceptionNaive(6, 2, 3, 4)(images(2, 7, 5, 6))
    assert y.shape == (2, 7, 5, 2 + 3 + 4 + 6)


# ResNet


def test_option_a_halves_the_image_and_appends_zero_channels():
    block, x = BasicBlock(4, 6, stride=2, shortcut="A"), images(1, 5, 5, 4)
    y = block.downsample(x).data
    assert y.shape == (1, 3, 3, 6) and not y[..., 4:].any()
    assert (y[..., :4] == x.data[:, ::2, ::2]).all()


@pytest.mark.parametrize("option, projections", [("A", 0), ("B", 3), ("C", 8)])
def test_shortcut_options_differ_in_where_they_project(option, projections):
    net = architectures.create("resnet18", image_size=32, shortcut=option)
    assert sum(name.endswith("downsample.0.weight") for name in net.state_dict()) == projections


def test_plain_net_is_the_residual_net_without_the_sum():
    block, plain = BasicBlock(3, 3), BasicBlock(3, 3, shortcut=None)
    plain.load_state_dict(block.state_dict())
    x = mg.Tensor(np.abs(images(2, 4, 4, 3).data))
    before = block.bn2(block.conv2(block.bn1(block.conv1(x), relu=True))).data
    same(plain(x).data, np.maximum(before, 0))
    same(block(x).data, np.maximum(before + x.data, 0))


def test_preactivated_shortcut_is_untouched_from_end_to_end():
    block, x = PreActBlock(3, 3), images(2, 4, 4, 3)
    block.conv2.weight.data[...] = 0
    assert (block(x).data == x.data).all()


@pytest.mark.long
def test_v1_strides_in_the_first_1x1_and_v15_in_the_3x3():
    strides = [
        [getattr(getattr(architectures.create(n, image_size=32).layer2, "0"), f"conv{i}").stride[0] for i in (1, 2, 3)]
        for n in ("resnet50", "resnet50_v1")
    ]
    assert strides == [[1, 2, 1], [2, 1, 1]] and Bottleneck.expansion == 4


# DenseNet


def test_each_dense_layer_reads_all_maps_before_it():
    block = architectures.create("densenet_bc_22_12").features.denseblock1
    assert [layer.norm1.num_features for _, layer in block.named_children()] == [24, 36, 48]
    x = images(2, 4, 4, 24)
    y = block(x).data
    assert y.shape == (2, 4, 4, 24 + 3 * 12) and (y[..., :24] == x.data).all()


def test_memory_efficient_densenet_computes_the_same():
    x, target, results = images(2, 16, 16, 3), np.array([1, 2]), []
    for efficient in (False, True):
        net = architectures.create("densenet_bc_22_12", memory_efficient=efficient)
        F.cross_entropy(net(x), target).backward()
        results.append((dict(net.named_parameters()), dict(net.named_buffers())))
    (plain, plain_running), (efficient, efficient_running) = results
    for name in plain:
        same(plain[name].grad, efficient[name].grad)
    for name in plain_running:
        same(plain_running[name].data, efficient_running[name].data)


def test_dense_layers_drop_while_training_if_asked_to():
    net, x = architectures.create("densenet_22_12", drop_rate=0.2), images(2, 8, 8, 3)
    with mg.no_grad():
        maps = net.features.denseblock1(net.features.conv0(x)).data[..., 16:]
    assert 0.1 < (maps == 0).mean() < 0.3
