"""Data sets: formats, files, what ships with the package, the catalogue."""

import gzip
import hashlib
import io
import os
import pickle
import struct
import tarfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from minigrad import data
from minigrad.data import cifar, make_embedded
from minigrad.data.cifar import extract_files, load_image_pickle
from minigrad.data.download import RemoteFile
from minigrad.data.folder import read_image
from minigrad.data.mnist import read_idx

RNG = np.random.default_rng(0)


def idx_bytes(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(directory, train=30, test=20, zipped=False):
    """Files as MNIST's; the images by part."""
    directory.mkdir(parents=True, exist_ok=True)
    images = {}
    for part, n in (("train", train), ("t10k", test)):
        images[part] = RNG.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        labels = (np.arange(n) % 10).astype(np.uint8)
        for kind, array in (("images-idx3", images[part]), ("labels-idx1", labels)):
            content = idx_bytes(array)
            path = directory / (f"{part}-{kind}-ubyte" + (".gz" if zipped else ""))
            path.write_bytes(gzip.compress(content) if zipped else content)
    return images


# The embedded set


@pytest.mark.parametrize(
    "train, n, digest",
    [
        (True, 10_000, "5440eb6d699b170e29c191433f33091f0547e5739a1027936aae8baac4c3cf7d"),
        (False, 2_000, "4860e96e97b7a3cb29e6f3560817ddc1cdc42f180587e965ea83200ab4f7c116"),
    ],
)
def test_embedded_set_is_balanced_and_unchanged(train, n, digest):
    dataset = data.EmbeddedFashionMNIST(train=train)
    assert len(dataset) == n and dataset.image_shape == (28, 28, 1) and dataset.images.dtype == np.uint8
    assert np.bincount(dataset.labels).tolist() == [n // 10] * 10
    assert dataset.classes[0] == "T-shirt/top" and dataset.num_classes == 10
    assert hashlib.sha256(dataset.images.tobytes() + dataset.labels.tobytes()).hexdigest() == digest


def test_embedded_set_is_small_and_licensed():
    files = list(data.EmbeddedFashionMNIST.directory.iterdir())
    assert sum(path.stat().st_size for path in files) <= 6_000_000
    assert "Zalando SE" in (data.EmbeddedFashionMNIST.directory / "LICENSE").read_text(encoding="utf-8")


def test_embedded_set_is_the_start_of_each_class():
    try:
        full = data.FashionMNIST(train=False)
    except data.DataError as error:
        pytest.skip(f"needs the full Fashion-MNIST: {error}")
    embedded = data.EmbeddedFashionMNIST(train=False)
    for c in range(10):
        np.testing.assert_array_equal(embedded.images[c::10], full.images[full.labels == c][:200])


def test_make_embedded_writes_what_is_read(tmp_path, monkeypatch, capsys):
    images = write_mnist(tmp_path / "full", train=30, test=20)
    monkeypatch.setattr(data.EmbeddedFashionMNIST, "directory", tmp_path)
    make_embedded.main(tmp_path / "full")
    assert "MB" in capsys.readouterr().out
    for train, part, n in ((True, "train", 30), (False, "t10k", 20)):
        dataset = data.EmbeddedFashionMNIST(train=train)
        np.testing.assert_array_equal(dataset.images[..., 0], images[part])  # written with label i % 10 already
        np.testing.assert_array_equal(dataset.labels, np.arange(n) % 10)
    assert make_embedded.mosaic(data.FashionMNIST(tmp_path / "full"), 2).shape == (56, 280)


# idx


@settings(deadline=None, max_examples=30)
@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, max_side=6)), st.booleans())
def test_idx_round_trip(tmp_path_factory, array, zipped):
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(gzip.compress(idx_bytes(array)) if zipped else idx_bytes(array))
    np.testing.assert_array_equal(read_idx(path), array)


