"""A checkpoint: one safetensors file that holds the arrays and, as JSON in its header, everything else.

One file is replaced in one step, so that a run killed at any moment leaves the old checkpoint or the new one. A digest
over all of it tells a damaged file. Any safetensors reader can open it. Which ones a run writes is keeper.py's matter.
"""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..command.errors import shortened
from ..command.files import write_atomically
from ..data import DataError
from ..data.foreign import open_regular

LAST, BEST = "last.safetensors", "best.safetensors"
PREVIOUS, NEXT = "previous.safetensors", "next.safetensors"  # before the last; the last while it is being put in place
DTYPES = frozenset(("F64", "F32", "F16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"))
LONGEST_HEADER = 100_000_000  # bytes: the limit of safetensors


def of_epoch(number):
    """The name of the checkpoint that --keep-last keeps of an epoch."""
    return f"epoch-{number}.safetensors"


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
    data = to_bytes(arrays, facts)
    for path in paths:
        write_atomically(path, data)


def to_bytes(arrays, facts):
    """The contents of a checkpoint's file."""
    from safetensors.numpy import save as serialised

    # not ascontiguousarray, which makes 0-d arrays 1-d; some versions of safetensors write other layouts wrongly
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    text = json.dumps(facts)
    return serialised(arrays, metadata={"minigrad": text, "sha256": digest(arrays, text)})


def load(path):
    """(arrays, facts) of a checkpoint, or of the newest intact one in a directory. CheckpointError as of found."""
    return found(path)[:2]


def found(path):
    """(arrays, facts, path, damage) of a checkpoint, or of the newest in a run's directory that is intact.

    damage: what is wrong with each newer one. CheckpointError for a file that is missing or damaged, saying which one
    of its directory is intact, and for a directory without any.
    """
    path, damage = Path(path), []
    if not os.path.isdir(path):
        try:
            return *read(located(path)), path, damage
        except CheckpointError as error:
            raise CheckpointError(f"{error}{alternative(path)}") from error
    for candidate in newest_first(path):
        try:
            return *read(candidate), candidate, damage
        except CheckpointError as error:
            damage.append(str(error))
    raise CheckpointError("; ".join(damage) or f"{path / LAST}: no such checkpoint")


def newest_first(directory):
    """The checkpoints of a run, by name, for the clock may have jumped."""
    epochs = [
        (int(number), p) for p in directory.glob(of_epoch("*")) if (number := p.stem.partition("-")[2]).isdecimal()
    ]
    epochs = [path for _, path in sorted(epochs, reverse=True)]
    paths = (directory / LAST, directory / NEXT, directory / PREVIOUS, *epochs, directory / BEST)
    return [path for path in paths if os.path.lexists(path)]


def located(path):
    """The newest checkpoint of a run's directory, intact or not; a file as it is. CheckpointError if there is none."""
    path = Path(path)
    if not os.path.isdir(path) and not os.path.lexists(path):
        raise CheckpointError(f"{path}: no such checkpoint")
    paths = newest_first(path) if os.path.isdir(path) else [path]
    if not paths:
        raise CheckpointError(f"{path / LAST}: no such checkpoint")
    return paths[0]


def read(path):
    """(arrays, facts) of this file. CheckpointError if it is damaged, or no checkpoint.

    It is read into memory first: a file that others shorten meanwhile would otherwise end the process.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    try:
        with open_regular(path) as file:
            metadata = read_metadata(file)
            file.seek(0)
            arrays = dict(sorted(from_bytes(file.read()).items()))
    except (OSError, DataError, SafetensorError, ValueError, RecursionError, MemoryError) as error:
        reason = str(error) or "it does not fit in memory"
        raise CheckpointError(f"{path}: damaged, or not a checkpoint: {reason}") from error
    return arrays, checked_facts(path, arrays, metadata)


def read_metadata(file):
    """{name: text} of a safetensors file. ValueError, before its arrays are read, if it can't be a checkpoint's."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(size - 8, LONGEST_HEADER):
        raise ValueError("its header's length is wrong")
    header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError("its header is no table")
    metadata = header.pop("__metadata__", {})
    for name, entry in header.items():
        kind = entry.get("dtype") if isinstance(entry, dict) else None
        if kind not in DTYPES:
            raise ValueError(f"{shortened(name)} has the type {kind}, which no training run writes")
    return metadata


def checked_facts(path, arrays, metadata):
    """What the header says besides arrays. CheckpointError if it isn't that of a run, or the digest is another."""
    if not isinstance(metadata, dict) or not {"minigrad", "sha256"} <= metadata.keys():
        raise CheckpointError(f"{path}: a safetensors file, but not a checkpoint of a training run")
    if digest(arrays, metadata["minigrad"]) != metadata["sha256"]:
        raise CheckpointError(f"{path}: damaged: its contents don't match their digest")
    try:
        facts = json.loads(metadata["minigrad"])
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: damaged: {error}") from error
    if not isinstance(facts, dict):
        raise CheckpointError(f"{path}: not a checkpoint of a training run: its facts are no table")
    return facts


def alternative(path):
    """'; ... is intact', if another checkpoint of the same run can take this one's place."""
    if not os.path.isdir(path.parent):
        return ""
    for other in newest_first(path.parent):
        with suppress(CheckpointError):
            if other.name != path.name:
                read(other)
                return f"; {other} is intact: try --resume {other}"
    return ""
