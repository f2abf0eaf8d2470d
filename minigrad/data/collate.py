"""The labels of several samples as arrays of one batch."""

from collections.abc import Mapping, Sequence

import numpy as np

TYPES = {"b": np.int64, "i": np.int64, "u": np.int64, "f": np.float32}  # by NumPy's kind of type
WORDS = {"b": "integer", "i": "integer", "u": "integer", "f": "float"}


def kind_of(label) -> str:
    """What a label is, in words; labels of one batch must have the same. TypeError for what can't be put in an array.

    A number, an array of numbers, or a tuple, list of numbers or dict of such.
    """
    if type(label) is int:
        return "integer"
    if isinstance(label, Mapping):
        return f"dict ({', '.join(f'{key!r}: {kind_of(value)}' for key, value in label.items())})"
    if isinstance(label, tuple):
        return f"tuple ({', '.join(map(kind_of, label))})"
    array = np.asarray(label)
    if array.dtype.kind not in WORDS:
        raise TypeError(f"a label must be a number, an array of numbers, or a tuple or dict of them; got {label!r:.80}")
    return WORDS[array.dtype.kind] + (f" array {array.shape}" if array.ndim else "")


def collate(labels: Sequence):
    """Labels of one kind, with the batch as first axis: integers int64, floats float32; tuples and dicts stay such."""
    first = labels[0]
    if isinstance(first, Mapping):
        return {key: collate([label[key] for label in labels]) for key in first}
    if isinstance(first, tuple):
        return tuple(collate(parts) for parts in zip(*labels, strict=True))
    arrays = np.asarray(labels)
    return arrays.astype(TYPES[arrays.dtype.kind], copy=False)
