"""Parameters, multiply-accumulates and weight layers of every net equal the papers' (or what their tables lead to)."""

import re

import numpy as np
import pytest
from weightless import weightless

import architectures
import minigrad as mg
from architectures import registry
from architectures.googlenet import TABLE_1, Inception, InceptionNaive, out_channels
from kernels.virtual import VirtualKernels, virtual
from minigrad.nn import BatchNorm2d, Conv2d, Linear


@pytest.fixture(autouse=True)
def no_weights(monkeypatch):
    weightless(monkeypatch)


def parameters(net):
    return sum(p.size for p in net.parameters())


def norm_parameters(net):
    return sum(parameters(m) for m in net.modules() if isinstance(m, BatchNorm2d))


def weight_layers(net):
    """Convolutions and fully-connected layers, but for the projections on ResNet's shortcuts."""
    return sum(isinstance(m, Conv2d | Linear) for name, m in net.named_modules() if "downsample" not in name)


def macs(net, *shape):
    """Multiply-accumulates of one image (H, W, C)."""
    kernels = VirtualKernels()
    with mg.use_kernels(kernels), mg.no_grad():
        net(mg.Tensor(virtual((1, *shape), np.float32)))
    return kernels.macs


def giga(count, digits):
    return f"{count / 1e9:.{digits}f}"


# name and options; parameters, those of batch norm, GMAC of one image, weight layers
ROWS = [
    ("alexnet_paper", {}, 60_965_224, 0, "0.7244", 8),
    ("alexnet_paper_ungrouped", {}, 62_378_344, 0, "1.1353", 8),
    ("alexnet_owt", {}, 61_100_840, 0, "0.7142", 8),
    ("vgg11", {}, 132_863_336, 0, "7.6091", 11),
    ("vgg13", {}, 133_047_848, 0, "11.3085", 13),
    ("vgg16", {}, 138_357_544, 0, "15.4703", 16),
    ("vgg19", {}, 143_667_240, 0, "19.6321", 19),
    ("vgg16_c", {}, 133_638_952, 0, "11.7709", 16),
    ("vgg11_bn", {}, 132_868_840, 5_504, "7.6091", 11),
    ("vgg13_bn", {}, 133_053_736, 5_888, "11.3085", 13),
    ("vgg16_bn", {}, 138_365_992, 8_448, "15.4703", 16),
    ("vgg19_bn", {}, 143_678_248, 11_008, "19.6321", 19),
    ("vgg11_bn", dict(image_size=32, num_classes=10), 9_231_114, 5_504, "0.1528", 9),
    ("vgg16_bn", dict(image_size=32, num_classes=10), 14_728_266, 8_448, "0.3132", 14),
    ("vgg19_bn", dict(image_size=32, num_classes=10), 20_040_522, 11_008, "0.3981", 17),
    ("googlenet_paper", dict(aux_logits=False), 6_998_552, 0, "1.5827", 58),
    ("googlenet_paper", {}, 13_378_280, 0, "1.5910", 64),
    ("googlenet_torchvision", dict(aux_logits=False), 6_624_904, 14_560, "1.4984", 58),
    ("googlenet_torchvision", {}, 13_004_888, 15_072, "1.5067", 64),
    ("googlenet_bn", dict(aux_logits=False), 7_005_832, 14_560, "1.5827", 58),
    ("resnet18", {}, 11_689_512, 9_600, "1.8141", 18),
    ("resnet18", dict(shortcut="A"), 11_515_688, 7_808, "1.7948", 18),
    ("plain18", {}, 11_515_688, 7_808, "1.7948", 18),
    ("resnet34", {}, 21_797_672, 17_024, "3.6638", 34),
    ("resnet34", dict(shortcut="A"), 21_623_848, 15_232, "3.6445", 34),
    ("plain34", {}, 21_623_848, 15_232, "3.6445", 34),
    ("resnet50", {}, 25_557_032, 53_120, "4.0892", 50),
    ("resnet50_v1", {}, 25_557_032, 53_120, "3.8580", 50),
    ("resnet101", {}, 44_549_160, 105_344, "7.8014", 101),
    ("resnet101_v1", {}, 44_549_160, 105_344, "7.5702", 101),
    ("resnet152", {}, 60_192_808, 151_424, "11.5136", 152),
    ("resnet152_v1", {}, 60_192_808, 151_424, "11.2824", 152),
    ("resnet20", {}, 269_722, 1_376, "0.0406", 20),
    ("resnet32", {}, 464_154, 2_272, "0.0689", 32),
    ("resnet44", {}, 658_586, 3_168, "0.0972", 44),
    ("resnet56", {}, 853_018, 4_064, "0.1255", 56),
    ("resnet110", {}, 1_727_962, 8_096, "0.2529", 110),
    ("resnet1202", {}, 19_421_274, 89_632, "2.8292", 1202),
    ("resnet20", dict(num_classes=100), 275_572, 1_376, "0.0406", 20),
    ("resnet110", dict(num_classes=100), 1_733_812, 8_096, "0.2529", 110),
    ("densenet121", {}, 7_978_856, 83_648, "2.8342", 121),
    ("densenet169", {}, 14_149_480, 158_400, "3.3598", 169),
    ("densenet201", {}, 20_013_928, 229_056, "4.2914", 201),
    ("densenet264", {}, 33_337_704, 398_528, "5.7517", 265),
    ("densenet161", {}, 28_681_000, 219_936, "7.7279", 161),
    ("densenet_40_12", {}, 1_019_722, 18_096, "0.2648", 40),
    ("densenet_100_12", {}, 6_979_642, 117_216, "1.7695", 100),
    ("densenet_100_24", {}, 27_249_082, 231_264, "6.8893", 100),
    ("densenet_bc_100_12", {}, 769_162, 23_988, "0.2879", 100),
    ("densenet_bc_250_24", {}, 15_324_406, 257_976, "5.4188", 250),
    ("densenet_bc_190_40", {}, 25_624_430, 256_960, "9.3019", 190),
    ("densenet_bc_40_36", {}, 1_542_682, 15_264, "0.6473", 40),
    ("densenet_bc_40_48", {}, 2_733_130, 20_352, "1.1499", 40),
    ("densenet_bc_40_60", {}, 4_261_690, 25_440, "1.7958", 40),
    ("lenet5", {}, 61_706, 0, "0.0004", 5),
]


