"""Keras' .h5 files, with h5py (`pip install minigrad[keras]`). Files that HDF5 can link to are not opened."""

import itertools
import json
import os
from contextlib import contextmanager

from .contents import NUMBERS, Contents
from .errors import MAX_HEADER, WeightsError, check_count, check_unpacked

DEPTH = 8  # groups within groups


def read(path):
    """Contents of a Keras model or its weights: arrays named layer/kernel, layer/gamma and so on.

    facts["layers"]: the layers of the model's configuration, where the file has one.
    """
    with opened(path, path) as file:
        if file.get("layers", getlink=True) is not None:
            raise WeightsError(
                f"{path}: Keras 3's weights without their model, which alone tells what they are: "
                "model.save('name.keras') has both"
            )
        layers = layers_of(path, file.attrs.get("model_config"))
        arrays = {short(name): array for name, array in arrays_in(path, weights_of(path, file)).items()}
        return Contents(str(path), with_depthwise(arrays, layers), "keras", {"layers": layers})


@contextmanager
def opened(path, source):
    """An HDF5 file in a path or a binary stream. WeightsError, naming path, without h5py or where it is damaged."""
    try:
        import h5py
    except ImportError:
        raise WeightsError(f"{path}: reading Keras files needs h5py: pip install 'minigrad[keras]'") from None
    try:
        with h5py.File(source, "r") as file:
            yield file
    except (OSError, KeyError, RuntimeError) as error:
        raise WeightsError(f"{path}: damaged, or not an HDF5 file: {error}") from None


def weights_of(path, file):
    """The group of a whole model's weights, else the file itself."""
    return hard(path, file, "model_weights") if "model_weights" in file.keys() else file


def hard(path, group, name):
    """What lies in a group under this name. WeightsError if it is a link, which is not followed."""
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise WeightsError(f"{path}: refused: {group.name.rstrip('/')}/{name} is a link to elsewhere")
    return group[name]


def arrays_in(path, group):
    """{path within the group: array} of all that is in it. WeightsError if they would be far larger than the file."""
    datasets = list(datasets_below(path, group))
    check_unpacked(path, os.path.getsize(path), sum(dataset.nbytes for _, dataset in datasets))
    return {name: dataset[()] for name, dataset in datasets}


def datasets_below(path, group, prefix="", depth=0):
    """(name, dataset) of all arrays, following hard links only."""
    import h5py

    check_count(path, len(group))
    if depth > DEPTH:
        raise WeightsError(f"{path}: groups nested more than {DEPTH} deep")
    for name in group:
        item = hard(path, group, name)
        if isinstance(item, h5py.Group):
            yield from datasets_below(path, item, f"{prefix}{name}/", depth + 1)
        elif item.external or item.is_virtual:
            raise WeightsError(f"{path}: refused: the numbers of {prefix}{name} are in another file")
        elif item.dtype.kind not in NUMBERS:
            raise WeightsError(f"{path}: {prefix}{name} holds {item.dtype} values; weights are real numbers")
        else:
            yield prefix + name, item


def short(name):
    """conv2d/conv2d/kernel:0 -> conv2d/kernel"""
    *_, layer, weight = ("", *name.split("/"))
    return f"{layer}/{weight.removesuffix(':0')}"


def with_depthwise(arrays, layers):
    """The arrays, depthwise filters under the name that Keras 2 gives them: their axes mean something else."""
    depthwise = tuple(f"{l['config']['name']}/kernel" for l in layers if l["class"] == "DepthwiseConv2D")
    return {n.replace("/kernel", "/depthwise_kernel") if n in depthwise else n: a for n, a in arrays.items()}


def layers_of(path, text):
    """[{"class", "config", "inputs"}] of the layers of a model's configuration, JSON, in its order; [] of None."""
    if text is None:
        return []
    text = text.decode() if isinstance(text, bytes) else text
    if len(text) > MAX_HEADER:
        raise WeightsError(f"{path}: refused: a configuration of {len(text):,} characters")
    try:
        model = json.loads(text)
        layers = [described(layer) for layer in model["config"]["layers"]]
        if model["class_name"] == "Sequential":
            for before, layer in itertools.pairwise(layers):
                layer["inputs"] = [before["config"]["name"]]
        return layers
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path}: its model configuration can't be read ({type(error).__name__})") from None


def described(layer):
    """A layer of a configuration. TypeError, KeyError, AttributeError for what is none."""
    config = {**layer["config"], "name": str(layer["config"]["name"])}
    return {"class": layer["class_name"], "config": config, "inputs": inputs(layer)}


def inputs(layer):
    """Names of the layers that feed a layer, as Keras 2 and Keras 3 write them."""
    nodes = layer.get("inbound_nodes") or [[]]
    if isinstance(nodes[0], list):
        return [entry[0] for entry in nodes[0] if isinstance(entry, list)]
    return list(histories(nodes[0]["args"]))


def histories(value):
    """The layers' names in Keras 3's descriptions of tensors, however nested."""
    if isinstance(value, list):
        for item in value:
            yield from histories(item)
    elif isinstance(value, dict) and "keras_history" in value.get("config", {}):
        yield value["config"]["keras_history"][0]
