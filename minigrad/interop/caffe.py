"""Caffe's weights as raw float32 files in a tar: LAYER_filter.bin and LAYER_bias.bin, as caffejs writes them.

The files have no shapes, so that the net gives them. Filters are (K, R, S, C) there, although Caffe itself has
(K, C, R, S); a fully-connected layer's filter has its inputs in the same order.
"""

import itertools
import tarfile

import numpy as np

from . import errors
from .contents import Contents
from .errors import WeightsError, check_count

SUFFIXES = {"_filter.bin": "filter", "_bias.bin": "bias"}


def read(path):
    """Contents of such a tar: flat arrays named layer/filter and layer/bias."""
    try:
        with tarfile.open(path, "r:") as archive:
            found = list(itertools.islice(archive, errors.MAX_TENSORS + 1))
            check_count(path, len(found))
            members = [m for m in found if m.name.endswith(".bin")]
            if any(not m.isreg() or m.sparse is not None for m in members):
                raise WeightsError(f"{path}: refused: links or sparse files among its weights")
            arrays = dict(array_of(path, archive, m) for m in members if suffix(m.name))
    except (tarfile.TarError, OSError) as error:
        raise WeightsError(f"{path}: damaged, or not a tar file: {error}") from None
    if not arrays:
        raise WeightsError(f"{path}: a tar without LAYER_filter.bin (torch before 0.1.10 is not read)")
    return Contents(str(path), arrays, "caffe")


def suffix(name):
    return next((s for s in SUFFIXES if name.endswith(s)), None)


def array_of(path, archive, member):
    data = archive.extractfile(member).read()
    if len(data) != member.size or len(data) % 4:
        raise WeightsError(f"{path}: truncated: {member.name} has {len(data):,} bytes")
    layer = member.name.partition("weights/")[2] or member.name
    ending = suffix(member.name)
    return f"{layer.removesuffix(ending)}/{SUFFIXES[ending]}", np.frombuffer(data, "<f4")
