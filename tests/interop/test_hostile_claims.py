"""More files made to do harm: references that multiply, numbers of no tensor, and nets that a file only talks of."""

import json
import os
import pickle
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
from hostile_files import entry, number, refused, safetensors, tensor_pickle, text, torch_zip

import minigrad
from minigrad.interop import WeightsError, errors, onnx
from minigrad.predict.__main__ import main

TRILLION = b"N" + b"".join(b"q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(40))
"""A tuple of two, each the same tuple of two, and so on: 2^40 elements for whoever looks at all of them."""


def pickled_tensor(size, key=None, numel=None):
    """A pickle of {"w": a tensor}, with opcodes in the places of its size, its storage's key and length."""
    out = b"\x80\x02}(" + text("w") + b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage")
    out += b"ctorch\nFloatStorage\n" + (key or text("0")) + text("cpu") + (numel or number(1)) + b"tQ" + number(0)
    return out + size + b"(" + number(1) + b"t\x89}tRu."


ONE = b"(" + number(1) + b"t"
MULTIPLIED = {
    "key of a dict": (b"\x80\x02}(" + TRILLION + b"Nu.", "no state_dict"),
    "key, one by one": (b"\x80\x02}" + TRILLION + b"Ns.", "no state_dict"),
    "key of a dict in a row": (b"\x80\x02(" + TRILLION + b"Nd.", "no state_dict"),
    "size": (pickled_tensor(TRILLION), "are not numbers"),
    "storage's key": (pickled_tensor(ONE, key=TRILLION), "storages of"),
    "storage's length": (pickled_tensor(ONE, numel=TRILLION), "more numbers than its 4 bytes"),
    "name": (b"\x80\x04" + TRILLION + TRILLION + b"\x93.", "a name that is no text"),
}


@pytest.mark.parametrize("data, said", MULTIPLIED.values(), ids=MULTIPLIED)
def test_a_few_bytes_that_stand_for_a_trillion(data, said, tmp_path):
    torch_zip(tmp_path / "a.pth", data, [("0", bytes(4))])
    refused(tmp_path / "a.pth", said, megabytes=1)


def test_a_key_nested_a_hundred_thousand_times(tmp_path):
    torch_zip(tmp_path / "a.pth", b"\x80\x02}(N" + b"\x85" * 100_000 + b"Nu.")
    refused(tmp_path / "a.pth", "no state_dict", megabytes=8)


@pytest.mark.parametrize(
    "size, stride",
    [((0, 1 << 62, 1 << 62), (1, 1, 1)), ((1,) * 100, (1,) * 100), ((1,), (1 << 62,))],
    ids=["an empty axis beside endless ones", "a hundred axes", "a step that no address has"],
)
def test_tensors_that_numpy_cannot_have(size, stride, tmp_path):
    torch_zip(tmp_path / "a.pth", tensor_pickle(size, stride), [("0", bytes(4))])
    refused(tmp_path / "a.pth", "damaged", megabytes=1)


def test_an_encrypted_archive(tmp_path):
    torch_zip(path := tmp_path / "a.pth", tensor_pickle((1,), (1,)), [("0", bytes(4))])
    data = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        for at in (n for n in range(len(data)) if data.startswith(mark, n)):
            data[at + flags] |= 1
    path.write_bytes(data)
    refused(path, "encrypted")


def test_compressed_arrays_that_are_damaged(tmp_path):
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(tmp_path / "a.npz", "w", method) as archive:
            archive.writestr("w.npy", os.urandom(1000))
        data = bytearray((tmp_path / "a.npz").read_bytes())
        data[50:300] = bytes(range(250))
        (tmp_path / "a.npz").write_bytes(data)
        refused(tmp_path / "a.npz", "damaged|compressed in an unusual way", megabytes=1)


def test_an_entry_unpacks_to_no_more_than_the_directory_says(tmp_path):
    packed = zlib.compress(bytes(64 << 20), wbits=-15)
    name, crc = b"w.npy", zlib.crc32(bytes(100))
    head = struct.pack("<5H3I", 20, 0, 8, 0, 0, crc, len(packed), 100) + struct.pack("<2H", len(name), 0)
    local = b"PK\3\4" + head + name + packed
    directory = b"PK\1\2" + struct.pack("<H", 20) + head + struct.pack("<3H2I", 0, 0, 0, 0, 0) + name
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(directory), len(local), 0)
    (tmp_path / "a.npz").write_bytes(local + directory + end)
    refused(tmp_path / "a.npz", "not an array", megabytes=2)


