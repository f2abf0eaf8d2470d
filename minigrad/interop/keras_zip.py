"""Keras 3's .keras files: a zip archive with the model's configuration, and its weights as HDF5.

The weights have numbers in the place of names (layers/conv2d/vars/0), and the group of a layer has its name as an
attribute: what a number means is in the configuration. Nothing of the model is built, so that no code in it can run.
"""

import io
import os
import zipfile

from .contents import Contents
from .errors import MAX_HEADER, WeightsError, check_unpacked
from .keras import arrays_in, hard, layers_of, opened, with_depthwise
from .zips import bytes_of
from .zips import opened as archive_of

CONFIG, WEIGHTS = "config.json", "model.weights.h5"


def read(path):
    """Contents of a .keras file, as `keras.read` gives those of an .h5 file."""
    try:
        with archive_of(path) as archive:
            layers = layers_of(path, entry(path, archive, CONFIG, MAX_HEADER))
            data = entry(path, archive, WEIGHTS)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise WeightsError(f"{path}: damaged: {error}") from None
    with opened(path, io.BytesIO(data)) as file:
        arrays = named(path, file, {layer["config"]["name"]: layer for layer in layers})
    return Contents(str(path), with_depthwise(arrays, layers), "keras", {"layers": layers})


def entry(path, archive, name, most=None):
    """The bytes of an entry. WeightsError if there is none, or one that is far larger than the archive."""
    if name not in archive.namelist():
        raise WeightsError(f"{path}: a .keras archive without {name}")
    found = archive.getinfo(name)
    check_unpacked(path, os.path.getsize(path), found.file_size)
    if most is not None and found.file_size > most:
        raise WeightsError(f"{path}: refused: {name} of {found.file_size:,} bytes")
    return bytes_of(archive, found)


def named(path, file, layers):
    """{layer/weight: array} of the weights in `layers`, whose configurations these are by name."""
    if "layers" not in file.keys():
        raise WeightsError(f"{path}: its weights are not laid out as Keras 3 does; save it anew with Keras 3")
    group, found = hard(path, file, "layers"), {}
    for place, array in arrays_in(path, group).items():  # which has looked for links, and for how much there is
        key, *between, number = place.split("/")
        if between == ["vars"]:
            layer = layer_of(path, group[key], key, layers)
            found[f"{layer['config']['name']}/{weight(layer, number)}"] = array
        elif "seed_generator" not in between:
            raise WeightsError(f"{path}: {place}: a model within a model, which is not read")
    return found


def layer_of(path, group, key, layers):
    """The configuration of the layer whose weights lie in a group."""
    name = group["vars"].attrs.get("name", key)
    if not isinstance(name, str) or name not in layers:
        raise WeightsError(f"{path}: the weights in {key!r} belong to no layer of its configuration")
    return layers[name]


def weight(layer, number):
    """What the number of one of a layer's weights means; the number where that is not known."""
    settings, known = layer["config"], ["kernel", "bias"]
    if layer["class"] == "BatchNormalization":
        known = [n for n, wanted in (("gamma", "scale"), ("beta", "center")) if settings.get(wanted, True)]
        known += ["moving_mean", "moving_variance"]
    elif layer["class"] not in ("Conv2D", "Dense", "DepthwiseConv2D"):
        known = []
    return known[int(number)] if number.isdigit() and int(number) < len(known) else number
