"""Pickles of arrays, as CIFAR's Python files are, read without running any foreign code and in little memory."""

import io
import pickle
import pickletools
from pathlib import Path
from typing import ClassVar

import numpy as np

from .foreign import blaming, read_bytes

LIMIT = 1 << 28  # bytes
OPERATIONS = 1_000_000  # of a pickle; CIFAR's largest has a third of that


class PickledDtype:
    """Stands in for numpy.dtype while unpickling."""

    def __init__(self, code: str | bytes, *_):
        if code not in ("u1", b"u1"):
            raise pickle.UnpicklingError(f"it holds an array of type {code!r}; only u1 (uint8) is read")

    def __setstate__(self, state) -> None:
        """Byte order and alignment: one byte has neither."""


class PickledArray:
    """Stands in for numpy.ndarray while unpickling: bytes and a shape, none of NumPy's own machinery."""

    def __init__(self, *_):
        self.array = np.empty(0, np.uint8)

    def __setstate__(self, state) -> None:
        _, shape, _, fortran, data = state
        self.array = np.frombuffer(data, np.uint8).reshape(shape, order="F" if fortran else "C")


class ArrayUnpickler(pickle.Unpickler):
    """Unpickles containers, numbers, strings and uint8 arrays, and can call nothing but the two classes above."""

    allowed: ClassVar = {
        ("numpy", "dtype"): PickledDtype,
        ("numpy", "ndarray"): PickledArray,
        ("numpy.core.multiarray", "_reconstruct"): PickledArray,
        ("numpy._core.multiarray", "_reconstruct"): PickledArray,
    }

    def find_class(self, module: str, name: str):
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which a file of images does not need")
        return self.allowed[module, name]


def load_image_pickle(path: str | Path, limit: int = LIMIT):
    """The object in a pickle of lists, dicts and uint8 arrays, as Python 2 wrote CIFAR's. No foreign code can run.

    Strings come as bytes; an array is the `array` of a small stand-in. Raises DataError, naming the file, for all else,
    and for more than `limit` bytes.
    """
    return unpickle(path, read_bytes(path, limit))


def unpickle(path: str | Path, data: bytes):
    """`load_image_pickle` of bytes that were read already."""
    with blaming(path, "refused to unpickle", Exception):  # a damaged pickle can raise nearly anything
        check_opcodes(data)
        return ArrayUnpickler(io.BytesIO(data), encoding="bytes").load()


def check_opcodes(data: bytes) -> None:
    """Refuse what would cost more than the file's own size.

    The walk fails at a length that goes beyond the end. A place in the memo is allocated up to its number. Integers of
    more than 64 bits can be made to have all the same hash, so that a dict of them takes for ever.
    """
    for number, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        if number == OPERATIONS:
            raise pickle.UnpicklingError(f"it has more than {OPERATIONS:,} operations")
        if opcode.name.endswith("PUT") and (argument or 0) > len(data):
            raise pickle.UnpicklingError(f"it asks for {argument:,} places in the memo")
        if isinstance(argument, int) and not -(2**63) <= argument < 2**64:
            raise pickle.UnpicklingError("it holds an integer of more than 64 bits")


def flat_integers(values) -> np.ndarray:
    """A list of integers as int64. ValueError for anything else: nested lists may expand to any size."""
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise ValueError("must be a list of integers")
    return np.array(values, np.int64)
