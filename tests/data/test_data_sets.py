"""Image folders, array data sets, the catalogue."""

import numpy as np
import pytest
from PIL import Image

from minigrad import data
from minigrad.data.folder import read_image

RNG = np.random.default_rng(0)


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
    with pytest.warns(data.DataWarning, match=r"train: passed over: 1 \.txt$"):
        train, test = data.load("imagefolder", tmp_path)
    assert train.classes == test.classes == ("a", "b") and train.num_classes == 2
    assert [p.name for p in train.paths] == ["1.bmp", "y.PNG", "x.png"] and train.labels == [0, 0, 1]
    image, label = train[2]
    assert image.dtype == np.uint8 and image.shape == (4, 5, 3) and image[0, 0].tolist() == [0, 0, 0] and label == 1
    assert len(test) == 2 and "val: 2 images, 2 classes" in repr(test) and test.image_shape == (None, None, 3)


def test_image_folder_without_splits_holds_out_a_fifth(tmp_path):
    write_images(tmp_path, [f"{c}/{i}.png" for c in "ab" for i in range(10)])
    with pytest.warns(data.DataWarning, match="no folder val or test: 4 of 20 images, every fifth of a class, are for"):
        train, test = data.load("imagefolder", tmp_path)
    assert (len(train), len(test)) == (16, 4) and not set(train.paths) & set(test.paths)
    assert test.labels == [0, 0, 1, 1]
    assert len(data.ImageFolder(tmp_path, train=None)) == 20


def test_image_folder_errors(tmp_path):
    with pytest.raises(data.DataError, match=r"nowhere is not a directory"):
        data.ImageFolder(tmp_path / "nowhere")
    with pytest.raises(data.DataError, match=r"no images in .*<class>/ \(\.apng, \.bmp, "):
        data.ImageFolder(tmp_path)
    for wrong in (dict(root=None), dict(root=tmp_path, download=True)):
        with pytest.raises(data.DataError, match="cannot be downloaded: root must be a directory"):
            data.ImageFolder(**wrong)
    write_images(tmp_path, ["val/a/1.png"])
    with pytest.raises(data.DataError, match="has 'val' but no train"):
        data.ImageFolder(tmp_path)
    with pytest.warns(data.DataWarning, match="only one class, 'a'"):
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
    fixed = "fashion-mnist-10k", "fashion-mnist", "mnist", "cifar10", "cifar100"
    assert data.names() == (*fixed, "imagefolder", "shards", "parquet")
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
    if name in ("imagefolder", "shards", "parquet"):
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
