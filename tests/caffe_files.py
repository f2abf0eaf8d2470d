"""Files of Caffe written here: with the descriptor that reads them, and byte by byte, from the published numbers."""

import struct

import numpy as np
from google.protobuf.message import Message

from minigrad.interop.caffemodel import messages


def message(kind, **fields) -> bytes:
    built: Message = messages()[kind](**fields)
    return built.SerializeToString()


def blob(array, legacy=False):
    """An array as a BlobProto; legacy: with num, channels, height and width in place of a shape."""
    data = [np.ascontiguousarray(array, "<f4").tobytes()]
    if not legacy:
        return message("Blob", data=data, shape=message("Shape", dim=array.shape))
    num, channels, height, width = (1, 1, 1, 1, *array.shape)[-4:]
    return message("Blob", data=data, num=num, channels=channels, height=height, width=width)


def layer(name, kind, *arrays, **fields):
    return message("Layer", name=name, type=kind, blobs=[blob(a) for a in arrays], **fields)


def caffemodel(path, *layers):
    path.write_bytes(message("Net", layer=layers))
    return path


# Byte by byte


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


def field(number, data):
    """A field of bytes: its number and the wire type 2, its length, its bytes."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def blob_by_hand(shape, numbers):
    dims = field(1, b"".join(varint(n) for n in shape))
    return field(7, dims) + field(5, struct.pack(f"<{len(numbers)}f", *numbers))


def layer_by_hand(name, kind, *blobs):
    return field(1, name.encode()) + field(2, kind.encode()) + b"".join(field(7, b) for b in blobs)
