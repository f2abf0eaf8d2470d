""".npz files of NumPy: plain arrays only, never pickles."""

import io
import math
import os
import zipfile

import numpy as np

from ..data.text import reason
from .contents import Contents
from .errors import MAX_HEADER, WeightsError, check_count, check_unpacked
from .zips import bytes_of, opened


def read(path):
    """Contents of an .npz file; of unknown origin, unless its names are Keras'."""
    try:
        with opened(path) as archive:
            entries = archive.infolist()
            check_count(path, len(entries))
            check_unpacked(path, os.path.getsize(path), sum(entry.file_size for entry in entries))
            arrays = {e.filename.removesuffix(".npy"): array_of(path, archive, e) for e in entries}
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise WeightsError(f"{path}: damaged, or not an .npz file: {error}") from None
    keras = any(name.endswith(("/kernel", "/kernel:0", "/gamma", "/gamma:0")) for name in arrays)
    return Contents(str(path), {n.removesuffix(":0"): a for n, a in arrays.items()}, "keras" if keras else None)


def array_of(path, archive, entry):
    """One array, its header compared with its bytes before anything is allocated."""
    file = io.BytesIO(bytes_of(archive, entry))
    try:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(file, max_header_size=min(MAX_HEADER, 10_000))
    except ValueError as error:
        raise WeightsError(f"{path}: {entry.filename}: not an array: {reason(error)}") from None
    data = file.getbuffer()[file.tell() :]
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(data):
        what = "Python objects" if dtype.hasobject else f"an array {shape} in {len(data):,} bytes"
        raise WeightsError(f"{path}: refused: {entry.filename} claims {what}")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
