"""Files of weights as they must not be, written byte by byte, and how such a file has to be refused."""

import json
import struct
import tracemalloc
import zipfile

import pytest

from minigrad.interop import WeightsError, read


def torch_zip(path, data_pkl, storages=(), compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", data_pkl)
        for name, data in storages:
            archive.writestr(f"archive/data/{name}", data)


def tensor_pickle(size, stride, offset=0, numel=1, keys=("w",), kind="FloatStorage"):
    """A pickle as torch writes it of {key: a tensor} with this layout over storage 0."""
    storage = text("storage") + f"ctorch\n{kind}\n".encode() + text("0") + text("cpu") + number(numel) + b"tQ"
    layout = number(offset) + b"(" + b"".join(map(number, size)) + b"t(" + b"".join(map(number, stride)) + b"t"
    rest = b"ctorch._utils\n_rebuild_tensor_v2\n((" + storage + layout + b"\x89}tR"
    return b"\x80\x02}(" + b"".join(text(key) + rest for key in keys) + b"u."


def text(s):
    return b"X" + struct.pack("<I", len(s)) + s.encode()


def number(n):
    return b"\x8a\x09" + n.to_bytes(9, "little", signed=True)


def refused(path, match, megabytes=8):
    """The error's line; no more memory than that was allocated at any moment."""
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match=match) as error:
            read(path)
        assert tracemalloc.get_traced_memory()[1] < megabytes << 20
    finally:
        tracemalloc.stop()
    assert "\n" not in str(error.value) and str(path) in str(error.value)


def safetensors(path, header, data=b""):
    text = json.dumps(header).encode() if isinstance(header, dict) else header
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def entry(start, end, shape=(1,)):
    return {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
