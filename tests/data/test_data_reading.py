"""How shards are read: each file forwards, once, from any place, and the same for any number of processes."""

import io
import tarfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from minigrad.data import DataError, DataLoader, RandomStream, Shards, WindowSampler, reading

SIZES = [30, 50, 20, 40, 33]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Five shards of pictures of one pixel; the label is the picture's number."""
    path, number = tmp_path_factory.mktemp("shards"), 0
    (path / "train").mkdir()
    for shard, size in enumerate(SIZES):
        with tarfile.open(path / "train" / f"{shard}.tar", "w") as tar:
            for _ in range(size):
                picture = io.BytesIO()
                Image.new("RGB", (1, 1), (number, 0, 0)).save(picture, "png")
                for ending, content in (("png", picture.getvalue()), ("cls", b"%d" % number)):
                    member = tarfile.TarInfo(f"{number:04}.{ending}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
                number += 1
    return path


class Watched(Shards):
    """Notes which sample is read from which open file."""

    def __init__(self, root):
        super().__init__(root)
        self.sampler_of_window = WindowSampler(SIZES, window=24)
        self.read_from, self.open = [], []

    def opened(self, index):
        self.open.append(super().opened(index))
        return self.open[-1]

    def piece(self, index, file):
        self.read_from.append((int(index), self.open.index(file)))
        return super().piece(index, file)


def loader(shards, **settings):
    return DataLoader(shards, 16, sampler=shards.sampler_of_window, seed=1, **settings)


def labels(batches):
    return np.concatenate([its for _, its in batches]).tolist()


def test_the_window_mixes_and_reads_on():
    sampler = WindowSampler(SIZES, window=40)
    assert sampler.lanes == 4
    order = sampler.indices(RandomStream(1))
    assert sorted(order) == list(range(sum(SIZES)))
    for lane in range(4):
        mine = order[lane::4]
        shards = np.digitize(mine, np.cumsum(SIZES))
        assert not np.array_equal(mine, np.sort(mine))
        for shard in set(shards.tolist()):
            part = mine[shards == shard]
            assert (np.maximum.accumulate(part) - part < 10).all()  # never 40 / 4 places behind its place
    assert not np.array_equal(order, sampler.indices(RandomStream(2)))
    assert [WindowSampler([1] * n).lanes for n in (1, 2, 3, 7, 8, 100)] == [1, 2, 2, 4, 8, 16]
    with pytest.raises(ValueError, match="window must be at least 1; got 0"):
        WindowSampler([1], 0)


@pytest.mark.parametrize("workers", [0, 3])
def test_each_file_is_read_once_and_forwards(root, workers):
    shards = Watched(root)
    found = labels(loader(shards, num_workers=workers).iterate(0))
    assert sorted(found) == list(range(sum(SIZES))) and found != sorted(found)
    assert sorted(i for i, _ in shards.read_from) == sorted(found)
    for number, file in enumerate(shards.open):
        mine = [i for i, of in shards.read_from if of == number]
        assert mine == sorted(mine) and file.closed
    assert len(shards.open) == len(SIZES)


def test_an_epoch_goes_on_anywhere_and_reads_only_what_is_left(root):
    whole = list(loader(Watched(root)).iterate(2))
    for start in (1, 5, 10):
        shards = Watched(root)
        rest = list(loader(shards, num_workers=2).iterate(2, start_batch=start))
        for (images, its), (mine, own) in zip(whole[start:], rest, strict=True):
            assert_array_equal(images, mine)
            assert_array_equal(its, own)
        assert len(shards.read_from) == sum(SIZES) - 16 * start


def test_processes_share_batches_and_read_files_of_their_own(root):
    whole = labels(loader(Watched(root)).iterate(3))
    for size in (2, 4):
        watched = [Watched(root) for _ in range(size)]
        parts = [labels(loader(s, share=(rank, size)).iterate(3)) for rank, s in enumerate(watched)]
        assert sorted(i for part in parts for i in part) == sorted(whole)
        assert parts[0] == [i for k in range(0, len(whole), 16) for i in whole[k : k + 16 : size]]
        assert sum(len(s.open) for s in watched) <= len(SIZES) + 3  # of four lanes; a file on a border belongs to two


def test_what_does_not_fit_is_read_from_its_place(root, monkeypatch):
    monkeypatch.setattr(reading, "MOST_KEPT", 200)
    shards = Watched(root)
    assert labels(loader(shards).iterate(0)) == labels(loader(Watched(root)).iterate(0))
    assert len(shards.read_from) > sum(SIZES)


def test_files_are_closed_when_the_consumer_leaves(root):
    for workers in (0, 2):
        shards = Watched(root)
        batches = loader(shards, num_workers=workers).iterate(0)
        next(batches)
        assert not all(file.closed for file in shards.open)
        batches.close()
        assert shards.open and all(file.closed for file in shards.open)


def test_a_random_order_is_read_from_places(root, monkeypatch):
    monkeypatch.setattr(reading, "FAR", 1)
    shards = Watched(root)
    assert sorted(labels(DataLoader(shards, 16, shuffle=True))) == list(range(sum(SIZES)))
    assert len(shards.open) == sum(SIZES)


def test_a_file_that_becomes_shorter_is_named(root, tmp_path):
    copy = tmp_path / "train" / "0.tar"
    copy.parent.mkdir()
    copy.write_bytes((root / "train" / "0.tar").read_bytes())
    shards = Shards(tmp_path)
    copy.write_bytes(copy.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"0\.tar: became shorter while it was in use: 0003\.png is not whole"):
        list(DataLoader(shards, 10))
