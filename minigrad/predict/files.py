"""From a file to a Classifier: a run of the train command, an exported net, or published weights."""

import json
import os
from pathlib import Path

import architectures
from architectures import registry
from architectures.pretrained import filled

from ..data.catalog import KINDS
from ..interop import Preprocessing, WeightsError, fetching, onnx, read
from ..interop.loading import recognise
from ..interop.zoo import DATA, known
from . import imagenet
from .checkpoints import believing, described, within
from .classifier import Classifier

BEST, LAST = "best.safetensors", "last.safetensors"


def load(path, arch=None, preprocessing=None, classes=None, **options):
    """A net with the weights in a file, ready for inference: a Classifier in evaluation mode.

    path     a run's directory (its best checkpoint) or one of its checkpoints; a net that `minigrad.export` wrote, or
             any other ONNX file; or published weights (torch's, Keras', Caffe's), for which arch says of which net
    arch     a name for architectures.create; not needed where the file tells
    preprocessing, classes   instead of what the file tells
    options  of architectures.create, such as num_classes, origin, strict

    WeightsError, in one line, for a file that is missing, refused or does not fit.
    """
    path = located(fetching.located(path))
    if path.suffix.lower() == ".onnx":
        return of_graph(path, preprocessing, classes, {"arch": arch, **options})
    facts = facts_of(path)
    if facts is not None and "arch" in facts and arch is None:
        found = of_facts(path, facts, options)
    else:
        found = of_weights(path, arch, options)
    return Classifier(found.net, classes or found.classes, preprocessing or found.preprocessing)


def located(path):
    """A run's best checkpoint, else its last; a file as it is. WeightsError where there is none."""
    path = Path(path)
    if path.is_file():
        return path
    if not path.is_dir():
        what = "not a regular file" if os.path.exists(path) else "no such file"
        raise WeightsError(f"{path}: {what}")
    for name in (BEST, LAST):
        if (path / name).is_file():
            return path / name
    raise WeightsError(f"{path}: no checkpoint in it ({BEST} or {LAST})")


def facts_of(path):
    """What a file of minigrad's own says of its net; None for other files."""
    contents = read(path)
    text = contents.facts.get("metadata", {}).get("minigrad")
    with believing(path):
        found = contents.net_facts() if text is None else described(path, json.loads(text))
        return within(path, found, contents.arrays) if found and "arch" in found else found


def of_graph(path, preprocessing, classes, others):
    """The Classifier of an ONNX file, with the names and the preprocessing that minigrad.export wrote into it."""
    if given := [name for name, value in others.items() if value is not None]:
        raise WeightsError(f"{path}: {given[0]} has no effect with an ONNX file, which holds the net itself")
    net = onnx.load(path)
    usual = imagenet.names() if net.sizes()[0] == 1000 else None
    with believing(path):
        told = {name: json.loads(net.metadata[name]) for name in ("classes", "preprocessing") if name in net.metadata}
        wanted = Preprocessing(**told["preprocessing"]) if "preprocessing" in told else None
    return Classifier(net, classes or told.get("classes") or usual, preprocessing or wanted)


def of_weights(path, arch, options):
    row = known(path)
    arch = arch or (row.net if row else None)
    if arch is None:
        raise WeightsError(f"{path}: does not say of which net it is: give arch, one of architectures.names()")
    net = architectures.create(arch, weights=path, **options)
    return Classifier(net, usual_classes(net, row), net.preprocessing)


def usual_classes(net, row=None):
    """The names of the data set that the file of a row was trained on; ImageNet's for 1000 classes; None for others."""
    names = getattr(KINDS.get(row and DATA.get(row.published.data)), "classes", None) or ()
    if len(names) == net.made.num_classes:
        return names
    return imagenet.names() if net.made.num_classes == 1000 else None


def of_facts(path, facts, options):
    """The Classifier that a checkpoint of the train command or an exported file describes."""
    settings = {k: facts[k] for k in ("num_classes", "image_size", "in_channels")}
    with believing(path):
        sketch = registry.outline(facts["arch"], **{**settings, **facts.get("options", {}), **options})
        wanted = facts.get("preprocessing")
        wanted = Preprocessing(**wanted) if wanted else None
    net = filled(sketch, recognise(path))
    return Classifier(net, facts.get("classes"), wanted)
