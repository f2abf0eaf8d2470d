"""Names: of nets (chosen, parsed, refused) and of their parameters (torchvision's). No arithmetic, no weights."""

import pytest
from weightless import weightless

import architectures
from architectures import registry


@pytest.fixture(autouse=True)
def no_weights(monkeypatch):
    weightless(monkeypatch)


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
        ("resnet20", dict(shortcut="D"), "shortcut must be 'A', 'A_centre', 'B', 'C' or None"),
        ("resnet20", dict(shortcuts="A"), "resnet20: unknown option 'shortcuts'; it takes .*shortcut"),
        ("preact_resnet20", dict(zero_init_residual=True), "zero_init_residual needs blocks that end in batch norm"),
        ("resnet20", dict(num_classes=0), "out_features must be an int >= 1; got 0"),
    ],
)
def test_bad_requests_are_refused_in_one_line(name, options, message):
    with pytest.raises(ValueError, match=message) as error:
        architectures.create(name, **options)
    assert "\n" not in str(error.value)


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