@pytest.mark.parametrize("name, options, count, of_norm, gmac, depth", ROWS)
def test_counts_equal_the_papers(name, options, count, of_norm, gmac, depth):
    net, made_for = architectures.create(name, **options), registry.find(name)
    assert (parameters(net), norm_parameters(net), weight_layers(net)) == (count, of_norm, depth)
    hw = (options.get("image_size", made_for.image_size),) * 2
    assert giga(macs(net, *hw, made_for.in_channels), 4) == gmac


def test_inception_v4_has_the_parameters_of_its_reference():
    net = architectures.create("inception_v4")
    assert (parameters(net), weight_layers(net)) == (42_679_816, 150)
    assert giga(macs(net, 299, 299, 3), 2) == "12.25"


def table_rows():
    """(name, weight layers, parameters) of the table that opens each family file."""
    for module in registry.MODULES:
        for row in re.finditer(r"^    (\w+) +(\d+) +([\d,]+)(?= |$)", module.__doc__, re.M):
            yield row[1], int(row[2]), int(row[3].replace(",", ""))


@pytest.mark.parametrize("name, depth, count", list(table_rows()))
def test_the_table_in_each_file_is_true(name, depth, count):
    net = architectures.create(name)
    assert (weight_layers(net), parameters(net)) == (depth, count)


def test_every_family_file_opens_with_a_table():
    listed = {name for name, _, _ in table_rows()}
    for module in registry.MODULES:
        assert listed & set(module.VARIANTS), module.__name__
    unlisted = set(architectures.names()) - listed
    assert all(re.match(r"resnet\d+_v1|plain|preact_", name) for name in unlisted), unlisted


# Per module of GoogLeNet: parameters, millions of MACs, output channels, size
INCEPTIONS = [
    ("inception3a", 192, 163_696, "128.0", 256, 28),
    ("inception3b", 256, 388_736, "304.3", 480, 28),
    ("inception4a", 480, 376_176, "73.6", 512, 14),
    ("inception4b", 512, 449_160, "87.9", 512, 14),
    ("inception4c", 512, 510_104, "99.9", 512, 14),
    ("inception4d", 512, 605_376, "118.5", 528, 14),
    ("inception4e", 528, 868_352, "170.0", 832, 14),
    ("inception5a", 832, 1_043_456, "51.1", 832, 7),
    ("inception5b", 832, 1_444_080, "70.7", 1024, 7),
]


@pytest.mark.parametrize("name, c, count, mega, depth, size", INCEPTIONS)
def test_inception_modules(name, c, count, mega, depth, size):
    module = Inception(c, *TABLE_1[name], norm=False)
    assert parameters(module) == count and out_channels(TABLE_1[name]) == depth
    assert f"{macs(module, size, size, c) / 1e6:.1f}" == mega


def test_reduction_makes_the_5x5_branch_of_3a_ten_times_cheaper():
    naive, reduced = InceptionNaive(192, 64, 128, 32), Inception(192, *TABLE_1["inception3a"], norm=False)
    assert macs(naive.branch3, 28, 28, 192) == 120_422_400
    assert macs(reduced.branch3, 28, 28, 192) == 12_443_648
    assert macs(naive, 28, 28, 192) > 2 * macs(reduced, 28, 28, 192)


def test_1x1_convolution_of_the_tutorial():
    conv = Conv2d(128, 32, 1)
    assert parameters(conv) == 4_128 and macs(conv, 64, 64, 128) == 16_777_216


def test_densenet_has_fewer_than_half_of_the_parameters_of_resnet():
    share = parameters(architectures.create("densenet201")) / parameters(architectures.create("resnet101"))
    assert f"{share:.2f}" == "0.45"


@pytest.mark.parametrize("name", [*architectures.names(), "densenet_bc_22_12"])
def test_least_image_size_is_the_least(name):
    variant = registry.find(name)

    def run(size):
        net, _ = registry.build(name, variant, 10, 1, (size, size), {})
        with mg.use_kernels(VirtualKernels()), mg.no_grad():
            y = net(mg.Tensor(virtual((2, size, size, 1), np.float32)))
        assert (y.logits if isinstance(y, tuple) else y).shape == (2, 10)

    run(variant.least)
    if variant.least > 1:
        with pytest.raises(ValueError):
            run(variant.least - 1)
        with pytest.raises(ValueError, match=f"at least {variant.least}x{variant.least}; got 300x{variant.least - 1}"):
            architectures.create(name, image_size=(300, variant.least - 1))
