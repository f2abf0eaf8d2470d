"""Samples and images that can't be read: named, or left out and counted."""

import threading

import numpy as np
import pytest
from data_sets import Listed, numbered, workers_alive
from PIL import Image

from minigrad.data import BadImage, DataError, DataLoader, DataWarning, ImageFolder, transforms


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_bad_sample_is_named(num_workers):
    class Broken(Listed):
        def __getitem__(self, i):
            if i == 13:
                raise OSError("disk on fire")
            return super().__getitem__(i)

    loader = DataLoader(Broken(numbered()), 5, num_workers=num_workers)
    seen = []
    with pytest.raises(DataError, match="sample 13: disk on fire") as caught:
        seen.extend(y for _, y in loader)
    assert len(seen) == 2  # the batches before it did arrive
    assert isinstance(caught.value.__cause__, OSError)
    assert not workers_alive()


def test_files_are_named(tmp_path):
    for name, size in (("a/1.png", (8, 8)), ("a/2.png", (6, 8)), ("b/1.png", (8, 8))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", size).save(tmp_path / name)
    folder = ImageFolder(tmp_path, train=None)
    with pytest.raises(DataError, match=r"sample 0 \(.*a/1\.png\) has \(8, 8, 3\) and sample 1 \(.*a/2\.png\).*Resize"):
        list(DataLoader(folder, 3))
    with pytest.raises(DataError, match=r"sample 1 \(.*a/2\.png\): RandomCrop: .* smaller"):
        list(DataLoader(folder, 3, transform=transforms.RandomCrop(7)))
    x, y = next(iter(DataLoader(folder, 3, num_workers=1, transform=transforms.Resize((4, 4)))))
    assert x.shape == (3, 4, 4, 3) and y.tolist() == [0, 0, 1]
    (tmp_path / "b/1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"b/1\.png: cannot decode"):
        list(DataLoader(folder, 3, num_workers=1, transform=transforms.Resize((4, 4))))


@pytest.fixture
def folder(tmp_path):
    """Six images of two classes; numbers 1 and 4 are bad."""
    for i, name in enumerate(("a/1.png", "a/2.png", "a/3.png", "b/1.png", "b/2.png", "b/3.png")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4), (i, i, i)).save(tmp_path / name)
    for name in ("a/2.png", "b/2.png"):
        (tmp_path / name).write_bytes(b"no image")
    return ImageFolder(tmp_path, train=None)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_bad_image_is_an_error_that_knows_its_file(folder, num_workers):
    seen = []
    with pytest.raises(BadImage, match=r"sample 1: .*a/2\.png: cannot decode") as caught:
        seen.extend(DataLoader(folder, 1, num_workers=num_workers))
    assert len(seen) == 1 and caught.value.path == folder.paths[1]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_bad_images_can_be_skipped_and_are_counted(folder, num_workers):
    loader = DataLoader(folder, 3, num_workers=num_workers, skip_bad_images=True)
    with pytest.warns(DataWarning, match=r"2 of 6 images can't be decoded and are left out, the last: .*b/2\.png: "):
        batches = list(loader)
    assert [y.tolist() for _, y in batches] == [[0, 0], [1, 1]]
    np.testing.assert_allclose(np.concatenate([x[:, 0, 0, 0] for x, _ in batches]) * 255, [0, 2, 3, 5], rtol=1e-6)
    assert list(loader.skipped) == [str(folder.paths[1]), str(folder.paths[4])]
    assert len(list(loader)) == 2  # known by now: no second warning


def test_skipped_images_are_in_order_though_threads_meet_them_in_another(folder):
    read, later = type(folder).__getitem__, threading.Event()

    class Slow(type(folder)):
        def __getitem__(self, i):
            assert i != 1 or later.wait(10)
            try:
                return read(self, i)
            finally:
                if i == 4:
                    later.set()

    folder.__class__ = Slow
    loader = DataLoader(folder, 3, num_workers=2, skip_bad_images=True)
    with pytest.warns(DataWarning, match=r"the last: .*b/2\.png: "):
        list(loader)
    assert list(loader.skipped) == [str(folder.paths[1]), str(folder.paths[4])]


def test_a_batch_of_bad_images_only_is_an_error(folder):
    with pytest.raises(DataError, match=r"none of the 1 images of a batch can be decoded; .*a/2\.png"):
        list(DataLoader(folder, 1, skip_bad_images=True))


def test_skipping_is_for_bad_images_only():
    class Broken(Listed):
        def __getitem__(self, i):
            raise OSError("disk on fire")

    with pytest.raises(DataError, match="sample 0: disk on fire"):
        list(DataLoader(Broken(numbered()), 5, skip_bad_images=True))
