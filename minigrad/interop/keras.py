"""Keras' .h5 files, with h5py (`pip install minigrad[keras]`). Files that HDF5 can link to are not opened."""

import json
import os

from .contents import Contents
from .errors import MAX_HEADER, WeightsError, check_count, check_unpacked

DEPTH = 8  # groups within groups


def read(path):
    """Contents of a Keras model or its weights: arrays named layer/kernel, layer/gamma and so on.

    facts["layers"]: the layers of the model's configuration, where the file has one.
    """
    try:
        import h5py
    except ImportError:
        raise WeightsError(f"{path}: reading Keras files needs h5py: pip install 'minigrad[keras]'") from None
    try:
        with h5py.File(path, "r") as file:
            weights = file["model_weights"] if "model_weights" in file else file
            datasets = list(datasets_below(path, weights))
            check_unpacked(path, os.path.getsize(path), sum(d.nbytes for _, d in datasets))
            arrays = {short(name): dataset[()] for name, dataset in datasets}
            return Contents(str(path), arrays, "keras", {"layers": layers_of(path, file)})
    except (OSError, KeyError, RuntimeError) as error:
        raise WeightsError(f"{path}: damaged, or not an HDF5 file: {error}") from None


def datasets_below(path, group, prefix="", depth=0):
    """(name, dataset) of all arrays, following hard links only."""
    import h5py

    check_count(path, len(group))
    if depth > DEPTH:
        raise WeightsError(f"{path}: groups nested more than {DEPTH} deep")
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise WeightsError(f"{path}: refused: {prefix}{name} is a link to elsewhere")
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from datasets_below(path, item, f"{prefix}{name}/", depth + 1)
        elif item.external or item.is_virtual:
            raise WeightsError(f"{path}: refused: the numbers of {prefix}{name} are in another file")
        else:
            yield prefix + name, item


def short(name):
    """conv2d/conv2d/kernel:0 -> conv2d/kernel"""
    *_, layer, weight = ("", *name.split("/"))
    return f"{layer}/{weight.removesuffix(':0')}"


def layers_of(path, file):
    """[{"class", "name", "inputs", settings}] of the model's layers in the file's order; [] where it has none."""
    text = file.attrs.get("model_config")
    if text is None:
        return []
    text = text.decode() if isinstance(text, bytes) else text
    if len(text) > MAX_HEADER:
        raise WeightsError(f"{path}: refused: a configuration of {len(text):,} characters")
    try:
        layers = json.loads(text)["config"]["layers"]
        return [{"class": l["class_name"], "config": l["config"], "inputs": inputs(l)} for l in layers]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WeightsError(f"{path}: its model configuration can't be read ({type(error).__name__})") from None


def inputs(layer):
    """Names of the layers that feed a layer, as Keras 2 writes them."""
    nodes = layer.get("inbound_nodes") or [[]]
    return [entry[0] for entry in nodes[0] if isinstance(entry, list)] if isinstance(nodes[0], list) else []
