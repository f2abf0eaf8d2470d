"""Checkpoints: what is written comes back, whole or not at all, and damage is found."""

import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from minigrad.train import checkpoint
from minigrad.train.checkpoint import CheckpointError

ARRAYS = {
    "transposed": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "slice": np.arange(10, dtype=np.float64)[::3],
    "number": np.array(7),
    "empty": np.zeros((0, 3), np.float32),
}
FACTS = {"step": 3, "loss": 0.1 + 0.2, "text": "é"}


def test_arrays_and_facts_come_back_as_they_were(tmp_path):
    checkpoint.save([tmp_path / "last.safetensors"], ARRAYS, FACTS)
    arrays, facts = checkpoint.load(tmp_path)
    assert facts == FACTS and arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype and arrays[name].shape == array.shape
        assert_array_equal(arrays[name], array)


@pytest.mark.parametrize("position", [0, 20, 0.5, -1])
def test_a_changed_byte_is_found(tmp_path, position):
    path = tmp_path / "last.safetensors"
    checkpoint.save([path], ARRAYS, FACTS)
    data = bytearray(path.read_bytes())
    data[int(position * len(data)) if isinstance(position, float) else position] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"damaged|not a checkpoint"):
        checkpoint.load(path)


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_a_truncated_file_is_found_and_the_other_one_suggested(tmp_path, length):
    paths = [tmp_path / name for name in (checkpoint.LAST, checkpoint.BEST)]
    checkpoint.save(paths, ARRAYS, FACTS)
    paths[0].write_bytes(paths[0].read_bytes()[:length])
    with pytest.raises(CheckpointError, match=r"damaged.*best.safetensors is intact: try --resume"):
        checkpoint.load(paths[0])
    arrays, _, used, (damage,) = checkpoint.found(tmp_path)
    assert arrays.keys() == ARRAYS.keys() and used == paths[1] and damage.startswith(f"{paths[0]}: damaged")
    paths[1].write_bytes(b"")
    for path in (tmp_path, paths[0]):
        with pytest.raises(CheckpointError, match=r"last.safetensors: damaged") as error:
            checkpoint.load(path)
        assert "intact" not in str(error.value)


def test_the_newest_checkpoint_is_told_by_name(tmp_path):
    names = ["best", "epoch-2", "epoch-10", "previous", "next", "last"]  # whatever the clock said
    for name in names:
        checkpoint.save([tmp_path / f"{name}.safetensors"], {}, {})
    assert [path.stem for path in checkpoint.newest_first(tmp_path)] == names[::-1]


def test_a_foreign_file_is_no_checkpoint(tmp_path):
    from safetensors.numpy import save_file

    save_file({"w": np.zeros(3, np.float32)}, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match="not a checkpoint of a training run"):
        checkpoint.load(tmp_path / "w.safetensors")


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "last.safetensors"
    checkpoint.save([path], ARRAYS, {"step": 1})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save([path], ARRAYS, {"step": 2})
    assert checkpoint.load(path)[1] == {"step": 1}
