"""Caffe's .caffemodel files, with protobuf (`pip install minigrad[caffe]`), in the format of 2014 and the one before.

Such a file is the message NetParameter of Caffe's caffe.proto, of which MESSAGES has the few fields that are needed.
What is long or many (layers, blobs, numbers) is declared as bytes, which on the wire is the same: a message within
another is parsed when its turn comes, so that nothing is nested, and numbers become an array without a copy.
"""

import math
import os
from functools import cache

import numpy as np

from .contents import Contents
from .errors import WeightsError, check_count

MESSAGES = {  # message: {field: (its number, type, are there many?)}
    "Net": {"layers": (2, "bytes", True), "layer": (100, "bytes", True)},
    "Layer": {
        "name": (1, "string", False), "type": (2, "string", False), "blobs": (7, "bytes", True),
        "convolution": (106, "bytes", False), "pooling": (121, "bytes", False), "batch_norm": (139, "bytes", False),
    },
    "OldLayer": {
        "name": (4, "string", False), "type": (5, "int32", False), "blobs": (6, "bytes", True),
        "convolution": (10, "bytes", False), "pooling": (19, "bytes", False),
    },
    "Convolution": {"stride": (3, "uint32", True)},
    "Pooling": {"pad": (4, "uint32", False), "round_mode": (13, "int32", False)},
    "BatchNorm": {"eps": (3, "float", False)},
    "Blob": {
        "num": (1, "int32", False), "channels": (2, "int32", False), "height": (3, "int32", False),
        "width": (4, "int32", False), "data": (5, "bytes", True), "shape": (7, "bytes", False),
        "double_data": (8, "bytes", True),
    },
    "Shape": {"dim": (1, "int64", True)},
}  # fmt: skip
OLD_TYPES = {4: "Convolution", 14: "InnerProduct", 39: "Deconvolution"}
BLOBS = {  # type of a layer: what its blobs are
    "Convolution": ("filter", "bias"), "Deconvolution": ("filter", "bias"), "InnerProduct": ("filter", "bias"),
    "BatchNorm": ("mean", "variance", "factor"), "Scale": ("gamma", "beta"),
}  # fmt: skip
LARGEST = (1 << 31) - 1  # bytes; protobuf has no longer messages
LONGEST = 100  # bytes of a shape


def read(path):
    """Contents of a .caffemodel: arrays named layer/filter and so on, in Caffe's own order (K, C, R, S).

    facts: "layers" (names, in order), "pools" {layer: (padding, rounds up?)}, "strides" {layer: of its convolution} and
    "eps" {layer: of its batch norm}. WeightsError without protobuf, and for what no Caffe writes.
    """
    if os.path.getsize(path) > LARGEST:
        raise WeightsError(f"{path}: refused: {os.path.getsize(path):,} bytes; a .caffemodel has at most {LARGEST:,}")
    with open(path, "rb") as file:
        net = parsed(path, "Net", file.read())
    kinds = ("Layer", net.layer) if net.layer else ("OldLayer", net.layers)
    arrays, facts = {}, {"layers": [], "pools": {}, "strides": {}, "eps": {}}
    for data in kinds[1]:
        layer = parsed(path, kinds[0], data)
        facts["layers"].append(layer.name)
        add_settings(path, layer, facts)
        arrays.update(arrays_of(path, layer))
        check_count(path, len(arrays))
    if not arrays:
        raise WeightsError(f"{path}: no layer with weights in it: not a .caffemodel, or a net without its numbers")
    return Contents(str(path), arrays, "caffe", facts)