GOOD = idx_bytes(np.arange(6, dtype=np.uint8).reshape(2, 3))


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "not an idx file"),
        (b"\x89PNG" + GOOD, "not an idx file: it must start with two zero bytes; got '89 50 4e 47'"),
        (b"\0\0\x0d\x02" + GOOD[4:], r"type code is 0x0d; only 0x08 \(uint8\)"),
        (GOOD[:9], "truncated: 9 bytes are less than its header of 12"),
        (GOOD[:-1], r"header says shape \(2, 3\), 6 bytes; the file has 5"),
        (GOOD + b"x", "the file has 7"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "header says shape"),
        (gzip.compress(GOOD)[:-9], "cannot read"),
        (gzip.compress(GOOD)[:12] + b"rubbish" * 9, "cannot read"),
    ],
)
def test_bad_idx_names_the_file(tmp_path, content, message):
    path = tmp_path / "train-images"
    path.write_bytes(content)
    with pytest.raises(data.DataError, match=rf"train-images: .*{message}|train-images: {message}"):
        read_idx(path)
    with pytest.raises(data.DataError, match="missing: cannot read"):
        read_idx(tmp_path / "missing")


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    "cls, place",
    [(data.MNIST, ""), (data.MNIST, "mnist"), (data.MNIST, "MNIST/raw"), (data.FashionMNIST, "FashionMNIST/raw")],
)
def test_mnist_from_a_directory(tmp_path, cls, place, zipped):
    images = write_mnist(tmp_path / place, zipped=zipped)
    for train, part in ((True, "train"), (False, "t10k")):
        dataset = cls(tmp_path, train)
        np.testing.assert_array_equal(dataset.images[..., 0], images[part])
        image, label = dataset[13]
        assert image.shape == dataset.image_shape == (28, 28, 1) and label == 3 and isinstance(label, int)
    assert dataset.num_classes == 10 and repr(dataset) == f"{cls.__name__}(20 images 28x28x1, 10 classes)"


def test_default_root(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path))
    write_mnist(tmp_path)
    assert data.default_root() == tmp_path and len(data.MNIST()) == 30
    monkeypatch.delenv("MINIGRAD_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data.default_root() == tmp_path / ".cache" / "minigrad" / "data"


def test_missing_file_says_what_to_put_where(tmp_path):
    with pytest.raises(data.DataError) as caught:
        data.FashionMNIST(tmp_path, train=False)
    message = str(caught.value)
    assert f"no t10k-images-idx3-ubyte (or .gz) in {tmp_path}: pass download=True, or by hand: put" in message
    assert "t10k-images-idx3-ubyte.gz (md5 bef4ecab320f06d8554ea6380940ec79, from http" in message
    assert message.endswith(f"into {tmp_path / 'fashion-mnist'}")


def test_mnist_of_wrong_shape(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(29, np.uint8)))
    with pytest.raises(data.DataError, match=r"train-images.*must be \(N, 28, 28\) with labels \(N,\); got .* \(29,\)"):
        data.MNIST(tmp_path)


def test_mnist_download(tmp_path, monkeypatch):
    """Mirrors may be any URL: a directory stands in for the web."""
    write_mnist(tmp_path / "web", zipped=True)
    files = {p.name.removesuffix(".gz"): hashlib.md5(p.read_bytes()).hexdigest() for p in (tmp_path / "web").iterdir()}
    monkeypatch.setattr(data.MNIST, "mirrors", ((tmp_path / "web").as_uri() + "/",))
    monkeypatch.setattr(data.MNIST, "md5", files)
    train, test = data.load("mnist", tmp_path / "cache", download=True)
    assert (len(train), len(test)) == (30, 20)
    assert len(list((tmp_path / "cache" / "mnist").glob("*.gz"))) == 4


# CIFAR


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
    assert sorted(p.name for p in (root / "cifar-10-batches-bin").iterdir()) == sorted(f"{name}.bin" for name in parts)
    monkeypatch.setattr(cifar, "fetch", lambda *args: pytest.fail("already here"))
    assert len(data.CIFAR10(root, download=True)) == 20


