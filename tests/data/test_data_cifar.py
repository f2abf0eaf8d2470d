"""CIFAR: both layouts, the archive, and pickles that are not what they claim."""

import hashlib
import io
import os
import pickle
import struct
import tarfile

import numpy as np
import pytest

from minigrad import data
from minigrad.data import cifar
from minigrad.data.cifar import extract_files, load_image_pickle
from minigrad.data.download import RemoteFile

RNG = np.random.default_rng(0)
SMALL = pytest.mark.filterwarnings("ignore:.*(not the official file|no published checksum)")  # files of a few images


def cifar_records(n, label_bytes, num_classes):
    records = RNG.integers(0, 256, (n, label_bytes + 3072), dtype=np.uint8)
    records[:, :label_bytes] = np.arange(n)[:, None] % num_classes
    return records


class Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2's str, as CIFAR's files have them."""

    dispatch = pickle._Pickler.dispatch | {
        bytes: lambda self, b: self.write(pickle.BINSTRING + struct.pack("<i", len(b)) + b)
    }


def python2_dumps(obj):
    """A pickle as of Python 2. An ndarray becomes what it became there."""

    class Array:
        def __init__(self, array):
            self.array = array

    def stand_in(x):
        return Array(x) if isinstance(x, np.ndarray) else x

    class Pickler(Python2Pickler):
        def reducer_override(self, x):
            if isinstance(x, Array):
                a = x.array
                return GLOBALS["_reconstruct"], (np.ndarray, (0,), b"b"), (1, a.shape, a.dtype, False, a.tobytes())
            if isinstance(x, np.dtype):
                return np.dtype, (x.str[1:].encode(), 0, 1), (3, b"|", None, None, None, -1, -1, 0)
            return NotImplemented

    GLOBALS = {"_reconstruct": np._core.multiarray._reconstruct}
    out = io.BytesIO()
    Pickler(out, protocol=2).dump({key: stand_in(value) for key, value in obj.items()})
    return out.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def write_cifar10(directory, python=False):
    directory.mkdir(parents=True)
    parts = {}
    for name in (*data.CIFAR10.train_files, *data.CIFAR10.test_files):
        parts[name] = cifar_records(4, 1, 10)
        batch = {b"data": parts[name][:, 1:].copy(), b"labels": parts[name][:, 0].tolist(), b"batch_label": b"one"}
        content = python2_dumps(batch) if python else parts[name].tobytes()
        (directory / (name if python else f"{name}.bin")).write_bytes(content)
    return parts


@SMALL
@pytest.mark.parametrize("python", [False, True])
@pytest.mark.parametrize("flat", [False, True])
def test_cifar10_layouts(tmp_path, python, flat):
    folder = data.CIFAR10.python_folder if python else data.CIFAR10.binary_folder
    root = tmp_path / "root"
    parts = write_cifar10(root if flat else root / folder, python)
    train, test = data.load("cifar10", root)
    assert len(train) == 20 and len(test) == 4 and train.image_shape == (32, 32, 3)
    expected = np.concatenate([parts[f"data_batch_{i}"] for i in range(1, 6)])
    np.testing.assert_array_equal(train.labels, expected[:, 0])
    for channel in range(3):
        plane = expected[:, 1 + 1024 * channel : 1 + 1024 * (channel + 1)].reshape(20, 32, 32)
        np.testing.assert_array_equal(train.images[..., channel], plane)


@SMALL
@pytest.mark.parametrize("python", [False, True])
def test_cifar100_takes_the_fine_labels(tmp_path, python):
    for name in ("train", "test"):
        records = cifar_records(5, 2, 20)
        records[:, 1] += 70
        batch = {
            b"data": records[:, 2:].copy(),
            b"fine_labels": records[:, 1].tolist(),
            b"coarse_labels": records[:, 0].tolist(),
        }
        (tmp_path / (name if python else f"{name}.bin")).write_bytes(
            python2_dumps(batch) if python else records.tobytes()
        )
    train, test = data.load("cifar100", tmp_path)
    assert train.labels.tolist() == test.labels.tolist() == [70, 71, 72, 73, 74]
    assert len(set(train.classes)) == 100 and list(train.classes) == sorted(train.classes)
    np.testing.assert_array_equal(test.images[..., 2].reshape(5, 1024), records[:, 2 + 2048 :])


def write_archive(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


@SMALL
def test_cifar_download(tmp_path, monkeypatch):
    (tmp_path / "web").mkdir()
    parts = write_cifar10(tmp_path / "parts")
    content = {f"cifar-10-batches-bin/{name}.bin": records.tobytes() for name, records in parts.items()}
    archive = write_archive(tmp_path / "web" / "cifar-10-binary.tar.gz", content)
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    mirrors = ((tmp_path / "nowhere").as_uri() + "/", (tmp_path / "web").as_uri() + "/")
    monkeypatch.setattr(data.CIFAR10, "archive", RemoteFile(archive.name, md5, mirrors))
    root = tmp_path / "cache"
    with pytest.raises(data.DataError, match=rf"no cifar-10-batches-bin or .* put cifar-10-binary.tar.gz \(md5 {md5}"):
        data.CIFAR10(root)
    train, test = data.load("cifar10", root, download=True)
    assert len(train) == 20 and len(test) == 4
    names = [p.name for p in (root / "cifar-10-batches-bin").iterdir()]
    assert sorted(names) == ["MD5SUMS", *sorted(f"{name}.bin" for name in parts)]
    monkeypatch.setattr(cifar, "fetch", lambda *args: pytest.fail("already here"))
    assert len(data.CIFAR10(root, download=True)) == 20


@SMALL
def test_cifar_archive_put_there_by_hand(tmp_path, monkeypatch):
    parts = write_cifar10(tmp_path / "parts")
    content = {f"cifar-10-batches-bin/{name}.bin": records.tobytes() for name, records in parts.items()}
    (tmp_path / "root").mkdir()
    archive = write_archive(tmp_path / "root" / "cifar-10-binary.tar.gz", content)
    monkeypatch.setattr(data.CIFAR10, "archive", official(archive))
    assert len(data.CIFAR10(tmp_path / "root")) == 20


def official(archive):
    """The archive as if it were the published one."""
    return RemoteFile(archive.name, hashlib.md5(archive.read_bytes()).hexdigest(), data.CIFAR10.archive.mirrors)


def test_extraction_stays_in_its_directory(tmp_path):
    archive = write_archive(tmp_path / "a.tar.gz", {"../../evil.bin": b"1", "x/good.bin": b"2", "other": b"3"})
    with tarfile.open(tmp_path / "link.tar", "w") as tar:
        info = tarfile.TarInfo("good.bin")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    extract_files(archive, {"good.bin", "evil.bin"}, tmp_path / "in" / "here")
    assert sorted(p.name for p in (tmp_path / "in" / "here").iterdir()) == ["MD5SUMS", "evil.bin", "good.bin"]
    assert not list(tmp_path.glob("evil.bin")) and not list(tmp_path.parent.glob("evil.bin"))
    with pytest.raises(data.DataError, match=r"link\.tar: lacks good\.bin"):
        extract_files(tmp_path / "link.tar", {"good.bin"}, tmp_path / "out")


def test_damaged_archive(tmp_path):
    archive = write_archive(tmp_path / "a.tar.gz", {"good.bin": RNG.bytes(50_000)})
    archive.write_bytes(archive.read_bytes()[:20_000])
    with pytest.raises(data.DataError, match=r"a\.tar\.gz: cannot unpack"):
        extract_files(archive, {"good.bin"}, tmp_path / "out")
    assert not (tmp_path / "out" / "good.bin").exists()


@SMALL
@pytest.mark.parametrize("size", [0, 3072, 3073 * 2 - 1])
def test_truncated_cifar(tmp_path, size):
    write_cifar10(tmp_path / "root")
    (tmp_path / "root" / "data_batch_3.bin").write_bytes(bytes(size))
    with pytest.raises(data.DataError, match=rf"data_batch_3\.bin: {size} bytes are not whole records of 3073"):
        data.CIFAR10(tmp_path / "root")


def test_cifar_label_out_of_range(tmp_path):
    write_cifar10(tmp_path / "root")
    (tmp_path / "root" / "test_batch.bin").write_bytes(bytes([10]) + bytes(3072))
    with pytest.raises(data.DataError, match=r"test_batch\.bin: labels must be in range\(10\); got 10 to 10"):
        data.CIFAR10(tmp_path / "root", train=False)


class Shell:
    def __reduce__(self):
        return os.system, ("touch pwned",)


@pytest.mark.parametrize(
    "obj, message",
    [
        (Shell(), "asks for posix.system|asks for nt.system"),
        ({b"data": [Shell()]}, "which a file of images does not need"),
        (np.arange(3.0), r"array of type 'f8'; only u1"),
        (np.array([Shell()]), "which a file of images does not need|array of type"),
        (eval, "asks for builtins.eval"),
    ],
)
def test_foreign_pickles_are_refused(tmp_path, monkeypatch, obj, message):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "test_batch"
    path.write_bytes(pickle.dumps(obj))
    with pytest.raises(data.DataError, match=rf"test_batch: refused to unpickle: .*({message})"):
        load_image_pickle(path)
    assert not (tmp_path / "pwned").exists()


def test_arrays_of_python_3_are_read_too(tmp_path):
    array = np.asfortranarray(RNG.integers(0, 256, (3, 5), dtype=np.uint8))
    for protocol in (3, 4):
        (tmp_path / "x").write_bytes(pickle.dumps([array, array.copy("C")], protocol=protocol))
        for read in load_image_pickle(tmp_path / "x"):
            np.testing.assert_array_equal(read.array, array)


@pytest.mark.parametrize(
    "content, message",
    [
        (pickle.dumps([1]), "must be a dict with an array b'data' and a list b'labels'"),
        (pickle.dumps({b"data": 3, b"labels": [1]}), "must be a dict"),
        (
            pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]}, protocol=4),
            r"must have shape \(1, 3072",
        ),
        (b"\x80\x02}q", "refused to unpickle"),
    ],
)
def test_wrong_pickles(tmp_path, content, message):
    (tmp_path / "test_batch").write_bytes(content)
    with pytest.raises(data.DataError, match=rf"test_batch: .*{message}"):
        data.CIFAR10(tmp_path, train=False)
