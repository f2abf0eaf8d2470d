""".safetensors files: the library checks the format, this file the limits and the types."""

import json
import os
import struct

import numpy as np

from .contents import Contents
from .errors import MAX_HEADER, WeightsError, check_count

DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip
FORMATS = {"pt": "torch", "keras": "keras"}  # what writers put under "format"


def read(path):
    """Contents of a safetensors file. bfloat16 becomes float32; 8-bit floats are refused."""
    from safetensors import SafetensorError, deserialize

    metadata = header(path).get("__metadata__", {})
    with open(path, "rb") as file:
        data = file.read()
    try:
        entries = deserialize(data)
    except SafetensorError as error:
        raise WeightsError(f"{path}: damaged, or not a safetensors file: {error}") from None
    arrays = {name: array_of(path, name, entry) for name, entry in entries}
    if "minigrad" in metadata:  # a checkpoint of the train command
        return Contents(str(path), weights_of(arrays), "minigrad", {"metadata": metadata})
    return Contents(str(path), arrays, FORMATS.get(metadata.get("format")), {"metadata": metadata})


def weights_of(arrays):
    """A checkpoint's weights: the model's, or their average where the run kept one."""
    parts = [{n.removeprefix(p): a for n, a in arrays.items() if n.startswith(p)} for p in ("model.", "average.")]
    return {**parts[0], **parts[1]}


def header(path):
    """The JSON at the file's beginning, after a look at how long it claims to be."""
    with open(path, "rb") as file:
        first = file.read(8)
        length = struct.unpack("<Q", first)[0] if len(first) == 8 else 0
        if length > min(MAX_HEADER, os.path.getsize(path) - 8):
            raise WeightsError(f"{path}: refused: a header of {length:,} bytes")
        try:
            found = json.loads(file.read(length))
        except (ValueError, RecursionError) as error:
            raise WeightsError(f"{path}: damaged, or not a safetensors file: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("__metadata__", {}), dict):
        raise WeightsError(f"{path}: damaged, or not a safetensors file: its header is no object")
    check_count(path, len(found))
    return found


def array_of(path, name, entry):
    kind = entry["dtype"]
    if kind not in DTYPES:
        raise WeightsError(f"{path}: {name} has type {kind}, which is not supported (quantised weights?)")
    array = np.frombuffer(entry["data"], DTYPES[kind]).reshape(entry["shape"])
    return (array.astype("<u4") << 16).view("<f4") if kind == "BF16" else array
