"""A checkpoint: one safetensors file that holds the arrays and, as JSON in its header, everything else.

One file is replaced in one step, so that a run killed at any moment leaves the old checkpoint or the new one. A digest
over all of it tells a damaged file. Any safetensors reader can open it.
"""

import hashlib
import json
import os
from pathlib import Path

import numpy as np

LAST, BEST = "last.safetensors", "best.safetensors"


class CheckpointError(Exception):
    """A file that is no checkpoint, or a damaged one."""


def digest(arrays, text):
    """SHA-256 over names, types, shapes and bytes of the arrays, and over the text."""
    sha = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        sha.update(f"{name} {array.dtype.str} {array.shape}".encode())
        sha.update(array.reshape(-1).view(np.uint8))
    return sha.hexdigest()


def save(paths, arrays, facts):
    """Write arrays {name: array} and facts (what JSON can hold) to each of these paths, each in one step."""
    from safetensors.numpy import save as to_bytes

    # not ascontiguousarray, which makes 0-d arrays 1-d; some versions of safetensors write other layouts wrongly
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    text = json.dumps(facts)
    data = to_bytes(arrays, metadata={"minigrad": text, "sha256": digest(arrays, text)})
    for path in paths:
        write_atomically(path, data)


def write_atomically(path, data):
    """Bytes into a file that is either the old one or wholly the new one, even if the machine stops meanwhile."""
    path = Path(path)
    unfinished = path.with_name(path.name + ".tmp")
    with open(unfinished, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)


def load(path):
    """(arrays, facts) of a checkpoint. CheckpointError, saying what to try, for one that is missing or damaged."""
    path = located(path)
    try:
        return read(path)
    except CheckpointError as error:
        raise CheckpointError(f"{error}{alternative(path)}") from error


def located(path):
    """The file meant by a run's directory (its last checkpoint) or by a file."""
    path = Path(path)
    path = path / LAST if path.is_dir() else path
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint{alternative(path)}")
    return path


def read(path):
    """(arrays, facts) of this file. CheckpointError if it is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged, or not a checkpoint: {error}") from error
    if not {"minigrad", "sha256"} <= metadata.keys():
        raise CheckpointError(f"{path}: a safetensors file, but not a checkpoint of a training run")
    if digest(arrays, metadata["minigrad"]) != metadata["sha256"]:
        raise CheckpointError(f"{path}: damaged: its contents don't match their digest")
    return arrays, json.loads(metadata["minigrad"])


def alternative(path):
    """'; ... is intact', if the other checkpoint of the same run can take this one's place."""
    other = path.with_name(BEST if path.name == LAST else LAST)
    try:
        read(other)
    except CheckpointError:
        return ""
    return f"; {other} is intact: try --resume {other}"
