"""One net, written for others."""

import json
import os
from contextlib import contextmanager
from pathlib import Path

from ..interop import WeightsError
from ..interop.loading import image_shape
from ..interop.onnx_writer import write_onnx
from ..interop.torch_writer import write_safetensors, write_torch
from ..predict import Classifier

FORMATS = {"onnx": ".onnx", "safetensors": ".safetensors", "torch": ".pth"}
WRITERS = {"safetensors": write_safetensors, "torch": write_torch}

UNSEEN = ("shortcut", "ceil_mode", "lrn")  # options that change what a net computes, not its weights


def export(net, path, to, fold=False, image_size=None):
    """Write a net to a file, with its classes' names and what it expects of its images.

    net    a Module or a Classifier
    to     "onnx": a graph of opset 18 for batches of any size, images (N, C, H, W) normalised; "safetensors" or
           "torch": the weights under torchvision's names in torch's layout, which load_state_dict takes
    fold   ONNX: batch norms become part of the convolutions before them
    image_size  of images, an int or (H, W); None: what the net was made for

    Returns path. WeightsError for another format, or an op that ONNX does not have.
    """
    if to not in FORMATS:
        raise WeightsError(f"export: to must be one of {', '.join(FORMATS)}; got {to!r}")
    if fold and to != "onnx":
        raise WeightsError(f"export: fold is for ONNX; {to} keeps batch norm under its names")
    classifier = (
        net if isinstance(net, Classifier) else Classifier(net, preprocessing=getattr(net, "preprocessing", None))
    )
    facts = facts_of(classifier)
    if to == "onnx":
        metadata = {name: value if isinstance(value, str) else json.dumps(value) for name, value in facts.items()}
        shape = image_shape(classifier.net, image_size)
        with replacing(path) as unfinished:
            write_onnx(classifier.net, unfinished, shape, metadata, fold)
    else:
        with replacing(path) as unfinished:
            WRITERS[to](classifier.net, unfinished, facts, image_size)
    return path


@contextmanager
def replacing(path):
    """The path to write to in this block; if it ends well, that file takes the place of `path`, else `path` stays."""
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():  # a device; or a directory, which can't be written to
        yield path
        return
    unfinished = target.with_name(target.name + ".tmp")
    try:
        yield unfinished
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


def facts_of(classifier):
    """What a file says beside the weights, as JSON can hold it: enough for minigrad.load to make the net again."""
    made, facts = getattr(classifier.net, "made", None), {}
    if made is not None:
        facts |= {"arch": made.name, "num_classes": made.num_classes, "in_channels": made.in_channels}
        facts |= {"image_size": list(made.image_size), "options": options_of(made)}
    if classifier.classes is not None:
        facts["classes"] = list(classifier.classes)
    if classifier.preprocessing is not None:
        facts["preprocessing"] = classifier.preprocessing.to_dict()
    return facts


def options_of(made):
    """The options that were given, and even where they were not those of UNSEEN."""
    return {**{name: made.settings[name] for name in UNSEEN if name in made.settings}, **made.options}
