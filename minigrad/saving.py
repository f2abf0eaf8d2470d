"""Whole checkpoints in one safetensors file: dicts, lists and tuples of tensors, arrays, numbers and text. No pickle.

The arrays lie under their dotted path, so that a state dict is a plain safetensors file for everybody else. What is
around them is JSON in the file's metadata. Reading a file runs nothing that is in it.
"""

import json
import os
import pathlib

import numpy as np

from .device import CPU, get_device
from .precision import bfloat16
from .tensor import Tensor

KEY = "minigrad.structure"


def save(obj, path):
    """Write obj to path: nested dicts, lists and tuples of tensors, arrays, numbers, text, booleans and None.

    The file is complete or is not there. TypeError for anything else in obj, naming where it stands.
    """
    from safetensors.numpy import save_file

    arrays = {}
    structure = described(obj, "", arrays)
    target = pathlib.Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        save_file(arrays, partial, metadata={KEY: json.dumps(structure)})
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def described(value, place, arrays):
    """value as JSON, with [kind, ...] for all that JSON has not; its arrays go into `arrays`."""
    if isinstance(value, Tensor | np.ndarray) or hasattr(value, "strides"):
        return kept(value, place, arrays)
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str | int | float | bool | None):
                raise TypeError(f"save: keys must be text or numbers; {place or 'obj'} has {key!r}")
        return ["dict", [[k, described(v, f"{place}.{k}" if place else str(k), arrays)] for k, v in value.items()]]
    if isinstance(value, list | tuple):
        items = [described(v, f"{place}.{i}" if place else str(i), arrays) for i, v in enumerate(value)]
        return ["tuple" if isinstance(value, tuple) else "list", items]
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, str | int | float | bool | None):
        raise TypeError(f"save: {place or 'obj'} is {type(value).__name__}; a module is saved by its state_dict()")
    return value


def kept(value, place, arrays):
    """["tensor" or "array", its name in the file, its type where the file has none for it]"""
    kind = "tensor" if isinstance(value, Tensor) else "array"
    array = np.asarray(CPU.asarray(value.data if isinstance(value, Tensor) else value), order="C")
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise TypeError(f"save: {place or 'obj'} is an array of {array.dtype}; only numbers and booleans can be saved")
    name = place or "value"
    while name in arrays:
        name += "'"
    low = array.dtype.name == "bfloat16"
    arrays[name] = array.view(np.uint16) if low else array.astype(array.dtype.newbyteorder("="), copy=False)
    return [kind, name, "bfloat16"] if low else [kind, name]


def wrote(path):
    """Is this a file that save wrote?"""
    from safetensors import SafetensorError, safe_open

    if not pathlib.Path(path).is_file():  # a pipe, say, whose opening might never end
        return False
    try:
        with safe_open(path, framework="numpy") as file:
            return KEY in (file.metadata() or {})
    except (OSError, SafetensorError):
        return False


def load(path, map_location="cpu"):
    """What save wrote; of any other safetensors file {name: array}. map_location: the device that the arrays go to.

    FileNotFoundError without the file; ValueError for a file that is not of this format, or is cut short.
    """
    from safetensors import SafetensorError, safe_open

    device = get_device(map_location)
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(f"load: there is no file {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            structure = (file.metadata() or {}).get(KEY)
            arrays = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as e:
        raise ValueError(f"load: {path} is no safetensors file, or is cut short ({e})") from None
    if structure is None:
        return {name: device.asarray(array) for name, array in arrays.items()}
    try:
        return restored(json.loads(structure), arrays, device)
    except (KeyError, ValueError, TypeError, IndexError, RecursionError) as e:
        raise ValueError(f"load: the structure in {path} does not fit its arrays ({e})") from None


def restored(value, arrays, device):
    """described, the other way."""
    if not isinstance(value, list):
        return value
    kind, content, *low = value
    if kind == "dict":
        return {k: restored(v, arrays, device) for k, v in content}
    if kind in ("list", "tuple"):
        items = [restored(v, arrays, device) for v in content]
        return tuple(items) if kind == "tuple" else items
    array = device.asarray(arrays[content].view(bfloat16()) if low else arrays[content])
    return Tensor(array) if kind == "tensor" else array
