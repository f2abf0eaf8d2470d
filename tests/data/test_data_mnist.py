"""MNIST, Fashion-MNIST, the idx format, and the embedded set."""

import gzip
import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigrad import data
from minigrad.data import make_embedded
from minigrad.data.mnist import read_idx

RNG = np.random.default_rng(0)
SMALL = pytest.mark.filterwarnings("ignore:.*not the official file")  # files of a few images


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


@SMALL
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
        (GOOD + b"x", "the file has more"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "header says shape"),
        (gzip.compress(GOOD, mtime=0)[:-9], "cannot read"),
        (gzip.compress(GOOD, mtime=0)[:12] + b"rubbish" * 9, "cannot read|not an idx file"),
    ],
)
def test_bad_idx_names_the_file(tmp_path, content, message):
    path = tmp_path / "train-images"
    path.write_bytes(content)
    with pytest.raises(data.DataError, match=rf"train-images: .*({message})"):
        read_idx(path)
    with pytest.raises(data.DataError, match="missing: cannot read"):
        read_idx(tmp_path / "missing")


@SMALL
@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    "cls, folder",
    [(data.MNIST, ""), (data.MNIST, "mnist"), (data.MNIST, "MNIST/raw"), (data.FashionMNIST, "FashionMNIST/raw")],
)
def test_mnist_from_a_directory(tmp_path, cls, folder, zipped):
    images = write_mnist(tmp_path / folder, zipped=zipped)
    for train, part in ((True, "train"), (False, "t10k")):
        dataset = cls(tmp_path, train)
        np.testing.assert_array_equal(dataset.images[..., 0], images[part])
        image, label = dataset[13]
        assert image.shape == dataset.image_shape == (28, 28, 1) and label == 3 and isinstance(label, int)
    assert dataset.num_classes == 10 and repr(dataset) == f"{cls.__name__}(20 images 28x28x1, 10 classes)"


@SMALL
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


@SMALL
def test_mnist_of_wrong_shape(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(29, np.uint8)))
    with pytest.raises(data.DataError, match=r"train-images.*must be \(N, 28, 28\) with labels \(N,\); got .* \(29,\)"):
        data.MNIST(tmp_path)


@SMALL
def test_mnist_download(tmp_path, monkeypatch):
    """Mirrors may be any URL: a directory stands in for the web."""
    write_mnist(tmp_path / "web", zipped=True)
    files = {p.name.removesuffix(".gz"): hashlib.md5(p.read_bytes()).hexdigest() for p in (tmp_path / "web").iterdir()}
    monkeypatch.setattr(data.MNIST, "mirrors", ((tmp_path / "web").as_uri() + "/",))
    monkeypatch.setattr(data.MNIST, "md5", files)
    train, test = data.load("mnist", tmp_path / "cache", download=True)
    assert (len(train), len(test)) == (30, 20)
    assert len(list((tmp_path / "cache" / "mnist").glob("*.gz"))) == 4
