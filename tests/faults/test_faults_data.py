"""Files of data sets that are damaged, or made to do harm: refused in little memory and in one line."""

import gzip
import hashlib
import io
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import time

import numpy as np
import pytest

from minigrad import data
from minigrad.data import DataError, DataWarning
from minigrad.data.archive import extract_files
from minigrad.data.download import RemoteFile
from minigrad.data.foreign import parse, read_bytes
from minigrad.data.mnist import idx_header, read_idx
from minigrad.data.pickled import load_image_pickle

RNG = np.random.default_rng(0)


def refused(code, *arguments, megabytes=300):
    """Run this in a process of its own -> what DataError said. It may take only so much memory beyond its start."""
    program = (
        "import resource, sys; from minigrad import data; from minigrad.data import *; import numpy, PIL.Image\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"try: {code}\n"
        "except DataError as error: print(error)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr[-1000:]
    *message, used = done.stdout.splitlines()
    assert len(message) == 1, message
    assert int(used) < megabytes
    return message[0]


# Pickles


def string_of(length, opcode=b"\x8e"):
    """A pickle of a byte string that claims this length (BINBYTES8)."""
    return b"\x80\x04" + opcode + struct.pack("<Q", length) + b"abc."


@pytest.mark.parametrize(
    "content",
    [
        string_of(1 << 32),
        string_of(1 << 62),
        string_of(1 << 32, b"\x8d"),  # BINUNICODE8
        string_of(1 << 32, b"\x96"),  # BYTEARRAY8
        b"\x80\x04B" + struct.pack("<I", 0xFFFFFFF0) + b"abc.",  # BINBYTES
        b"\x80\x04\x8b" + struct.pack("<i", 0x7FFFFFFF) + b"abc.",  # LONG4
        b"\x80\x04N" + b"r" + struct.pack("<I", 0x7FFFFFFF) + b".",  # LONG_BINPUT: a memo of 2^31 places
        b"\x80\x02Np4000000000\n.",  # PUT, in digits
        b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"N.",  # FRAME
        b"(" * 100_000 + b".",
        b"\x80\x04" + b"]" * 200_000 + b"a" * 199_999 + b".",  # lists in lists in lists
        b"\x80\x04" + b"N0" * 2_000_000 + b"N.",  # nothing, two million times
    ],
    ids=range(12),
)
def test_pickles_that_claim_too_much(tmp_path, content):
    (tmp_path / "test_batch").write_bytes(content)
    message = refused(f"data.CIFAR10({str(tmp_path)!r}, train=False)")
    assert "test_batch: refused to unpickle: " in message or "test_batch: must be a dict" in message


def test_integers_with_one_hash_are_refused_at_once(tmp_path):
    numbers = [i * (2**61 - 1) for i in range(30_000)]
    (tmp_path / "x").write_bytes(b"\x80\x04}(" + b"".join(pickle.dumps(n, 2)[2:-1] + b"K\x01" for n in numbers) + b"u.")
    start = time.perf_counter()
    with pytest.raises(DataError, match="x: refused to unpickle: it holds an integer of more than 64 bits"):
        load_image_pickle(tmp_path / "x")
    assert time.perf_counter() - start < 3


def nested(levels, width=10):
    """Lists that share their parts: few bytes, width ** levels elements."""
    values = [1] * width
    for _ in range(levels):
        values = [values] * width
    return values


@pytest.mark.parametrize("labels", [nested(9), [[1], [2]], [1.5], [2**63], (1,), ["a"], [True], b"ab", {1: 1}, None])
def test_labels_that_are_no_flat_list_of_integers(tmp_path, labels):
    (tmp_path / "test_batch").write_bytes(pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": labels}, 4))
    assert "must be a dict with an array b'data' and a list" in refused(f"data.CIFAR10({str(tmp_path)!r}, train=False)")


def test_a_file_of_gigabytes_is_not_read(tmp_path):
    with open(tmp_path / "test_batch.bin", "wb") as file:
        file.truncate(20 << 30)  # a sparse file: no bytes on the disk
    message = refused(f"data.CIFAR10({str(tmp_path)!r}, train=False)")
    assert "test_batch.bin: too large: it has 21,474,836,480 bytes" in message


# Gzip and idx


def zeros(size):
    """Gzip's form of so many zeros: members, which follow one another, of 16 MB."""
    return gzip.compress(bytes(1 << 24), 1) * (size >> 24)


def test_a_gzip_bomb_in_place_of_mnist(tmp_path):
    head = gzip.compress(idx_header(np.empty((10, 28, 28), np.uint8)))
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(head + zeros(2 << 30))
    message = refused(f"data.MNIST({str(tmp_path)!r})")
    assert "train-images-idx3-ubyte.gz: header says shape (10, 28, 28), 7840 bytes; the file has more" in message


@pytest.mark.parametrize("shape", [(1 << 20, 28, 28), (0xFFFFFFFF,) * 3, (1 << 31,)])
def test_a_header_that_claims_too_much(tmp_path, shape):
    header = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(header)
    assert "header says shape" in refused(f"data.MNIST({str(tmp_path)!r})")


def test_every_bit_of_a_gzip_file_is_guarded(tmp_path):
    """Each flipped bit is refused, or changes nothing that is read (the name and the time in the header)."""
    array = RNG.integers(0, 256, (40,), dtype=np.uint8)
    whole = gzip.compress(idx_header(array) + array.tobytes())
    for bit in range(8 * len(whole)):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        (tmp_path / "x.gz").write_bytes(content)
        try:
            np.testing.assert_array_equal(read_idx(tmp_path / "x.gz"), array)
        except DataError:
            pass


# Archives


def archive_of(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_every_bit_of_an_archive_is_guarded(tmp_path):
    archive = archive_of(tmp_path / "a.tar.gz", {"x/good.bin": RNG.bytes(300)})
    whole, refusals = archive.read_bytes(), 0
    extract_files(archive, {"good.bin"}, tmp_path / "whole")
    for bit in range(80, 8 * len(whole), 3):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        archive.write_bytes(content)
        try:
            extract_files(archive, {"good.bin"}, tmp_path / "out")
            assert (tmp_path / "out/good.bin").read_bytes() == (tmp_path / "whole/good.bin").read_bytes()
        except DataError as error:
            refusals += 1
            assert "a.tar.gz: " in str(error) and "\n" not in str(error)
            assert not list((tmp_path / "out").glob("*.part"))
    assert refusals > 1000  # of 1,184; the others are in the gzip file's name, or copy a zero from another place


def test_a_sparse_member_is_refused(tmp_path):
    header = bytearray(tarfile.TarInfo("good.bin").tobuf(tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386 : 386 + 24] = b"%011o\0%011o\0" % (0, 1)  # one byte of data ...
    header[483:495] = b"%011o\0" % (7 << 30)  # ... of a file of seven gigabytes
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a.tar").write_bytes(bytes(header) + bytes(1024))
    paths = "pathlib.Path(sys.argv[1]), {'good.bin'}, pathlib.Path(sys.argv[2])"
    code = f"import pathlib, minigrad.data.archive as a; a.extract_files({paths})"
    assert "cannot unpack: good.bin is a sparse file" in refused(code, tmp_path / "a.tar", tmp_path / "out")


def test_a_member_that_unpacks_to_gigabytes_is_refused(tmp_path):
    info = tarfile.TarInfo("good.bin")
    info.size = 3 << 30
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(gzip.compress(info.tobuf()) + zeros(1 << 30))
    start = time.perf_counter()
    with pytest.raises(DataError, match=r"a\.tar\.gz: too large: it unpacks to more than 268,435,456 bytes"):
        extract_files(archive, {"good.bin"}, tmp_path / "out")
    assert time.perf_counter() - start < 5 and not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("size", [200 << 20, -512, (1 << 62)])
def test_headers_of_strange_sizes(tmp_path, kind, size):
    """A name of 200 MB; and one of negative length, at which older versions of tarfile go round for ever."""
    info = tarfile.TarInfo("x")
    info.type = kind
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    long = struct.pack(">iq", -1 if size < 0 else -(1 << 31), size)
    header[124:136] = b"%011o\0" % size if 0 <= size < 8**11 else long
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a.tar").write_bytes(bytes(header) + bytes(2048))
    start = time.perf_counter()
    with pytest.raises(DataError, match=r"a\.tar: "):
        extract_files(tmp_path / "a.tar", {"x"}, tmp_path / "out")
    assert time.perf_counter() - start < 5


def test_links_in_the_way_are_not_written_through(tmp_path):
    archive = archive_of(tmp_path / "a.tar.gz", {"good.bin": b"new"})
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "out").mkdir()
    os.symlink(tmp_path / "precious", tmp_path / "out/good.bin.part")
    os.symlink(tmp_path / "precious", tmp_path / "out/MD5SUMS")
    extract_files(archive, {"good.bin"}, tmp_path / "out")
    assert (tmp_path / "precious").read_text() == "precious" and (tmp_path / "out/good.bin").read_bytes() == b"new"


# Checksums


def records(images, label_bytes=1):
    content = RNG.integers(0, 256, (images, label_bytes + 3072), dtype=np.uint8)
    content[:, :label_bytes] = 3
    return content


def test_a_flipped_bit_in_a_file_of_cifar_is_refused(tmp_path, monkeypatch):
    content = records(10_000)
    (tmp_path / "test_batch.bin").write_bytes(content.tobytes())
    sums = {"test_batch.bin": hashlib.sha1(content.tobytes()).hexdigest()}
    monkeypatch.setattr(data.CIFAR10, "sums", sums)
    assert len(data.CIFAR10(tmp_path, train=False)) == 10_000
    content[5000, 700] ^= 4
    (tmp_path / "test_batch.bin").write_bytes(content.tobytes())
    with pytest.raises(DataError, match=r"test_batch\.bin: damaged, or not the official file: its sha1 is .*, must be"):
        data.CIFAR10(tmp_path, train=False)


def test_a_flipped_bit_in_a_file_of_mnist_is_refused(tmp_path, monkeypatch):
    images, labels = RNG.integers(0, 256, (10_000, 28, 28), dtype=np.uint8), np.zeros(10_000, np.uint8)
    sums = {}
    for name, array in (("t10k-images-idx3-ubyte", images), ("t10k-labels-idx1-ubyte", labels)):
        content = idx_header(array) + array.tobytes()
        sums[name] = hashlib.md5(content).hexdigest()
        (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(data.MNIST, "raw_md5", sums)
    assert len(data.MNIST(tmp_path, train=False)) == 10_000
    images[77, 3, 3] ^= 1
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx_header(images) + images.tobytes())
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte: damaged, or not the official file: its md5 is"):
        data.MNIST(tmp_path, train=False)


def test_what_cannot_be_compared_is_said(tmp_path):
    (tmp_path / "test.bin").write_bytes(records(10_000, 2).tobytes())
    with pytest.warns(DataWarning, match=r"test\.bin: used as it is; there is no published checksum to compare"):
        data.CIFAR100(tmp_path, train=False)
    (tmp_path / "test_batch.bin").write_bytes(records(100).tobytes())
    with pytest.warns(DataWarning, match=r"test_batch\.bin: not the official file: another size"):
        data.CIFAR10(tmp_path, train=False)


def test_an_archive_put_there_by_hand_is_compared(tmp_path, monkeypatch):
    content = {f"{name}.bin": records(8, 2).tobytes() for name in ("train", "test")}
    archive = archive_of(tmp_path / "cifar-100-binary.tar.gz", content)
    with pytest.raises(DataError, match=r"cifar-100-binary\.tar\.gz: damaged: its md5 is \w+, must be 03b5dce01913d63"):
        data.CIFAR100(tmp_path)
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    monkeypatch.setattr(data.CIFAR100, "archive", RemoteFile(archive.name, md5, data.CIFAR100.archive.mirrors))
    assert len(data.CIFAR100(tmp_path)) == 8


def test_an_unpacked_file_is_compared_with_what_it_was(tmp_path, monkeypatch):
    content = {f"{name}.bin": records(n, 2).tobytes() for name, n in (("train", 8), ("test", 10_000))}
    archive = archive_of(tmp_path / "cifar-100-binary.tar.gz", content)
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    monkeypatch.setattr(data.CIFAR100, "archive", RemoteFile(archive.name, md5, data.CIFAR100.archive.mirrors))
    assert len(data.CIFAR100(tmp_path, train=False)) == 10_000
    path = tmp_path / "cifar-100-binary/test.bin"
    damaged = bytearray(path.read_bytes())
    damaged[12345] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"test\.bin: damaged, or not the official file"):
        data.CIFAR100(tmp_path, train=False)


# The door itself


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path):
        with pytest.raises(DataError, match="cannot read: it is not a regular file"):
            read_bytes(path, 100)
    with pytest.raises(DataError, match="cannot read: No such file or directory"):
        read_bytes(tmp_path / "nothing", 100)
    os.mkfifo(tmp_path / "test_batch.bin")
    with pytest.raises(DataError):
        data.CIFAR10(tmp_path, train=False)


def too_deep(content):
    def depth(n):
        return depth(n + 1)

    return depth(0)


@pytest.mark.parametrize(
    "parser, message",
    [
        (too_deep, "it is nested too deeply"),
        (lambda content: int("9" * 5000), "Exceeds the limit"),
        (lambda content: content.decode("utf-16-le") + {}[1], "'utf-16-le' codec|truncated"),
        (lambda content: bytes(1 << 60), "not enough memory"),
    ],
)
def test_whatever_a_parser_raises_is_one_line(tmp_path, parser, message):
    (tmp_path / "x.toml").write_bytes(b"abc")
    with pytest.raises(DataError, match=rf"x\.toml: cannot be understood: .*({message})") as caught:
        parse(tmp_path / "x.toml", parser, 100)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=r"x\.toml: too large: it has 3 bytes, at most 2 are read"):
        parse(tmp_path / "x.toml", parser, 2)
