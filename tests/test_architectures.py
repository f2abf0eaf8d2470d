"""The nets themselves: they run, every parameter learns, and what the papers say of them holds."""

import numpy as np
import pytest

import architectures
import minigrad as mg
from architectures import registry
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


# One or more nets of each family: image size, channels
TRAINED = [
    ("lenet5", (28, 28), 1),
    ("alexnet_paper", (67, 67), 3),
    ("alexnet_owt", (63, 70), 1),
    ("alexnet_bn4", (131, 131), 1),
    ("alexnet_small", (28, 28), 1),
    ("vgg11", (32, 48), 3),
    ("vgg11_bn", (32, 32), 3),
    ("vgg_small_bn", (28, 28), 1),
    ("googlenet_paper", (79, 79), 3),
    ("googlenet_torchvision", (33, 47), 3),
    ("googlenet_small", (28, 28), 1),
    ("inception_v4", (75, 75), 3),
    ("resnet18", (33, 45), 3),
    ("resnet50", (32, 32), 1),
    ("resnet50_v1", (32, 32), 1),
    ("plain18", (32, 32), 3),
    ("resnet20", (28, 28), 1),
    ("resnet20", (17, 31), 3),
    ("plain20", (32, 32), 3),
    ("preact_resnet20", (32, 32), 3),
    ("preact_resnet50", (32, 32), 3),
    ("densenet121", (33, 45), 3),
    ("densenet_22_12", (19, 32), 3),
    ("densenet_bc_22_12", (28, 28), 1),
    ("densenet_small", (28, 28), 1),
]


@pytest.mark.parametrize("name, hw, c", TRAINED)
def test_every_parameter_gets_a_gradient(name, hw, c):
    net = architectures.create(name, num_classes=10, image_size=hw, in_channels=c)
    loss = training_loss(F.cross_entropy, net(images(2, *hw, c)), np.array([3, 7]))
    loss.backward()
    assert np.log(10) / 2 < loss.item() < 2 * np.log(10)
    for parameter, tensor in net.named_parameters():
        assert tensor.grad is not None and np.isfinite(tensor.grad).all() and tensor.grad.any(), parameter
    with mg.no_grad():
        assert net.eval()(images(3, *hw, c)).shape == (3, 10)


@pytest.mark.parametrize("name", ["alexnet_small", "vgg_small_bn", "googlenet_small", "resnet20", "densenet_small"])
def test_a_few_steps_fit_a_few_images(name):
    """Initial weights that train: a net that stays at chance stays at log(3) = 1.10."""
    options = {"dropout": 0.0} if name in ("alexnet_small", "googlenet_small") else {}
    net = architectures.create(name, num_classes=3, image_size=16, in_channels=1, **options)
    x, target = images(6, 16, 16, 1), np.arange(6) % 3
    for _ in range(8):
        net.zero_grad()
        loss = F.cross_entropy(net(x), target)
        loss.backward()
        norm = np.sqrt(sum(float((p.grad**2).sum()) for p in net.parameters()))
        for p in net.parameters():
            p.data -= np.float32(0.2 / max(norm, 0.2)) * p.grad
    assert loss.item() < 0.8


@pytest.mark.parametrize("name", ["alexnet_paper", "alexnet_owt", "vgg11", "vgg19", "googlenet_paper"])
def test_nets_without_batch_norm_start_near_chance_with_gradients_at_the_first_layer(name):
    size = registry.find(name).least
    net = architectures.create(name, num_classes=10, image_size=size).eval()
    loss = F.cross_entropy(net(images(4, size, size, 3)), np.arange(4))
    loss.backward()
    first = next(net.parameters())
    assert loss.item() == pytest.approx(np.log(10), rel=0.15)
    assert 5e-4 < np.linalg.norm(first.grad) / np.linalg.norm(first.data) < 1


# Names: chosen, parsed, unknown


