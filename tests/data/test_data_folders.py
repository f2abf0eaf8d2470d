"""Image folders as people have them: parts and classes by name, and what else lies about."""

import os
import unicodedata

import pytest
from PIL import Image

from minigrad import data
from minigrad.data import DataError, DataWarning, ImageFolder


def write(root, *names, colour=(200, 30, 30)):
    """Images of one pixel's colour under these names; other files are filled with a word."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in (".png", ".jpg"):
            Image.new("RGB", (5, 4), colour).save(path)
        else:
            path.write_text("no image")
    return root


def images(part, **classes):
    """Names of n images for each class."""
    return [f"{part}/{name}/{i}.png" for name, n in classes.items() for i in range(n)]


def said(recorder):
    return [str(w.message) for w in recorder if w.category is DataWarning]


# Classes of all parts, by name


def test_a_class_that_val_lacks_is_said_and_the_others_keep_their_labels(tmp_path):
    write(tmp_path, *images("train", a=1, b=1, c=1), *images("val", a=1, c=2))
    with pytest.warns(DataWarning, match=r"val: no images of class 'b'$"):
        train, test = data.load("imagefolder", tmp_path)
    assert test.classes == train.classes == ("a", "b", "c") and test.labels == [0, 2, 2]
    assert test.class_to_idx == {"a": 0, "b": 1, "c": 2}


def test_an_added_class_is_refused_by_name(tmp_path):
    write(tmp_path, *images("train", b=1, c=1), *images("val", a=1, b=1, c=1))
    with pytest.raises(DataError, match=r"val has classes that are not among those trained on: 'a'$"):
        data.load("imagefolder", tmp_path)


@pytest.mark.parametrize("old, new", [("golden_retriever", "golden-retriever"), ("cat", "Cat"), ("dog", "dog ")])
def test_a_renamed_class_is_refused_with_the_name_it_may_have_had(tmp_path, old, new):
    write(tmp_path, *images("train", **{old: 1, "other": 1}), *images("val", **{new: 1, "other": 1}))
    with pytest.raises(DataError, match=f"{new!r}; is {new!r} meant to be {old!r}"):
        data.load("imagefolder", tmp_path)


def test_a_class_without_images_in_val_is_said(tmp_path):
    write(tmp_path, *images("train", a=1, b=1), *images("val", a=1), "val/b/x.heic")
    with pytest.warns(DataWarning) as recorder:
        test = ImageFolder(tmp_path, train=False)
    assert said(recorder)[0].endswith("val: no images of class 'b'") and said(recorder)[1].endswith("1 .heic")
    assert test.labels == [0]


def test_names_that_differ_in_how_accents_are_stored_are_one(tmp_path):
    composed, apart = unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café")
    assert composed != apart
    write(tmp_path, *images("train", **{composed: 1, "a": 1}), *images("val", **{apart: 1, "a": 1}))
    train, test = data.load("imagefolder", tmp_path)
    assert train.classes == test.classes == ("a", composed)
    write(tmp_path, *images("train", **{apart: 1}))
    with pytest.raises(DataError, match="two folders whose names read 'café'"):
        ImageFolder(tmp_path)


def test_names_of_a_checkpoint_decide_the_labels(tmp_path):
    write(tmp_path, *images("val", b=1, c=1))
    with pytest.warns(DataWarning, match="no images of class 'a'"):
        test = data.load_part("imagefolder", False, tmp_path, classes=("c", "b", "a"))
    assert test.classes == ("c", "b", "a") and sorted(test.labels) == [0, 1] and test.paths[0].parent.name == "c"
    with pytest.raises(DataError, match="not among those trained on: 'c'"):
        data.load_part("imagefolder", False, tmp_path, classes=("a", "b"))
    with pytest.raises(DataError, match=r"its classes are T-shirt/top, .* \(10\), asked for are a, b$"):
        data.load(classes=("a", "b"))
    assert len(data.load_part("fashion-mnist-10k", False, classes=data.FashionMNIST.classes)) == 2000


@pytest.mark.parametrize("name", ["$\\frac$", "<!--<script>", "a\nb", "a\x1b[31mb", "100%", "%s", "{x}", "日本"])
def test_any_name_is_a_class(tmp_path, name):
    write(tmp_path, *images("train", **{name: 1, "z": 1}), *images("val", **{name: 1}))
    with pytest.warns(DataWarning, match="'z'"):
        train, test = data.load("imagefolder", tmp_path)
    shown = train.classes[test.labels[0]]
    assert shown.isprintable() and shown == name.replace("\n", "\\n").replace("\x1b", "\\x1b")


def test_names_that_are_no_utf8_are_text(tmp_path):
    (tmp_path / "train" / "z").mkdir(parents=True)
    Image.new("RGB", (2, 2)).save(tmp_path / "train" / "z" / "1.png")
    strange = os.fsencode(tmp_path) + b"/train/caf\xe9"
    try:
        os.mkdir(strange)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    with open(strange + b"/\xff.png", "wb") as file:
        Image.new("RGB", (2, 2)).save(file, "png")
    folder = ImageFolder(tmp_path / "train", train=None)
    assert folder.classes == ("caf\\xe9", "z") and folder[0][0].shape == (2, 2, 3)
    for text in (*folder.classes, repr(folder)):
        text.encode("utf-8")
    with open(strange + b"/\xff.png", "wb") as file:
        file.write(b"no image")
    with pytest.raises(data.BadImage, match=r"caf\\xe9/\\xff\.png: cannot decode image") as caught:
        folder[0]
    str(caught.value).encode("utf-8")


# Parts


@pytest.mark.parametrize(
    "train, test",
    [("Train", "Val"), ("training", "validation"), ("TRAIN", "Test"), ("Training", "Testing"), ("train", "valid")],
)
def test_parts_are_found_under_their_other_names(tmp_path, train, test):
    write(tmp_path, *images(train, a=2, b=1), *images(test, a=1, b=1))
    first, second = data.load("imagefolder", tmp_path)
    assert (first.classes, len(first), len(second)) == (("a", "b"), 3, 2)


@pytest.mark.parametrize(
    "names",
    [
        ("seg_train", "seg_test"),
        ("training_set", "test_set"),
        ("train2017", "val2017"),
        ("Train Images", "Test Images"),
    ],
)
def test_parts_with_longer_names_are_explained(tmp_path, names):
    write(tmp_path, *images(names[0], a=2, b=1), *images(names[1], a=1, b=1))
    with pytest.raises(DataError, match="look like parts, not classes: rename to train and val"):
        ImageFolder(tmp_path)


@pytest.mark.parametrize("train", [True, None])
def test_parts_inside_of_classes_are_refused(tmp_path, train):
    write(tmp_path, *images("cat/train", x=1), "cat/val/1.png", "dog/1.png")
    with pytest.raises(DataError, match=r"cat holds parts of a data set, so it can't be a class"):
        ImageFolder(tmp_path, train)


def test_one_folder_too_high(tmp_path):
    write(tmp_path, *images("shapes/train", a=1), *images("shapes/val", a=1))
    with pytest.raises(DataError, match=r"shapes holds parts of a data set.*take that folder"):
        ImageFolder(tmp_path)


def test_all_images_of_a_folder_of_parts_are_refused(tmp_path):
    write(tmp_path, *images("train", a=1), *images("val", a=1))
    with pytest.raises(DataError, match="has the parts 'train' and 'val': take one of these folders"):
        ImageFolder(tmp_path, train=None)


def test_two_names_for_one_part(tmp_path):
    write(tmp_path, *images("train", a=1), *images("Training", a=1))
    with pytest.raises(DataError, match="has both 'Training' and 'train': which one"):
        ImageFolder(tmp_path)


def test_a_class_may_be_called_train(tmp_path):
    write(tmp_path, *(f"{c}/{i}.png" for c in ("bus", "train") for i in range(5)))
    with pytest.warns(DataWarning, match="2 of 10 images, every fifth"):
        assert ImageFolder(tmp_path).classes == ("bus", "train")


def test_images_without_class_folders(tmp_path):
    write(tmp_path, "train/1.png", "val/1.png")
    with pytest.raises(DataError, match=r"no images in .*train/<class>/"):
        ImageFolder(tmp_path)


def test_train_alone(tmp_path):
    write(tmp_path, *images("train", a=5, b=5))
    with pytest.raises(DataError, match=r"has 'train' but no val or test; .*/train alone gets a fifth"):
        data.load("imagefolder", tmp_path)
    with pytest.warns(DataWarning, match="train: no folder val or test: 2 of 10 images"):
        train, test = data.load("imagefolder", tmp_path / "train")
    assert (len(train), len(test)) == (8, 2)


def test_folders_beside_the_parts_are_said(tmp_path):
    write(tmp_path, *images("train", a=1, b=1), *images("val", a=1, b=1), *images("extra", a=1))
    with pytest.warns(DataWarning, match="passed over, beside the parts: 'extra'"):
        ImageFolder(tmp_path)


def test_a_single_image_is_trained_on_not_held_out(tmp_path):
    write(tmp_path, "a/1.png", *(f"b/{i}.png" for i in range(5)))
    with pytest.warns(DataWarning):
        train, test = data.load("imagefolder", tmp_path)
    assert train.labels == [0, 1, 1, 1, 1] and test.labels == [1]


def test_one_class_is_said(tmp_path):
    write(tmp_path, *images("train", a=2), *images("val", a=1))
    with pytest.warns(DataWarning, match="only one class, 'a'"):
        ImageFolder(tmp_path)


# What lies about


def test_clutter_is_ignored_without_a_word(tmp_path):
    write(tmp_path, *images("train", a=1, b=1), *images("val", a=1, b=1))
    for name in ("._0.png", ".DS_Store", "Thumbs.db", "desktop.ini", ".hidden/1.png", "@eaDir/1.png", "__MACOSX/1.png"):
        write(tmp_path, f"train/a/{name}", f"train/{name}")
    train, _ = data.load("imagefolder", tmp_path)
    assert len(train) == 2 and train.classes == ("a", "b")


def test_empty_and_other_files_are_said(tmp_path):
    write(tmp_path, *images("train", a=1, b=1), "train/a/1.heic", "train/a/2.heic", "train/b/notes.txt", "train/b/x")
    (tmp_path / "train/a/empty.jpg").touch()
    os.symlink(tmp_path / "nowhere.png", tmp_path / "train/a/lost.png")
    with pytest.warns(DataWarning) as recorder:
        folder = ImageFolder(tmp_path)
    (sentence,) = said(recorder)
    assert len(folder) == 2
    assert "passed over: 2 .heic, " in sentence
    assert all(part in sentence for part in ("1 empty file", "1 broken link", "1 .txt", "1 no extension"))


@pytest.mark.parametrize("content, left", [([], ""), (["x.heic"], " .*1 .heic"), (["._x.jpg"], "")])
def test_a_class_without_images_is_refused(tmp_path, content, left):
    (tmp_path / "train/b").mkdir(parents=True)
    write(tmp_path, *images("train", a=1), *(f"train/b/{name}" for name in content))
    with pytest.raises(DataError, match=f"train: no images that can be read in class 'b'{left}"):
        ImageFolder(tmp_path)


def test_links_are_followed_and_circles_end(tmp_path):
    write(tmp_path, *images("train/elsewhere", x=2), *images("data/train", a=1))
    elsewhere, tmp_path = tmp_path / "train/elsewhere/x", tmp_path / "data"
    os.symlink(elsewhere, tmp_path / "train/b")  # a class that is a link
    os.symlink(elsewhere / "0.png", tmp_path / "train/a/link.png")
    os.symlink(tmp_path / "train/a", tmp_path / "train/a/circle")
    os.symlink("itself", tmp_path / "train/a/itself")
    with pytest.warns(DataWarning, match="1 broken link"):
        folder = ImageFolder(tmp_path)
    assert folder.labels == [0, 0, 1, 1]


def test_many_circles_end_soon(tmp_path):
    write(tmp_path, *images("train", a=1, b=1))
    for i in range(20):
        (tmp_path / f"train/a/{i}").mkdir()
    for i in range(20):
        for j in range(20):
            os.symlink(tmp_path / f"train/a/{i}", tmp_path / f"train/a/{j}/to{i}")
    with pytest.warns(DataWarning, match="20 link to a folder above"):
        assert len(ImageFolder(tmp_path)) == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_and_devices_are_no_images(tmp_path):
    write(tmp_path, *images("train", a=1, b=1))
    os.mkfifo(tmp_path / "train/a/pipe.png")
    os.symlink("/dev/zero", tmp_path / "train/a/zero.png")
    with pytest.warns(DataWarning, match="special file"):
        assert len(ImageFolder(tmp_path)) == 2


@pytest.mark.parametrize("locked", ["train", "train/a", "train/a/deep"])
def test_a_folder_that_cannot_be_read_is_refused(tmp_path, monkeypatch, locked):
    write(tmp_path, *images("train", a=1, b=1), "train/a/deep/1.png")
    scandir = os.scandir

    def refusing(path):
        if os.fspath(path) == str(tmp_path / locked):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(DataError, match=f"{locked}: cannot read this folder: Permission denied"):
        ImageFolder(tmp_path)


@pytest.mark.parametrize("root", ["a" * 300, "a/" * 4000, "zero\0byte", "caf\udce9", "line\nbreak"])
@pytest.mark.parametrize("name", ["imagefolder", "cifar10", "mnist"])
def test_strange_paths_are_one_line(root, name):
    with pytest.raises(DataError) as caught:
        data.load(name, root)
    message = str(caught.value)
    message.encode("utf-8")
    assert "\n" not in message and len(message) < 1000