def test_cifar_archive_put_there_by_hand(tmp_path):
    parts = write_cifar10(tmp_path / "parts")
    content = {f"cifar-10-batches-bin/{name}.bin": records.tobytes() for name, records in parts.items()}
    (tmp_path / "root").mkdir()
    write_archive(tmp_path / "root" / "cifar-10-binary.tar.gz", content)
    assert len(data.CIFAR10(tmp_path / "root")) == 20


def test_extraction_stays_in_its_directory(tmp_path):
    archive = write_archive(tmp_path / "a.tar.gz", {"../../evil.bin": b"1", "x/good.bin": b"2", "other": b"3"})
    with tarfile.open(tmp_path / "link.tar", "w") as tar:
        info = tarfile.TarInfo("good.bin")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    extract_files(archive, {"good.bin", "evil.bin"}, tmp_path / "in" / "here")
    assert sorted(p.name for p in (tmp_path / "in" / "here").iterdir()) == ["evil.bin", "good.bin"]
    assert not list(tmp_path.glob("evil.bin")) and not list(tmp_path.parent.glob("evil.bin"))
    with pytest.raises(data.DataError, match=r"link\.tar: lacks good\.bin"):
        extract_files(tmp_path / "link.tar", {"good.bin"}, tmp_path / "out")


def test_damaged_archive(tmp_path):
    archive = write_archive(tmp_path / "a.tar.gz", {"good.bin": RNG.bytes(50_000)})
    archive.write_bytes(archive.read_bytes()[:20_000])
    with pytest.raises(data.DataError, match=r"a\.tar\.gz: cannot unpack"):
        extract_files(archive, {"good.bin"}, tmp_path / "out")
    assert not (tmp_path / "out" / "good.bin").exists()


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


# Image folders


def write_images(root, names):
    for i, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (5, 4), (i, 0, 0)).save(path)


def test_image_folder_with_splits(tmp_path):
    write_images(tmp_path, ["train/b/x.png", "train/a/deep/y.PNG", "train/a/1.bmp", "val/a/1.png", "val/b/1.png"])
    (tmp_path / "train/a/notes.txt").write_text("no image")
    (tmp_path / "train/.hidden").mkdir()
    train, test = data.load("imagefolder", tmp_path)
    assert train.classes == test.classes == ("a", "b") and train.num_classes == 2
    assert [p.name for p in train.paths] == ["1.bmp", "y.PNG", "x.png"] and train.labels == [0, 0, 1]
    image, label = train[2]
    assert image.dtype == np.uint8 and image.shape == (4, 5, 3) and image[0, 0].tolist() == [0, 0, 0] and label == 1
    assert len(test) == 2 and "val: 2 images, 2 classes" in repr(test) and test.image_shape == (None, None, 3)


def test_image_folder_without_splits_holds_out_a_fifth(tmp_path):
    write_images(tmp_path, [f"{c}/{i}.png" for c in "ab" for i in range(10)])
    train, test = data.load("imagefolder", tmp_path)
    assert (len(train), len(test)) == (16, 4) and not set(train.paths) & set(test.paths)
    assert test.labels == [0, 0, 1, 1]
    assert len(data.ImageFolder(tmp_path, train=None)) == 20


def test_image_folder_errors(tmp_path):
    with pytest.raises(data.DataError, match=r"nowhere is not a directory"):
        data.ImageFolder(tmp_path / "nowhere")
    with pytest.raises(data.DataError, match=r"no images in .*<class>/ \(\.bmp, "):
        data.ImageFolder(tmp_path)
    for wrong in (dict(root=None), dict(root=tmp_path, download=True)):
        with pytest.raises(data.DataError, match="cannot be downloaded: root must be a directory"):
            data.ImageFolder(**wrong)
    write_images(tmp_path, ["val/a/1.png"])
    with pytest.raises(data.DataError, match="has val but no train"):
        data.ImageFolder(tmp_path)
    assert len(data.ImageFolder(tmp_path, train=False)) == 1


def test_images_of_any_mode_become_rgb(tmp_path):
    for mode in ("L", "RGBA", "P", "CMYK", "1"):
        path = tmp_path / f"{mode}.tif"
        Image.new(mode, (3, 2)).save(path)
        assert read_image(path).shape == (2, 3, 3)