def test_names_are_all_listed_once_and_families_apart():
    listed = architectures.names()
    assert len(set(listed)) == len(listed) and not set(listed) & set(architectures.families())
    asked_for = "lenet5 alexnet_paper alexnet_owt alexnet_bn4 vgg11 vgg19 vgg11_bn vgg19_bn googlenet_paper plain34"
    asked_for += " googlenet_torchvision resnet18 resnet152 resnet20 resnet1202 densenet121 densenet264 densenet_40_12"
    assert set(asked_for.split()) <= set(listed) and "densenet_bc_100_12" in listed


@pytest.mark.parametrize("family", architectures.families())
def test_families_choose_by_image_size_and_say_so(family):
    small, why_small = architectures.resolve(family, (28, 28))
    large, why_large = architectures.resolve(family, 224)
    assert small != large and {small, large} <= set(architectures.names())
    assert "28x28" in why_small and "224x224" in why_large and architectures.resolve(family)[0] == large
    assert registry.find(small).least <= 28
    assert architectures.resolve(family, 64)[0] == small and architectures.resolve(family, (64, 65))[0] == large


def test_a_full_name_resolves_to_itself():
    assert architectures.resolve("resnet20", 224)[0] == "resnet20"
    assert architectures.resolve("densenet_bc_40_36", 224)[0] == "densenet_bc_40_36"


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("resnt18", {}, "unknown architecture 'resnt18'; did you mean .*resnet18"),
        ("densnet", {}, "did you mean densenet"),
        ("qqqq", {}, "families: alexnet, vgg"),
        ("resnet51", {}, r"resnet51: a CIFAR net of this kind has 6n \+ 2 layers; 51 is not"),
        ("densenet_bc_41_12", {}, r"depth must be 6n \+ 4 .*; got 41 and 12"),
        ("densenet_40_0", {}, "growth at least 1; got 40 and 0"),
        ("vgg11", dict(image_size=28), "vgg11: images must be at least 32x32; got 28x28"),
        ("inception_v4", dict(image_size=(299, 74)), "at least 75x75; got 299x74"),
        ("resnet20", dict(image_size=(0, 32)), "image_size must be an int >= 1"),
        ("resnet20", dict(shortcut="D"), "shortcut must be 'A', 'B', 'C' or None"),
        ("resnet20", dict(shortcuts="A"), "resnet20: unknown option 'shortcuts'; it takes .*shortcut"),
        ("preact_resnet20", dict(zero_init_residual=True), "zero_init_residual needs blocks that end in batch norm"),
        ("resnet20", dict(num_classes=0), "out_features must be an int >= 1; got 0"),
    ],
)
def test_bad_requests_are_refused_in_one_line(name, options, message):
    with pytest.raises(ValueError, match=message) as error:
        architectures.create(name, **options)
    assert "\n" not in str(error.value)


# Initial weights


def test_the_seed_decides_all_weights():
    a, b, c = (architectures.create("densenet_small", seed=s).state_dict() for s in (5, 5, 6))
    assert all((a[k] == b[k]).all() for k in a)
    assert all((a[k] != c[k]).any() for k in a if k.endswith(("conv1.weight", "classifier.weight")))


def test_dropout_is_seeded_too():
    x = images(4, 16, 16, 1)
    nets = [architectures.create("alexnet_small", image_size=16, in_channels=1, seed=s) for s in (1, 1)]
    same(*(net(x).data for net in nets))


def test_alexnet_starts_as_in_the_paper_with_the_bias_that_trains():
    state = architectures.create("alexnet_paper", image_size=67).state_dict()
    assert state["features.conv3.weight"].std() == pytest.approx(0.01, rel=0.01)
    biases = {k: float(v.max()) for k, v in state.items() if k.endswith("bias") and v.max() == v.min()}
    raised = {f"features.conv{i}.bias" for i in (2, 4, 5)} | {"classifier.fc6.bias", "classifier.fc7.bias"}
    assert {k for k, v in biases.items() if v == np.float32(0.1)} == raised and len(biases) == 8


