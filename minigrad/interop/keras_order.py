"""Keras models whose layers have automatic names (conv2d, conv2d_1, ...): matched by order, and checked by the graph.

Convolutions are taken in the order in which the model was built, and so are those of the net here; dense layers
likewise. Batch norms are matched by the convolution that they follow, in both nets. One that only the net here has
becomes the identity, which adds the convolution's bias.
"""

import re

import numpy as np

from ..nn import Conv2d, Linear
from .errors import WeightsError
from .styles import KERAS_WEIGHTS as WEIGHTS

KINDS = {"Conv2D": "conv", "DepthwiseConv2D": "conv", "Dense": "linear"}
AUTOMATIC = re.compile(r"(conv2d|depthwise_conv2d|batch_normalization|dense)(_\d+)?")


def applies(contents):
    """Is this a Keras model with its configuration and with automatic names?"""
    layers = contents.facts.get("layers") or []
    named = [l["config"]["name"] for l in layers if l["class"] in (*KINDS, "BatchNormalization")]
    return bool(named) and all(AUTOMATIC.fullmatch(name) for name in named)


def options(contents):
    """What the configuration says that the net has to be like: eps, TensorFlow's padding, projections on shortcuts."""
    layers = contents.facts["layers"]
    eps = {l["config"]["epsilon"] for l in layers if l["class"] == "BatchNormalization"}
    if len(eps) > 1:
        raise WeightsError(f"{contents.path}: batch norms with different eps ({sorted(eps)}), which no net here has")
    convolutions = [l["config"] for l in layers if l["class"] == "Conv2D"]
    same = any(c["padding"] == "same" and max(c["strides"]) > 1 and max(c["kernel_size"]) > 1 for c in convolutions)
    adds = any(l["class"] == "Add" for l in layers)
    projections = adds and any(max(c["kernel_size"]) == 1 for c in convolutions)
    found = {"eps": eps.pop()} if eps else {}
    found |= {"padding": "same"} if same else {}
    return found | ({"shortcut": "B"} if projections else {})


def renamed(contents, net, convolution):
    """{name here: (name there, array)}. convolution: {running mean here: weight of the convolution before it}."""
    here = layers_here(contents, net, convolution)
    found = {}
    for name, array in contents.arrays.items():
        layer, _, weight = name.rpartition("/")
        found[f"{here.get(layer, layer)}.{WEIGHTS.get(weight, weight)}"] = name, array
    modules = dict(net.named_modules())
    for norm in absent_norms(here, convolution):
        found |= identity(found, norm, convolution[f"{norm}.running_mean"], modules[norm].eps)
    return found


def layers_here(contents, net, convolution):
    """{name of a layer there: name here}."""
    there, here = by_kind(contents), by_kind_here(net)
    for kind in ("conv", "linear"):
        if len(there[kind]) != len(here[kind]):
            raise WeightsError(
                f"{contents.path}: another net: {len(there[kind])} layers of kind {kind} there, {len(here[kind])} here"
            )
    found = {name: ours for kind in ("conv", "linear") for name, ours in zip(there[kind], here[kind])}
    after = {weight: mean.removesuffix(".running_mean") for mean, weight in convolution.items()}
    for layer in contents.facts["layers"]:
        if layer["class"] == "BatchNormalization":
            name, before = layer["config"]["name"], [found.get(i) for i in layer["inputs"]]
            ours = after.get(f"{before[0]}.weight") if len(before) == 1 else None
            if ours is None:
                raise WeightsError(f"{contents.path}: {name} follows {layer['inputs']} there, and no such layer here")
            found[name] = ours
    return found


def absent_norms(here, convolution):
    """Batch norms of this net that the file does not have."""
    return [n for mean in convolution if (n := mean.removesuffix(".running_mean")) not in here.values()]


def identity(found, norm, weight, eps):
    """A batch norm that changes nothing but adds the bias of the convolution before it."""
    there, bias = found.pop(f"{weight.removesuffix('weight')}bias", (None, None))
    if bias is None:
        return {}
    one = np.ones_like(bias)
    values = {"weight": one, "bias": bias, "running_mean": 0 * one, "running_var": one - np.float32(eps)}
    return {f"{norm}.{n}": (there, v) for n, v in values.items()}


def by_kind(contents):
    """{kind: [name]} of Keras' layers, in the order of their numbers."""
    found = {"conv": [], "linear": []}
    for layer in contents.facts["layers"]:
        if layer["class"] in KINDS:
            found[KINDS[layer["class"]]].append(layer["config"]["name"])
    number = re.compile(r"_(\d+)$")
    return {k: sorted(v, key=lambda n: int(m[1]) if (m := number.search(n)) else 0) for k, v in found.items()}


def by_kind_here(net):
    """{kind: [name]} of this net's layers, in the order of its modules."""
    kinds = {"conv": Conv2d, "linear": Linear}
    return {k: [name for name, m in net.named_modules() if isinstance(m, cls)] for k, cls in kinds.items()}
