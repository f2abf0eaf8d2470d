"""Parquet files of encoded images: read forwards, and refused by file and row where they are wrong."""

import io
import json
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from train_runs import arrays, same

from minigrad import data
from minigrad.data import BadImage, DataError, DataLoader, Parquet
from minigrad.train.__main__ import main as train

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'minigrad[parquet]'")
pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
ROWS = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
NAMED = {b"huggingface": json.dumps({"info": {"features": {"label": {"names": ["cat", "dog"]}}}}).encode()}


def picture(number):
    file = io.BytesIO()
    Image.new("RGB", (8, 9), (number, 7, number // 2)).save(file, "png")
    return file.getvalue()


def write(path, numbers, labels=None, images=None, kind=ROWS, metadata=None, columns=("image", "label"), **settings):
    """A file whose images have these numbers as their red; labels: those modulo 2 unless given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if images is None:
        images = [picture(n) for n in numbers]
        images = [{"bytes": i, "path": "x.png"} for i in images] if pa.types.is_struct(kind) else images
    labels = pa.array([n % 2 for n in numbers] if labels is None else labels)
    table = pa.table([pa.array(images, kind), labels], names=columns).replace_schema_metadata(metadata)
    pq.write_table(table, path, row_group_size=settings.pop("row_group_size", 20), **settings)
    return path


@pytest.fixture
def hub(tmp_path):
    """A folder as a hub has it: two files of 50 and 30 rows to train on, one of 6 to test on."""
    write(tmp_path / "data/train-00000-of-00002.parquet", range(50), metadata=NAMED)
    write(tmp_path / "data/train-00001-of-00002.parquet", range(50, 80), metadata=NAMED)
    write(tmp_path / "data/validation-00000-of-00001.parquet", range(6), metadata=NAMED)
    return tmp_path


def reds(batches):
    return [round(255 * float(image[0, 0, 0])) for images, _ in batches for image in images]


def test_images_and_labels_are_those_of_the_rows(hub):
    images, test = data.load("parquet", hub)
    assert (len(images), len(test), images.classes, images.num_classes) == (80, 6, ("cat", "dog"), 2)
    for i in (0, 19, 20, 49, 50, 79, 3):
        image, label = images[i]
        assert image.shape == (9, 8, 3) and image[0, 0, 0] == i and label == i % 2 and type(label) is int
    assert repr(images) == "Parquet(2 files, 80 images, 2 classes)"


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), ROWS])
@pytest.mark.parametrize("folder", ["", "data", "train"])
def test_other_forms_and_places(tmp_path, kind, folder):
    write(tmp_path / folder / "train-0.parquet", range(5), kind=kind, columns=("img", "label"), compression="zstd")
    images = Parquet(tmp_path)
    assert images.classes == ("class 0", "class 1") and [images[i][0][0, 0, 0] for i in range(5)] == [0, 1, 2, 3, 4]
    assert Parquet(tmp_path, classes=("a", "b", "c")).num_classes == 3
    (tmp_path / "classes.txt").write_text("no\nyes\n")
    assert Parquet(tmp_path).classes == ("no", "yes")


def test_each_file_is_read_forwards_and_a_pass_goes_on_anywhere(hub, monkeypatch):
    from minigrad.data import parquet

    images, groups = Parquet(hub), []
    real = parquet.Rows.go_to

    def watched(self, row):
        before = self.group
        real(self, row)
        if self.group != before:
            groups.append((self.path.name[:11], self.group))

    monkeypatch.setattr(parquet.Rows, "go_to", watched)
    loader = DataLoader(images, 8, sampler=images.sampler, num_workers=2)
    whole = list(loader.iterate(1))
    assert sorted(reds(whole)) == list(range(80)) and reds(whole) != sorted(reds(whole))
    assert len(groups) <= 5 + 1  # of 3 and 2; one may lie on the border of two lanes
    for (a, b), (c, d) in zip(whole[4:], loader.iterate(1, start_batch=4), strict=True):
        assert_array_equal(a, c)
        assert_array_equal(b, d)
    shared = [reds(DataLoader(images, 8, sampler=images.sampler, share=(rank, 2)).iterate(1)) for rank in range(2)]
    assert sorted(shared[0] + shared[1]) == list(range(80)) and shared[0] == reds(whole)[::2]


def test_the_command_finds_them(hub, tmp_path, capsys):
    run = ["-a", "lenet5", "--data", str(hub), "--image-size", "28", "-b", "16", "--kernels", "reference", "-j", "0"]
    assert train([*run, "--epochs", "1", "--output-dir", str(tmp_path / "a")]) == 0
    assert "parquet: 80 training and 6 test images" in capsys.readouterr().out
    assert train([*run, "--epochs", "1", "-j", "2", "--output-dir", str(tmp_path / "b")]) == 0
    same(arrays(tmp_path / "a"), arrays(tmp_path / "b"))
    assert train(["--data", "parquet"]) == 2
    assert "--data parquet needs --data-path DIR, a directory with data/train-*.parquet" in capsys.readouterr().err


def test_null_bytes_and_what_is_no_image_are_named_by_row(tmp_path):
    images = [{"bytes": picture(0), "path": None}, {"bytes": None, "path": "a.png"}, None, {"bytes": b"x", "path": ""}]
    write(tmp_path / "train.parquet", [], labels=[0, 1, 0, 1], images=images, row_group_size=3)
    found = Parquet(tmp_path)
    for row in (1, 2):
        with pytest.raises(DataError, match=rf"train\.parquet: row {row} has no image \(null\)"):
            found[row]
    with pytest.raises(BadImage, match=r"train\.parquet.row 3: cannot decode image"):
        found[3]
    assert found[0][0].shape == (9, 8, 3)


@pytest.mark.parametrize(
    "settings, words",
    [
        (dict(labels=[0, None, 1]), r"x\.parquet: row 1 has no label \(null\)"),
        (dict(labels=[0, 1, -3]), r"x\.parquet: row 2 has the label -3; it must be at least 0"),
        (dict(labels=[0, 7, 1], metadata=NAMED), r"x\.parquet: row 1: the label 7, but there are 2 classes"),
        (dict(labels=["cat", "dog", "cat"]), r"column 'label' must hold integers; it has of the type string"),
        (dict(labels=[0.0, 1.0, 1.0]), r"column 'label' must hold integers; it has of the type double"),
        (dict(columns=("image", "class")), r"'label' must hold integers; it has none of that name: it has image \("),
        (dict(columns=("picture", "label")), r"no column 'image' with bytes, .*: it has picture \(struct"),
        (dict(images=[1, 2, 3], kind=pa.int64()), r"no column 'image' with bytes, .*: it has image \(int64\)"),
        (dict(images=[], numbers=[], labels=pa.array([], pa.int64())), "it says that it has 0 rows"),
    ],
)
def test_wrong_files_are_named(tmp_path, settings, words):
    write(tmp_path / "data/train-x.parquet", **{"numbers": [1, 2, 3], **settings})
    with pytest.raises(DataError, match=words) as caught:
        Parquet(tmp_path)
    assert "\n" not in str(caught.value)


def test_files_that_are_missing_are_named(hub):
    (hub / "data/train-00001-of-00002.parquet").unlink()
    with pytest.raises(DataError, match=r"train-00001-of-00002\.parquet: missing; train-00000-of-00002\.parquet is"):
        Parquet(hub)
    with pytest.raises(DataError, match=r"no data/train-\*\.parquet in"):
        Parquet(hub / "nothing")


def test_every_damage_is_refused_in_one_line_or_harmless(tmp_path):
    """Torn anywhere, a bit flipped anywhere: DataError, or the images that were there (no checksum guards a footer)."""
    path = write(tmp_path / "train.parquet", range(4), write_page_checksum=True)
    whole, refused = path.read_bytes(), 0
    numbers = np.random.default_rng(0)
    torn = [whole[:n] for n in numbers.integers(0, len(whole), 15)]
    flipped = []
    for bit in numbers.integers(0, 8 * len(whole), 85):
        flipped.append(bytearray(whole))
        flipped[-1][bit // 8] ^= 1 << bit % 8
    for content in (*torn, *flipped):
        path.write_bytes(content)
        try:
            found = Parquet(tmp_path)
            [found[i] for i in range(len(found))]
        except DataError as error:
            refused += 1
            assert "train.parquet" in str(error) and "\n" not in str(error)
    assert refused > 50


def test_a_file_that_claims_too_many_rows_is_refused(tmp_path, monkeypatch):
    from minigrad.data import parquet

    write(tmp_path / "train.parquet", range(9))
    monkeypatch.setattr(parquet, "MOST_ROWS", 8)
    with pytest.raises(DataError, match="it says that it has 9 rows; from 1 to 8 are read"):
        Parquet(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(parquet, "LARGEST_GROUP", 100)
    with pytest.raises(DataError, match=r"row group 0 has [\d,]+ bytes; at most 100"):
        Parquet(tmp_path)


def test_without_pyarrow_a_line_says_what_to_install(hub, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(DataError, match=r"reading Parquet needs pyarrow: pip install 'minigrad\[parquet\]'"):
        Parquet(hub)