@cache
def messages():
    """{name: class} of MESSAGES. ImportError without protobuf."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="minigrad/caffe.proto", package="minigrad.caffe", syntax="proto2")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for key, (number, kind, many) in fields.items():
            label = field.LABEL_REPEATED if many else field.LABEL_OPTIONAL
            message.field.add(name=key, number=number, type=getattr(field, f"TYPE_{kind.upper()}"), label=label)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = {name: pool.FindMessageTypeByName(f"minigrad.caffe.{name}") for name in MESSAGES}
    return {name: message_factory.GetMessageClass(descriptor) for name, descriptor in found.items()}


def parsed(path, kind, data):
    """Bytes as a message of MESSAGES. WeightsError without protobuf and for damaged bytes."""
    try:
        message = messages()[kind]
    except ImportError:
        raise WeightsError(f"{path}: reading .caffemodel needs protobuf: pip install 'minigrad[caffe]'") from None
    check_fields(path, data)
    from google.protobuf.message import DecodeError

    try:
        return message.FromString(data)
    except (DecodeError, UnicodeDecodeError) as error:
        raise WeightsError(f"{path}: damaged, or not a .caffemodel: {str(error).splitlines()[0][:100]}") from None


def check_fields(path, data):
    """Refuse a message that is cut off, or of more fields than a net has: each takes more memory than its few bytes."""
    at = count = 0
    while at < len(data):
        tag, at = varint(path, data, at)
        at = after(path, data, at, tag & 7)
        count += 1
        check_count(path, count)


def after(path, data, at, wire_type):
    """Where a field ends whose value begins at `at`. WeightsError where that is behind the end."""
    if wire_type == 0:
        return varint(path, data, at)[1]
    if wire_type == 2:
        length, at = varint(path, data, at)
    else:
        length = {1: 8, 5: 4}.get(wire_type)
    if length is None or at + length > len(data):
        raise WeightsError(f"{path}: truncated, damaged, or not a .caffemodel")
    return at + length


def varint(path, data, at):
    """(a number of seven bits a byte, where it ends)"""
    value = 0
    for n, byte in enumerate(data[at : at + 10]):
        value |= (byte & 127) << 7 * n
        if byte < 128:
            return value, at + n + 1
    raise WeightsError(f"{path}: truncated, damaged, or not a .caffemodel")


def add_settings(path, layer, facts):
    """What a layer says of its arithmetic, into the facts."""
    if layer.pooling:
        pool = parsed(path, "Pooling", layer.pooling)
        facts["pools"][layer.name] = pool.pad, pool.round_mode == 0
    if layer.convolution:
        facts["strides"][layer.name] = max(parsed(path, "Convolution", layer.convolution).stride, default=1)
    if layer.type == "BatchNorm":
        told = parsed(path, "BatchNorm", layer.batch_norm)
        facts["eps"][layer.name] = float(str(np.float32(told.eps))) if told.HasField("eps") else 1e-5


def arrays_of(path, layer):
    """{layer/what it is: array} of a layer's blobs."""
    kind = OLD_TYPES.get(layer.type, layer.type)
    names = BLOBS.get(kind) or tuple(map(str, range(len(layer.blobs))))
    if len(layer.blobs) > len(names):
        raise WeightsError(f"{path}: damaged: {layer.name} ({kind}) has {len(layer.blobs)} blobs")
    found = {name: array_of(path, layer.name, kind, name, blob) for name, blob in zip(names, layer.blobs)}
    if "factor" in found:
        found = averaged(path, layer.name, **found)
    return {f"{layer.name}/{name}": array for name, array in found.items()}


def averaged(path, layer, mean, variance, factor):
    """A batch norm's blobs are sums of so many batches, weighted: the factor is the weights' sum, 0 in a new net."""
    if factor.size != 1:
        raise WeightsError(f"{path}: damaged: the factor of {layer} has {factor.size} numbers")
    scale = np.float32(1 / factor[0]) if factor[0] else np.float32(0)
    return {"mean": mean * scale, "variance": variance * scale}


def array_of(path, layer, kind, name, data):
    """A blob as an array. WeightsError where its shape and its numbers disagree."""
    blob = parsed(path, "Blob", data)
    many, dtype = (blob.data, "<f4") if blob.data else (blob.double_data, "<f8")
    numbers = many[0] if len(many) == 1 else b"".join(many)
    shape, size = shape_of(path, layer, blob), len(numbers) // np.dtype(dtype).itemsize
    if not size:
        raise WeightsError(f"{path}: damaged, or not a .caffemodel: a blob without numbers in {layer}")
    if len(numbers) % np.dtype(dtype).itemsize or min(shape, default=1) < 0 or math.prod(shape) != size:
        raise WeightsError(f"{path}: damaged: {layer}/{name} claims the shape {shape}, and has {size:,} numbers")
    axes = len(shape) if kind.endswith("onvolution") and name == "filter" else 2 if name == "filter" else 1
    while len(shape) > axes and shape[0] == 1:  # four axes, whatever it is, in the older format
        shape = shape[1:]
    return np.frombuffer(numbers, dtype).reshape(shape)


def shape_of(path, layer, blob):
    if not blob.HasField("shape"):
        return blob.num, blob.channels, blob.height, blob.width
    if len(blob.shape) > LONGEST:
        raise WeightsError(f"{path}: damaged: a shape of {len(blob.shape):,} bytes in {layer}")
    return tuple(parsed(path, "Shape", blob.shape).dim)