@pytest.mark.parametrize("shape", ["(-2, -2)", "(" + "1," * 70 + ")", "(" * 90 + ")" * 90])
def test_shapes_of_no_array(shape, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}\n".encode()
        archive.writestr("w.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(16))
    refused(tmp_path / "a.npz", "damaged|not an array|claims an array")


def test_hdf5_objects_that_are_no_numbers(tmp_path):
    h5py = pytest.importorskip("h5py")
    makers = {
        "holds object values": lambda f: f.create_dataset("a/kernel", (1 << 22,), dtype=h5py.vlen_dtype("f4")),
        "holds object ": lambda f: f.create_dataset("a/kernel", (3,), dtype=h5py.ref_dtype),
        "damaged": lambda f: f.__setitem__("a", np.dtype("f4")),
        "damaged:": lambda f: f.attrs.__setitem__("model_config", h5py.Empty("f4")),
    }
    for said, make in makers.items():
        with h5py.File(tmp_path / "a.h5", "w") as file:
            make(file)
        refused(tmp_path / "a.h5", said, megabytes=2)


def test_a_tar_of_any_number_of_files_is_not_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(errors, "MAX_TENSORS", 10)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for n in range(12):
            archive.addfile(tarfile.TarInfo(f"{n}.txt"))
        archive.fileobj.write(b"no header" * 100)
    refused(tmp_path / "a.tar", "more than 10 tensors")


def test_devices_pipes_and_circles_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe.pth")
    (tmp_path / "circle.pth").symlink_to(tmp_path / "circle.pth")
    for path, said in ((tmp_path / "pipe.pth", "not a regular file"), (tmp_path / "circle.pth", "no such file")):
        refused(path, said)
        with pytest.raises(WeightsError, match=said):
            minigrad.load(path)


# What a file says of its net

TOLD = {"arch": "resnet20", "num_classes": 10, "image_size": 32, "in_channels": 3}
CONFIG = {"config": {**TOLD, "data": "cifar10"}, "net": {"mean": [0, 0, 0], "std": [1, 1, 1]}}
CLAIMS = {
    "deeper than it has arrays": ("minigrad_net", {**TOLD, "arch": "resnet6000002"}, "a net of 6,000,002"),
    "more classes than numbers": ("minigrad_net", {**TOLD, "num_classes": 10**10}, "a net of 10,000,000,000"),
    "as a checkpoint": ("minigrad", {**CONFIG, "config": {**CONFIG["config"], "num_classes": 10**9}}, "a net of 1,000"),
    "the path of another file": ("minigrad_net", {**TOLD, "options": {"weights": "/etc/hostname"}}, "option 'weights'"),
    "no number": ("minigrad_net", {**TOLD, "num_classes": "ten"}, "damaged"),
    "no such net": ("minigrad_net", {**TOLD, "arch": "resnet7"}, "damaged"),
    "no name": ("minigrad", {**CONFIG, "config": {**CONFIG["config"], "arch": 5}}, "damaged"),
    "no facts": ("minigrad", {**CONFIG, "net": 7}, "damaged"),
    "no means": ("minigrad_net", {**TOLD, "preprocessing": {"size": 3}}, "damaged"),
    "no end": ("minigrad", "[" * 100_000, "nested too deeply"),
    "no JSON": ("minigrad", "{", "damaged"),
}


@pytest.mark.parametrize("key, told, said", CLAIMS.values(), ids=CLAIMS)
def test_what_a_file_says_of_its_net(key, told, said, tmp_path, capsys):
    metadata = {"format": "pt", key: told if isinstance(told, str) else json.dumps(told)}
    arrays = {f"model.{n}": entry(0, 0, (0, 64)) for n in range(20)}
    safetensors(path := tmp_path / "a.safetensors", {"__metadata__": metadata, **arrays})
    with pytest.raises(WeightsError, match=said):
        minigrad.load(path)
    assert main(["photo.jpg", "--run", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and str(path) in error


def test_what_a_graph_says_of_its_images(tmp_path):
    helper = pytest.importorskip("onnx").helper
    x, y = (helper.make_tensor_value_info(n, 1, [1, 3, 8, 8][:k]) for n, k in (("x", 4), ("y", 2)))
    graph = helper.make_graph([helper.make_node("GlobalAveragePool", ["x"], ["p"]),
                               helper.make_node("Flatten", ["p"], ["y"])], "g", [x], [y])  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    for name, value in (("classes", "{"), ("preprocessing", "[1]")):
        model.metadata_props.add(key=name, value=value)
        (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(WeightsError, match="damaged: what it says of its net"):
            minigrad.load(tmp_path / "a.onnx")
        del model.metadata_props[:]


def test_a_graph_in_a_circle_and_numbers_of_other_files(tmp_path):
    helper = pytest.importorskip("onnx").helper
    x, y = (helper.make_tensor_value_info(n, 1, [1]) for n in "xy")
    w = helper.make_tensor("w", 1, [1], [1.0])
    w.ClearField("float_data")
    w.data_location = 1
    w.external_data.add(key="location", value="../../etc/passwd")
    circle = [helper.make_node("Add", ["x", "y"], ["a"]), helper.make_node("Add", ["a", "x"], ["y"])]
    for nodes, weights in ((circle, []), ([helper.make_node("Add", ["x", "w"], ["y"])], [w]),
                           ([helper.make_node("Constant", [], ["y"], value=w)], [])):  # fmt: skip
        graph = helper.make_graph(nodes, "g", [x], [y], weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
        (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(WeightsError, match=r"damaged|in another file"):
            onnx.load(tmp_path / "a.onnx")


def test_an_honest_checkpoint_of_odd_keys_is_read(tmp_path):
    """Keys that are no texts lie beside the weights in training checkpoints: they are passed over."""
    tensor = tensor_pickle((1,), (1,))
    beside = pickle.dumps({(1, 2): 3, None: 4}, 2)[2:-1]
    torch_zip(tmp_path / "a.pth", b"\x80\x02}(" + text("args") + beside + tensor[4:-2] + b"u.", [("0", bytes(4))])
    from minigrad.interop import read

    assert read(tmp_path / "a.pth").arrays["w"].tolist() == [0]
