"""AlexNet's two towers in two processes, as it was trained on two GPUs (Krizhevsky et al. 2012, figure 2).

    group = distributed.init_process_group()                       # mpiexec -n 2 python FILE.py
    net = towers.split(architectures.create("alexnet_paper"), group)

Each process holds a half of the filters of every layer but the last, and computes all images. Convolutions 2, 4 and 5
and the normalisations see the own maps alone; before convolution 3 and the fully-connected layers the processes
exchange theirs, and in the backward pass add up what both know of their gradients. The last layer, small beside the
others, is whole in both, which so compute the same loss. It is the net that one process computes, up to rounding.
"""

import numpy as np

from minigrad.distributed.exchange import GatherChannels
from minigrad.nn import Conv2d, Linear, Parameter, ReLU, Sequential

from .alexnet import TowerNorm

TOWERS = 2


def split(net, group):
    """Leave in a net of two towers those filters that are this process's; the net itself, which is changed.

    net: `architectures.create("alexnet_paper")`, or another that its functions assemble with towers; it must have the
    same weights in both processes. group: a Group of two processes, or of one, which computes both towers.
    ValueError for another net, and for another number of processes.
    """
    check(net, group)
    if group.size == 1:
        return net
    features, classifier = {}, {}
    for i, (name, layer) in enumerate(net.features.named_children()):
        if isinstance(layer, Conv2d) and layer.groups == 1 and i > 0:
            features[f"exchange_{name}"] = GatherChannels(group)
        features[name] = own_part(layer, group)
    for name, layer in net.classifier.named_children():
        classifier[name] = layer if name == last_of(net, Linear) else own_part(layer, group)
        if isinstance(layer, ReLU):  # before dropout, which so drops the same in both
            classifier[f"exchange_{name}"] = GatherChannels(group, shared=name == last_of(net, ReLU))
    net.features, net.classifier = Sequential(features), Sequential(classifier)
    net.features.exchange_last = GatherChannels(group)
    return net


def last_of(net, kind):
    """The name of the last layer of a kind in the classifier."""
    return [name for name, layer in net.classifier.named_children() if isinstance(layer, kind)][-1]


def check(net, group):
    """ValueError for what has no two towers, or no two processes."""
    norms = [layer for layer in net.modules() if isinstance(layer, TowerNorm)]
    if not norms or {norm.towers for norm in norms} != {TOWERS}:
        name = getattr(getattr(net, "made", None), "name", type(net).__name__)
        raise ValueError(f"towers.split: net must have two towers, as alexnet_paper; got {name}")
    if group.size not in (1, TOWERS):
        raise ValueError(f"towers.split: the towers are for {TOWERS} processes, or one; there are {group.size}")


def own_part(layer, group):
    """A layer with this process's filters, which see what is left of its input; one without filters as it is."""
    if isinstance(layer, TowerNorm):
        return TowerNorm(1)
    if isinstance(layer, Conv2d):
        layer.in_channels, layer.groups = layer.in_channels // layer.groups, 1
        layer.out_channels //= group.size
    if isinstance(layer, Linear):
        layer.out_features //= group.size
    for name, whole in layer.named_parameters():
        rows = len(whole.data) // group.size
        part = whole.data[group.rank * rows : (group.rank + 1) * rows].copy()
        setattr(layer, name, Parameter(part, whole.requires_grad))
    return layer


def whole_state_dict(net, group):
    """The state_dict of the net as it was before it was split; both processes must call this, and both get it.

    A net that is not split loads it, as others load it from a file.
    """
    states = group.all_gather_object(net.state_dict())
    shared = f"classifier.{last_of(net, Linear)}."
    return {
        name: array if name.startswith(shared) or group.size == 1 else np.concatenate([s[name] for s in states])
        for name, array in states[0].items()
    }
