"""Shards: packed by the command, read in the order of a shuffle window, and refused where they are damaged."""

import io
import tarfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from train_runs import arrays, same

from minigrad import data
from minigrad.data import BadImage, DataError, DataLoader, ImageFolder, Shards
from minigrad.pack.__main__ import main as pack
from minigrad.train.__main__ import main as train


@pytest.fixture
def photos(tmp_path):
    """A folder of 26 small pictures of two classes, in two parts."""
    rng = np.random.default_rng(0)
    for part, number in (("train", 10), ("val", 3)):
        for name in ("cat", "dog"):
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            for i in range(number):
                Image.fromarray(rng.integers(0, 256, (9, 8, 3), np.uint8)).save(folder / f"{i}.png")
    return tmp_path / "photos"


@pytest.fixture
def packed(photos, tmp_path):
    assert pack([str(photos), str(tmp_path / "packed"), "--images", "6"]) == 0
    return tmp_path / "packed"


def shard(path, *files):
    """A tar file of (name, bytes)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path.parent.parent


def test_a_packed_folder_has_the_same_images(photos, packed, capsys, tmp_path):
    for part in (True, False):
        folder, shards = ImageFolder(photos, part), Shards(packed, part)
        assert shards.classes == folder.classes == ("cat", "dog") and len(shards) == len(folder)
        of = [sorted((label, image.tobytes()) for image, label in images) for images in (folder, shards)]
        assert of[0] == of[1]
    assert len(Shards(packed).files) == 4
    assert pack([str(photos), str(tmp_path / "again"), "--images", "6"]) == 0
    for path in packed.rglob("*.tar"):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(packed)).read_bytes()
    assert pack([str(photos), str(packed)]) == 2
    assert capsys.readouterr().err.count("is there already; choose a new directory") == 1


def test_an_epoch_goes_on_in_mid_shard(packed):
    loader = DataLoader(Shards(packed), 3, sampler=Shards(packed).sampler, num_workers=2)
    whole, rest = list(loader.iterate(4)), list(loader.iterate(4, start_batch=5))
    for (images, labels), (mine, its) in zip(whole[5:], rest, strict=True):
        assert_array_equal(images, mine)
        assert_array_equal(labels, its)


def test_the_command_trains_on_shards(packed, tmp_path, capsys):
    run = ["-a", "lenet5", "--data", str(packed), "--image-size", "28", "-b", "4", "--kernels", "reference", "-j", "0"]
    assert train([*run, "--epochs", "2", "--output-dir", str(tmp_path / "whole")]) == 0
    assert "shards: 20 training and 6 test images" in capsys.readouterr().out
    assert train([*run, "--epochs", "2", "--limit-train-batches", "5", "--output-dir", str(tmp_path / "b")]) == 0
    same(arrays(tmp_path / "whole"), arrays(tmp_path / "b"))  # all five batches of an epoch
    assert train(["--data", "shards"]) == 2
    assert "--data shards needs --data-path DIR, a directory with train/*.tar" in capsys.readouterr().err


@pytest.mark.parametrize(
    "files, words",
    [
        ([("a.jpg", b"x")], r"0\.tar: a has no label \(\.cls\) beside it"),
        ([("a.cls", b"0"), ("b.jpg", b"x"), ("b.cls", b"0")], "a has no image beside it"),
        ([("a.jpg", b"x"), ("a.cls", b"cat")], r"a\.cls must hold a number from 0; it holds 'cat'"),
        ([("a.jpg", b"x"), ("a.cls", b"9" * 30)], r"a\.cls must hold a number from 0"),
        ([("a.txt", b"x")], "no image in this shard"),
    ],
)
def test_wrong_shards_are_named(tmp_path, files, words):
    root = shard(tmp_path / "train" / "0.tar", *files)
    with pytest.raises(DataError, match=words):
        Shards(root)


def test_damaged_shards_are_named(packed, tmp_path):
    path = packed / "train" / "000001.tar"
    whole = path.read_bytes()
    for content in (whole[:700], b"no tar file at all" * 100, b"\x1f\x8b" + whole):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"000001\.tar: "):
            Shards(packed)
    with pytest.raises(DataError, match=r"no train/\*\.tar in"):
        Shards(tmp_path / "nothing")


def test_links_and_paths_lead_nowhere(tmp_path):
    """Nothing is unpacked; what is no regular file is passed over."""
    root = shard(tmp_path / "train" / "0.tar", ("../../a.jpg", b"no image"), ("../../a.cls", b"1"))
    with tarfile.open(tmp_path / "train" / "0.tar", "a") as tar:
        link = tarfile.TarInfo("b.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    shards = Shards(root)
    assert len(shards) == 1 and shards.classes == ("class 0", "class 1")
    with pytest.raises(BadImage, match=r"0\.tar.*a\.jpg: cannot decode image"):
        shards[0]


def test_labels_beyond_the_classes_are_refused(tmp_path):
    root = shard(tmp_path / "train" / "0.tar", ("a.jpg", b"x"), ("a.cls", b"2"))
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    with pytest.raises(DataError, match="has the label 2, but only 2 classes"):
        data.load_part("shards", True, root)