def test_zero_init_residual_makes_each_block_the_identity():
    net = architectures.create("resnet20", zero_init_residual=True)
    x = mg.Tensor(np.abs(images(2, 8, 8, 16).data))
    same(getattr(net.layer1, "0")(x).data, x.data)


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


def test_grouped_alexnet_is_two_towers_that_exchange_at_conv3_and_the_full_layers():
    net = architectures.create("alexnet_paper", num_classes=7, image_size=67).eval()
    x, state = images(2, 67, 67, 3), net.state_dict()
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


# torchvision's names, written down from torchvision (its num_batches_tracked left out)


def bn(prefix):
    return [f"{prefix}.{name}" for name in ("weight", "bias", "running_mean", "running_var")]


def with_bias(*prefixes):
    return [f"{prefix}.{name}" for prefix in prefixes for name in ("weight", "bias")]


def basic_block(prefix, downsample):
    names = [f"{prefix}.conv1.weight", *bn(f"{prefix}.bn1"), f"{prefix}.conv2.weight", *bn(f"{prefix}.bn2")]
    return names + ([f"{prefix}.downsample.0.weight", *bn(f"{prefix}.downsample.1")] if downsample else [])


RESNET18 = ["conv1.weight", *bn("bn1")]
for i in (1, 2, 3, 4):
    RESNET18 += basic_block(f"layer{i}.0", i > 1) + basic_block(f"layer{i}.1", False)
RESNET18 += with_bias("fc")

ALEXNET = with_bias(*(f"features.{i}" for i in (0, 3, 6, 8, 10)), *(f"classifier.{i}" for i in (1, 4, 6)))

VGG11_BN = []
for i in (0, 4, 8, 11, 15, 18, 22, 25):
    VGG11_BN += with_bias(f"features.{i}") + bn(f"features.{i + 1}")
VGG11_BN += with_bias("classifier.0", "classifier.3", "classifier.6")


def basic_conv(prefix):
    return [f"{prefix}.conv.weight", *bn(f"{prefix}.bn")]


GOOGLENET = [name for i in (1, 2, 3) for name in basic_conv(f"conv{i}")]
for module in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
    for branch in ("branch1", "branch2.0", "branch2.1", "branch3.0", "branch3.1", "branch4.1"):
        GOOGLENET += basic_conv(f"inception{module}.{branch}")
for aux in ("aux1", "aux2"):
    GOOGLENET += basic_conv(f"{aux}.conv") + with_bias(f"{aux}.fc1", f"{aux}.fc2")
GOOGLENET += with_bias("fc")

DENSENET121 = ["features.conv0.weight", *bn("features.norm0")]
for block, depth in enumerate((6, 12, 24, 16), 1):
    for layer in range(1, depth + 1):
        prefix = f"features.denseblock{block}.denselayer{layer}"
        for i in (1, 2):
            DENSENET121 += [*bn(f"{prefix}.norm{i}"), f"{prefix}.conv{i}.weight"]
    if block < 4:
        DENSENET121 += [*bn(f"features.transition{block}.norm"), f"features.transition{block}.conv.weight"]
DENSENET121 += bn("features.norm5") + with_bias("classifier")


@pytest.mark.parametrize(
    "name, size, expected",
    [
        ("alexnet_owt", 63, ALEXNET),
        ("vgg11_bn", 65, VGG11_BN),
        ("googlenet_torchvision", 32, GOOGLENET),
        ("resnet18", 32, RESNET18),
        ("densenet121", 32, DENSENET121),
    ],
)
def test_state_dict_has_torchvisions_names_in_its_order(name, size, expected):
    counts = {"alexnet_owt": 16, "vgg11_bn": 54, "googlenet_torchvision": 305, "resnet18": 102, "densenet121": 606}
    assert len(expected) == counts[name]
    assert list(architectures.create(name, image_size=size).state_dict()) == expected
