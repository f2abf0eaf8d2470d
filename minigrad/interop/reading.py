"""Which reader a file needs: told by its first bytes, not by its name."""

import os
import tarfile
import zipfile
from pathlib import Path

from ..data.text import reason
from . import caffe, caffemodel, keras, keras_zip, npz, onnx_weights, safetensors_files, torch_files
from .contents import ORIGINS, Contents
from .errors import WeightsError
from .fetching import located, nearest
from .zips import opened


def read(path, origin=None) -> Contents:
    """The arrays in a file of weights, with their names and layout as they are there.

    path: torch's .pth .pt .th .tar, .safetensors, .npz, Keras' .h5 and .keras, .onnx, Caffe's .caffemodel or raw
        blobs in a tar; or the name or the address of one of architectures.weights(), downloaded unless it is there.
    origin: "torch", "keras", "caffe" or "minigrad", who wrote it; None takes what the file says.
    WeightsError, in one line, for a file that is missing, damaged, refused or of another kind. Nothing in the file is
    executed, and memory stays within a few times the file's length.
    """
    if origin is not None and origin not in ORIGINS:
        raise WeightsError(f"origin must be one of {', '.join(ORIGINS)}; got {origin!r}")
    path = located(path)
    if Path(path).is_dir():
        raise WeightsError(f"{path}: a directory; the weights of a run's directory are in its best.safetensors")
    if not Path(path).is_file():
        what = "not a regular file" if os.path.exists(path) else f"no such file{nearest(path)}"
        raise WeightsError(f"{path}: {what}")
    found = contents_of(path)
    if origin is None or found.origin == origin:
        return found
    if found.origin is not None and not (found.origin == "torch" and str(path).endswith(".safetensors")):
        raise WeightsError(f"{path}: written by {found.origin}, not by {origin}")
    return Contents(found.path, found.arrays, origin, found.facts)


def contents_of(path):
    """What a reader finds in a file. WeightsError for all that it stumbles over.

    Readers refuse what they know to be wrong; a damaged file makes zlib, lzma, struct, NumPy or h5py raise whatever
    they have.
    """
    try:
        return reader(path).read(path).checked()
    except (WeightsError, MemoryError):
        raise
    except Exception as error:
        raise WeightsError(f"{path}: damaged: {reason(error)}") from error


def reader(path):
    """The module that reads such a file."""
    with open(path, "rb") as file:
        start = file.read(16)
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return keras
    if zipfile.is_zipfile(path):
        return zip_reader(path)
    if start[8:9] == b"{":
        return safetensors_files
    if start[:1] == b"\x80":
        return torch_files
    if Path(path).suffix.lower() == ".onnx":  # a protocol buffer has no mark of its own
        return onnx_weights
    if Path(path).suffix.lower() == ".caffemodel":
        return caffemodel
    if tarfile.is_tarfile(path):
        return caffe
    known = ".pth, .safetensors, .npz, .h5, .keras, .onnx, .caffemodel, raw blobs in a tar"
    raise WeightsError(f"{path}: no known file of weights ({known})")


def zip_reader(path):
    try:
        with opened(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise WeightsError(f"{path}: damaged: {error}") from None
    if names and all(name.endswith(".npy") for name in names):
        return npz
    if "model.weights.h5" in names:
        return keras_zip
    return torch_files
