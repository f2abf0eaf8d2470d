"""Files for torch: weights under torchvision's names and in torch's layout, as .safetensors or .pth (without torch)."""

import json
import struct
import zipfile

import numpy as np

from .layout import to_torch
from .loading import image_shape
from .trace import uses

MARK = b"("


def torch_state(net, image_size=None):
    """{name: array in torch's layout} of a net's parameters and buffers, for load_state_dict of torch's own net."""
    flattened = uses(net, image_shape(net, image_size)).flattened
    tensors = (*net.named_parameters(), *net.named_buffers())
    return {name: np.ascontiguousarray(to_torch(t.numpy(), flattened.get(name))) for name, t in tensors}


def write_safetensors(net, path, facts=None, image_size=None):
    """Write a net's weights as safetensors. facts: what JSON can hold, under "minigrad_net" in the file's metadata."""
    from safetensors.numpy import save

    metadata = {"format": "pt", "minigrad_net": json.dumps(facts or {})}
    with open(path, "wb") as file:
        file.write(save(torch_state(net, image_size), metadata))
    return path


def write_torch(net, path, facts=None, image_size=None):
    """Write a net's weights as torch.save does: {"state_dict": {name: tensor}, "minigrad_net": JSON}."""
    state = torch_state(net, image_size)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", pickled(state, json.dumps(facts or {})))
        archive.writestr("archive/byteorder", "little")
        for key, array in enumerate(state.values()):
            archive.writestr(
                f"archive/data/{key}", np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
            )
        archive.writestr("archive/version", "3\n")
    return path


# The pickle that describes the tensors, in the opcodes of protocol 2


def pickled(state, note):
    tensors = b"".join(text(name) + tensor(key, array) for key, (name, array) in enumerate(state.items()))
    inner = b"}" + MARK + tensors + b"u"
    return b"\x80\x02}" + MARK + text("state_dict") + inner + text("minigrad_net") + text(note) + b"u."


def tensor(key, array):
    """torch._utils._rebuild_tensor_v2(storage, offset 0, size, stride, requires_grad False, no hooks)."""
    kind = {"float32": "FloatStorage", "float64": "DoubleStorage"}[array.dtype.name]
    storage = b"ctorch\n" + kind.encode() + b"\n"
    reference = MARK + text("storage") + storage + text(str(key)) + text("cpu") + number(array.size) + b"tQ"
    strides = [s // array.itemsize for s in array.strides]
    layout = number(0) + numbers(array.shape) + numbers(strides)
    hooks = b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + MARK + reference + layout + b"\x89" + hooks + b"tR"


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value):
    return b"\x8a\x08" + struct.pack("<q", value)


def numbers(values):
    return MARK + b"".join(map(number, values)) + b"t"
