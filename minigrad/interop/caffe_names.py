"""What Caffe's published nets call their layers, and what such a file says that the net here has to be like.

Names are layer/filter and layer/bias, of batch norms layer/mean and layer/variance, and of the layers of scales behind
them, which are one with them here, layer/gamma and layer/beta.
"""

from .errors import WeightsError
from .renaming import substituted

WEIGHTS = {
    "filter": "weight", "gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var",
}  # fmt: skip


def renamer(layer_here):
    """rename(name) for a function from a layer's name there to that here."""

    def rename(name):
        layer, _, weight = name.rpartition("/")
        return f"{layer_here(layer)}.{WEIGHTS.get(weight, weight)}"

    return rename


# GoogLeNet

BRANCHES = {
    "1x1": "branch1", "3x3_reduce": "branch2.0", "3x3": "branch2.1", "5x5_reduce": "branch3.0", "5x5": "branch3.1",
    "pool_proj": "branch4.1",
}  # fmt: skip
LAYERS = {
    "conv1/7x7_s2": "conv1.conv", "conv2/3x3_reduce": "conv2.conv", "conv2/3x3": "conv3.conv",
    "loss3/classifier": "fc", "loss1/conv": "aux1.conv.conv", "loss1/fc": "aux1.fc1", "loss1/classifier": "aux1.fc2",
    "loss2/conv": "aux2.conv.conv", "loss2/fc": "aux2.fc1", "loss2/classifier": "aux2.fc2",
}  # fmt: skip


def googlenet_layer(layer):
    module, _, branch = layer.partition("/")
    if layer not in LAYERS and branch in BRANCHES:
        return f"{module.replace('_', '')}.{BRANCHES[branch]}.conv"
    return LAYERS.get(layer, layer)


# ResNets: res3a, res3b, ... or, where a stage is long, res4a, res4b1, res4b2, ...

HALVES = {"res": "conv", "bn": "bn", "scale": "bn"}


def block(match):
    """res3b -> layer2.1, res4b22 -> layer3.22"""
    number = int(match[4]) if match[4] else ord(match[3]) - ord("a")
    return f"layer{int(match[2]) - 1}.{number}"


resnet_layer = substituted([
    (r"^(res|bn|scale)(\d)([a-z])(\d*)_branch1$", lambda m: f"{block(m)}.downsample.{int(m[1] != 'res')}"),
    (
        r"^(res|bn|scale)(\d)([a-z])(\d*)_branch2([abc])$",
        lambda m: f"{block(m)}.{HALVES[m[1]]}{'abc'.index(m[5]) + 1}",
    ),
    (r"^(bn|scale)_conv1$", "bn1"),
    (r"^fc1000$", "fc"),
])  # fmt: skip

# VGG: conv3_2 is the second convolution of the third group

VGG_FULL = {"fc6": "classifier.0", "fc7": "classifier.3", "fc8": "classifier.6"}


def vgg_layers(*groups):
    """layer_here of a VGG with so many convolutions in its groups: each is followed by a ReLU, each group by a pool."""
    found, index = dict(VGG_FULL), 0
    for g, count in enumerate(groups, 1):
        found |= {f"conv{g}_{i + 1}": f"features.{index + 2 * i}" for i in range(count)}
        index += 2 * count + 1
    return lambda layer: found.get(layer, layer)


# AlexNet


def alexnet_layer(layer):
    return f"{'classifier' if layer.startswith('fc') else 'features'}.{layer}"


# Options


def options(contents):
    """What the layers in a .caffemodel say that the net has to be like; raw blobs say nothing but their names."""
    names, found = contents.arrays, {}
    if "loss1/fc/filter" in names:
        found["aux_logits"] = True
    if "res2a_branch1/filter" in names:
        found["ceil_mode"] = rounds_up(contents)
    if "fc6/filter" in names:  # AlexNet, VGG
        found["ceil_mode"] = True
    if "conv5/filter" in names:
        found["lrn"] = "pooled" if follows(contents, "norm1", "pool1") else "channels"
    eps = set(contents.facts.get("eps", {}).values())
    if len(eps) > 1:
        raise WeightsError(f"{contents.path}: batch norms with different eps ({sorted(eps)}), which no net here has")
    return found | ({"eps": eps.pop()} if eps - {1e-5} else {})


def rounds_up(contents):
    """Is the first pool of a ResNet Caffe's own, without padding and rounding up? Else it is as torchvision's.

    WeightsError for a pool that is neither, and for the stride in the 3x3, as these names mean the paper's net.
    """
    if contents.facts.get("strides", {}).get("res3a_branch2b", 1) != 1:
        raise WeightsError(f"{contents.path}: the names of Caffe's ResNet, but the stride is in the 3x3: not known")
    pad, up = contents.facts.get("pools", {}).get("pool1", (0, True))
    if (pad, up) not in ((0, True), (1, False)):
        way = "up" if up else "down"
        raise WeightsError(f"{contents.path}: its pool1 pads by {pad} and rounds {way}, which no net here does")
    return up


def follows(contents, second, first):
    layers = contents.facts.get("layers", ())
    return first in layers and second in layers and layers.index(second) > layers.index(first)
