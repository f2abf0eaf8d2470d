"""Files made to do harm: each is refused in one line, nothing of it runs, and memory stays near the file's length."""

import json
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from hostile_files import entry, refused, safetensors, tensor_pickle, torch_zip

from minigrad.interop import errors, read


class Payload:
    """A pickle of this runs a command in any reader that obeys pickles."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_the_honest_file_is_read(tmp_path):
    torch_zip(tmp_path / "a.pth", tensor_pickle((2,), (1,), numel=2), [("0", np.float32([1, 2]).tobytes())])
    assert read(tmp_path / "a.pth").arrays["w"].tolist() == [1, 2]


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_a_payload_does_not_run(protocol, kind, tmp_path):
    data = pickle.dumps({"state_dict": Payload(tmp_path / "ran")}, protocol)
    path = tmp_path / "a.pth"
    if kind == "zip":
        torch_zip(path, data)
    else:
        magic = b"".join(pickle.dumps(v, 2) for v in (0x1950A86A20F9469CFC6C, 1001, {}))
        path.write_bytes(magic + data)
    refused(path, "(posix|nt).system|which no plain state_dict needs")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["builtins eval", "os system", "torch load", "torch.nn Linear", "__builtin__ getattr"])
def test_names_outside_the_list_are_refused(name, tmp_path):
    module, attribute = name.split()
    torch_zip(tmp_path / "a.pth", f"\x80\x02c{module}\n{attribute}\n(X\x01\x00\x00\x001tR.".encode("latin1"))
    refused(tmp_path / "a.pth", f"{module}.{attribute}")


@pytest.mark.parametrize(
    "size, stride, offset, numel",
    [
        ((1 << 40,), (1,), 0, 1),  # larger than its storage
        ((1 << 20, 1 << 20), (0, 0), 0, 1),  # one number seen a million million times
        ((2,), (1,), 5, 1),  # begins behind the end
        ((2,), (-1,), 1, 2),  # runs backwards
        ((2,), (1,), -1, 2),
        ((2,), (1,), 0, 1 << 50),  # a storage that claims more than its bytes
    ],
)
def test_tensors_outside_their_storage(size, stride, offset, numel, tmp_path):
    torch_zip(tmp_path / "a.pth", tensor_pickle(size, stride, offset, numel), [("0", bytes(4))])
    refused(tmp_path / "a.pth", "outside its storage|damaged")


def test_a_zip_in_a_zip_is_no_pickle(tmp_path):
    torch_zip(tmp_path / "inner.zip", b"x")
    torch_zip(tmp_path / "a.pth", (tmp_path / "inner.zip").read_bytes())
    refused(tmp_path / "a.pth", "damaged")


def test_compressed_entries_are_refused_unread(tmp_path):
    torch_zip(tmp_path / "a.pth", bytes(20 << 20), compression=zipfile.ZIP_DEFLATED)
    refused(tmp_path / "a.pth", "compressed entries", megabytes=2)


def test_paths_in_an_archive_lead_nowhere(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("../../evil/data.pkl", tensor_pickle((1,), (1,)))
        archive.writestr("../../evil/data/../../x", bytes(4))
    refused(tmp_path / "a.pth", "no storage")
    assert not (tmp_path.parent / "evil").exists()


def test_far_too_many_tensors(tmp_path, monkeypatch):
    one = tensor_pickle((1,), (1,))
    torch_zip(tmp_path / "a.pth", one[:4] + 200_000 * one[4:-2] + one[-2:], [("0", bytes(4))])
    refused(tmp_path / "a.pth", "describes its tensors", megabytes=1)
    monkeypatch.setattr(errors, "MAX_TENSORS", 100)
    torch_zip(tmp_path / "b.pth", tensor_pickle((1,), (1,), keys=map(str, range(101))), [("0", bytes(4))])
    refused(tmp_path / "b.pth", "more than 100 tensors")


@pytest.mark.parametrize("length", [1, 100, 1_000, 100_000])
def test_truncated_files(length, tmp_path):
    torch = pytest.importorskip("torch")
    for zipped in (True, False):
        torch.save({"w": torch.randn(300, 300)}, tmp_path / "whole.pth", _use_new_zipfile_serialization=zipped)
        (tmp_path / "cut.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:length])
        refused(tmp_path / "cut.pth", "damaged|truncated|not a file|no known file")


@pytest.mark.parametrize("opcode", [b"\x8e", b"\x96", b"\x8d", b"r"])  # BINBYTES8, BYTEARRAY8, BINUNICODE8, LONG_BINPUT
def test_lengths_that_a_pickle_only_claims_allocate_nothing(opcode, tmp_path):
    (tmp_path / "a.pth").write_bytes(b"\x80\x05" + opcode + struct.pack("<Q", 1 << 40) + b".")
    refused(tmp_path / "a.pth", "damaged|refused", megabytes=1)


def test_references_in_a_circle(tmp_path):
    circle = {}
    circle["state_dict"] = circle
    torch_zip(tmp_path / "a.pth", pickle.dumps(circle, 2))
    refused(tmp_path / "a.pth", "no state_dict")


@pytest.mark.parametrize(
    "header",
    [
        {"a": entry(0, 4), "b": entry(0, 4)},  # overlapping
        {"a": entry(0, 4), "b": entry(2, 6)},
        {"a": entry(0, 8, (1,))},
        {"a": entry(0, 4, (1 << 40,))},
        {"a": entry(0, 1 << 40, (1 << 38,))},
        {"a": entry(8, 4)},
        b"[" * 100_000,
        b"{" + b'"a":{' * 5_000,
        b"not json",
    ],
)
def test_safetensors_that_lie(header, tmp_path):
    safetensors(tmp_path / "a.safetensors", header, bytes(8))
    refused(tmp_path / "a.safetensors", "damaged|not a safetensors|no known file")


def test_safetensors_with_a_header_of_a_gigabyte(tmp_path):
    with open(tmp_path / "a.safetensors", "wb") as file:
        file.write(struct.pack("<Q", 1 << 30) + b'{"a":')
        file.truncate((1 << 30) + 8)
    refused(tmp_path / "a.safetensors", "a header of 1,073,741,824 bytes", megabytes=1)


def test_safetensors_with_too_many_keys(tmp_path):
    safetensors(tmp_path / "a.safetensors", {str(i): entry(0, 0, (0,)) for i in range(30_000)})
    refused(tmp_path / "a.safetensors", "more than", megabytes=60)


@pytest.mark.long
def test_a_million_keys(tmp_path):
    torch_zip(tmp_path / "a.pth", tensor_pickle((1,), (1,), keys=map(str, range(1_000_000))), [("0", bytes(4))])
    refused(tmp_path / "a.pth", "a pickle of .* bytes describes its tensors")
    short = b"".join(b"J" + struct.pack("<i", n) + b"N" for n in range(1_000_000))  # {n: None}: within that limit
    torch_zip(tmp_path / "b.pth", b"\x80\x02}(" + short + b"u.")
    refused(tmp_path / "b.pth", "a pickle of more than 1,200,000 steps", megabytes=64)
    empty = json.dumps({"dtype": "F32", "shape": [0], "data_offsets": [0, 0]})
    header = ("{" + ",".join(f'"{n}": {empty}' for n in range(1_000_000)) + "}").encode()
    (tmp_path / "c.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    refused(tmp_path / "c.safetensors", "a header of")


@pytest.mark.parametrize("large", [False, True], ids=["small records", "zip64"])
@pytest.mark.parametrize("name", ["a.pth", "a.npz"])
def test_a_zip_directory_of_any_length_is_not_read(name, large, tmp_path):
    """A directory of 110,000 entries, refused before it is parsed."""
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", *[0] * 6, *[0] * 3, 12, *[0] * 4, *[0] * 2)
    directory = b"".join(entry + b"%012d" % i for i in range(110_000))
    size, end64 = len(directory), b""
    if large:
        end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 0, 0, size, 0)
        end64, size = end64 + struct.pack("<4sIQI", b"PK\6\7", 0, size, 1), 0xFFFFFFFF
    (tmp_path / name).write_bytes(directory + end64 + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0, 0, size, 0, 0))
    assert zipfile.is_zipfile(tmp_path / name)
    refused(tmp_path / name, "a zip directory of 6,380,000 bytes", megabytes=1)


def test_npz_holds_no_pickles_and_no_bombs(tmp_path):
    np.savez(tmp_path / "a.npz", w=np.array([Payload(tmp_path / "ran")], object))
    refused(tmp_path / "a.npz", "Python objects")
    assert not (tmp_path / "ran").exists()
    np.savez_compressed(tmp_path / "b.npz", w=np.zeros(100_000_000, np.uint8))
    refused(tmp_path / "b.npz", "decompression bomb", megabytes=2)
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }\n"
        archive.writestr("w.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(16))
    refused(tmp_path / "c.npz", r"claims an array \(1099511627776,\)", megabytes=2)


def test_hdf5_links_and_claims(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["conv/kernel"] = np.ones(3)
    makers = {
        "is a link to elsewhere": lambda f: f.__setitem__("conv", h5py.ExternalLink("secret.h5", "conv")),
        "a link to else": lambda f: f.__setitem__("conv", h5py.SoftLink("/x")),
        "in another file": lambda f: f.create_dataset("w", (4,), "f4", external=[("secret.h5", 0, 16)]),
        "decompression bomb": lambda f: f.create_dataset("w", (1 << 40,), "f4", chunks=(1 << 16,)),
        "nested more than": lambda f: f.create_group("a").__setitem__("again", f["a"]),
    }
    for said, make in makers.items():
        with h5py.File(tmp_path / "a.h5", "w") as file:
            make(file)
        refused(tmp_path / "a.h5", said)
    (tmp_path / "a.h5").write_bytes((tmp_path / "secret.h5").read_bytes()[:700])
    refused(tmp_path / "a.h5", "damaged")


def test_tar_files_with_links(tmp_path):
    import tarfile

    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link = tarfile.TarInfo("weights/conv_filter.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    refused(tmp_path / "a.tar", "links")


def test_what_is_no_file_of_weights(tmp_path):
    (tmp_path / "a.pth").write_text("hello")
    refused(tmp_path / "a.pth", "no known file of weights")
    (tmp_path / "b.pth").write_bytes(b"")
    refused(tmp_path / "b.pth", "no known file of weights")
    refused(tmp_path / "absent.pth", "no such file")
    refused(tmp_path, "a directory; the weights of a run's directory are in its best.safetensors")
