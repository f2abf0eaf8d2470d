"""Who names what how: for each published kind of file the names of weights here, and what the net has to be like.

A style sees the names in a file and knows: which net (where the file fits one only), which options of the net the
arithmetic needs, the names, and, where it is known, what the images have to be like. Sources are those of
`minigrad.interop.zoo` and, for torchvision and timm, the packages themselves.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from . import caffe_names
from .caffe_names import renamer
from .errors import WeightsError
from .preprocessing import BVLC, BVLC_ALEXNET, CAFFE_RESNET, CIFAR_AKAMASTER, Preprocessing
from .renaming import has, substituted

NOTHING: Mapping = MappingProxyType({})


class Style(NamedTuple):
    """recognises(names) tells a file by its names; rename(name) gives the name here, or None for what is ignored.

    net           the one net that such a file is of, and the less exact names for it that are taken to mean it
    options       of architectures.create, without which the numbers would be wrong
    """

    name: str
    origin: str
    recognises: Callable
    rename: Callable
    net: tuple = ()
    options: Mapping = NOTHING
    preprocessing: Preprocessing | None = None


# torch: names are ours but for a few habits

WRAPPER = re.compile(r"^(module|_orig_mod|model|net)\.")
TORCH = substituted([
    (r"(^|\.)shortcut\.", r"\1downsample."),
    (r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2."),
    (r"^pre_logits\.fc1\.", "classifier.0."),  # timm's VGG
    (r"^pre_logits\.fc2\.", "classifier.3."),
    (r"^head\.fc\.", "classifier.6."),
])  # fmt: skip
LINEAR = substituted([(r"^linear\.", "fc."), (r"(^|\.)shortcut\.", r"\1downsample.")])


def one_up(match):
    return f"features.denseblock{match[1]}.denselayer{int(match[2]) + 1}.{match[3].replace('bn', 'norm')}"


DENSENET_CIFAR = substituted([
    (r"^block(\d)\.layer\.(\d+)\.((?:bn|conv)[12])", one_up),
    (r"^trans(\d)\.bn1", r"features.transition\1.norm"),
    (r"^trans(\d)\.conv1", r"features.transition\1.conv"),
    (r"^conv1\.", "features.conv0."),
    (r"^bn1\.", "features.norm5."),
    (r"^fc\.", "classifier."),
])  # fmt: skip

# Keras' ResNet-50 under the names of Caffe's

KERAS_WEIGHTS = {
    "kernel": "weight", "bias": "bias", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
    "moving_variance": "running_var", "depthwise_kernel": "weight",
}  # fmt: skip


def keras_resnet50(name):
    layer, _, weight = name.rpartition("/")
    return f"{caffe_names.resnet_layer(layer)}.{KERAS_WEIGHTS.get(weight, weight)}"


RESNET50 = ("resnet50_v1", "resnet50")
GOOGLENET = ("googlenet_paper", "googlenet")


def caffe_resnet(depth, mark, lacks):
    """The Style of He's own ResNet of that depth; mark: a block that it has, lacks: one that it doesn't."""
    net, rename = f"resnet{depth}", renamer(caffe_names.resnet_layer)
    recognises = has(r"^res2a_branch1/", mark, lacks=lacks)
    return Style(f"Caffe's ResNet-{depth}", "caffe", recognises, rename, (f"{net}_v1", net), NOTHING, CAFFE_RESNET)


def caffe_vgg(depth, mark, lacks, groups):
    """The Style of the VGG of that depth with so many convolutions in its groups; mark, lacks: of its names."""
    rename = renamer(caffe_names.vgg_layers(*groups))
    net = f"vgg{depth}", "vgg"
    return Style(f"Caffe's VGG-{depth}", "caffe", has(mark, r"^fc6/", lacks=lacks), rename, net, NOTHING, CAFFE_RESNET)


STYLES = (
    Style(
        "DenseNets for CIFAR", "torch", has(r"^block1\.layer\.0\."), DENSENET_CIFAR
    ),
    Style("ResNets for CIFAR", "torch", has(r"^linear\.", r"^layer1\.0\."), LINEAR, preprocessing=CIFAR_AKAMASTER),
    Style("torchvision's names", "torch", lambda names: True, TORCH),
    Style(
        "Keras' ResNet-50", "keras", has(r"^res2a_branch1/"), keras_resnet50, RESNET50, {"eps": 1e-3}, CAFFE_RESNET
    ),
    Style(
        "BVLC's GoogLeNet", "caffe", has(r"^inception_3a/1x1/"), renamer(caffe_names.googlenet_layer), GOOGLENET,
        {"aux_logits": False}, BVLC,
    ),
    *map(caffe_resnet, (50, 101, 152), (r"^res4f_", r"^res4b22_", r"^res4b35_"), (None, r"^res4b35_", None)),
    *map(caffe_vgg, (16, 19), (r"^conv5_3/", r"^conv5_4/"), (r"^conv5_4/", None), ((2, 2, 3, 3, 3), (2, 2, 4, 4, 4))),
    Style(
        "BVLC's AlexNet and CaffeNet", "caffe", has(r"^conv1/", r"^conv5/", r"^fc6/", r"^fc8/", lacks="^conv6/"),
        renamer(caffe_names.alexnet_layer), ("alexnet_paper", "alexnet"), NOTHING, BVLC_ALEXNET,
    ),
    Style("minigrad's names", "minigrad", lambda names: True, lambda name: name),
)  # fmt: skip


def unwrapped(names):
    """{name: the same without module., _orig_mod. and the like}, where every name begins so.

    n_averaged, which torch's AveragedModel counts in, is left out.
    """
    short = {name: name for name in names if name != "n_averaged"}
    while short and all(WRAPPER.match(s) for s in short.values()):
        short = {name: WRAPPER.sub("", s) for name, s in short.items()}
    return short


def recognised(contents):
    """The Style of a file of known origin. WeightsError if there is none."""
    names = list(unwrapped(contents.arrays).values())
    for style in STYLES:
        if style.origin == contents.origin and style.recognises(names):
            return style
    known = ", ".join(s.name for s in STYLES if s.origin == contents.origin)
    raise WeightsError(
        f"{contents.path}: from {contents.origin}, but its names ({', '.join(names[:3])}, ...) are not known ones; "
        f"known: {known}"
    )


def renamed(style, contents):
    """{name here: (name there, array)}. num_batches_tracked, which nothing here needs, is left out."""
    found = {}
    for name, short in unwrapped(contents.arrays).items():
        if short.endswith("num_batches_tracked"):
            continue
        here = style.rename(short)
        if here in found:
            raise WeightsError(f"{contents.path}: {name} and {found[here][0]} would both be {here}")
        found[here] = name, contents.arrays[name]
    return found