@pytest.mark.parametrize("name", ["x.jpg", "x.png"])
def test_damaged_images_are_named(tmp_path, name):
    path = tmp_path / name
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(data.DataError, match=rf"{name}: cannot decode image: .+"):
        read_image(path)


# Arrays and the catalogue


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (np.zeros((2, 3, 3), np.uint8), [0, 0], r"images must have shape \(N, H, W, C\); got \(2, 3, 3\)"),
        (np.zeros((2, 3, 3, 1), np.int64), [0, 0], "images must be uint8 or float; got int64"),
        (np.zeros((2, 3, 3, 1), np.uint8), [0], r"labels must be integers of shape \(2,\).* got int64 \(1,\)"),
        (np.zeros((2, 3, 3, 1), np.uint8), [0.0, 1.0], "labels must be integers"),
        (np.zeros((2, 3, 3, 1), np.uint8), [0, 2], r"label 2 is not in range\(2\)"),
        (np.zeros((2, 3, 3, 1), np.uint8), [-1, 0], r"label -1 is not in range\(2\)"),
    ],
)
def test_array_dataset_checks(images, labels, message):
    with pytest.raises(ValueError, match=message):
        data.ArrayDataset(images, np.array(labels), ["a", "b"])


def test_names_and_the_default():
    assert data.names() == ("fashion-mnist-10k", "fashion-mnist", "mnist", "cifar10", "cifar100", "imagefolder")
    train, test = data.load()
    assert (len(train), len(test)) == (10_000, 2_000)


@pytest.mark.parametrize("call", [data.load, data.default_transforms])
def test_unknown_names_get_the_nearest(call):
    with pytest.raises(ValueError, match=r"unknown data set 'cifar-10'; the nearest names: cifar10"):
        call("cifar-10")
    with pytest.raises(ValueError, match=r"nearest names: fashion-mnist-10k, fashion-mnist, mnist, cifar10, cifar100"):
        call("zzz")


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("image_size", [None, 28, 32, 64])
@pytest.mark.parametrize("name", data.names())
def test_default_transforms_give_the_size(name, image_size, train):
    channels = len(data.STATISTICS[name][0])
    native = 28 if channels == 1 else 32
    image = RNG.integers(0, 256, (native, native, channels), dtype=np.uint8)
    if name == "imagefolder":
        image, native = RNG.integers(0, 256, (70, 90, 3), dtype=np.uint8), 224
    out = data.default_transforms(name, image_size, train)(image, data.RandomStream(0))
    size = image_size or native
    assert out.shape == (size, size, channels) and out.dtype == np.float32


def test_default_transforms_are_the_customary_ones():
    def steps(*args):
        return [type(t).__name__ for t in data.default_transforms(*args).transforms]

    assert steps("cifar10") == ["RandomCrop", "RandomHorizontalFlip", "Normalize"]
    assert steps("mnist") == ["RandomCrop", "Normalize"]  # a mirrored digit is no digit
    assert steps("fashion-mnist", 224) == ["RandomCrop", "RandomHorizontalFlip", "Resize", "Normalize"]
    assert steps("fashion-mnist", 28, False) == ["Normalize"]
    assert steps("imagefolder") == ["RandomResizedCrop", "RandomHorizontalFlip", "Normalize"]
    assert steps("imagefolder", 224, False) == ["Resize", "CenterCrop", "Normalize"]
    assert data.default_transforms("imagefolder", None, False).transforms[0].size == 256
    assert data.default_transforms("cifar10").transforms[0].pad.padding == 4
    with pytest.raises(ValueError, match="image_size must be at least 1; got 0"):
        data.default_transforms("mnist", 0)


def test_statistics_are_those_of_the_images():
    train = data.EmbeddedFashionMNIST()
    mean, std = data.STATISTICS["fashion-mnist-10k"]  # of the full 60,000
    assert abs(train.images.mean() / 255 - mean[0]) < 0.005
    assert abs(train.images.std() / 255 - std[0]) < 0.005
