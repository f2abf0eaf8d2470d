"""Killed at any moment, a run goes on from its last checkpoint and leaves the same files, bit for bit."""

import random
import signal
import sys
import time

import numpy as np
import pytest
from killed_runs import SMALL, Forks, left

from minigrad.pack.__main__ import main as pack
from minigrad.train import checkpoint

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no fork, no SIGKILL")
SETTINGS = (*SMALL, "--checkpoint-steps", 2, "--keep-last", 2, "--model-ema", 0.9, "--opt", "adam")


@pytest.fixture(scope="module")
def forks():
    with Forks() as running:
        yield running


@pytest.fixture(scope="module")
def quick_forks():
    """For the tests that kill a hundred runs: their pictures are text."""
    with Forks(pictures=False) as running:
        yield running


@pytest.fixture(scope="module")
def whole(forks, tmp_path_factory):
    return left_whole(forks, tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture(scope="module")
def quick_whole(quick_forks, tmp_path_factory):
    return left_whole(quick_forks, tmp_path_factory.mktemp("quick_whole") / "run")


def left_whole(forks, path):
    """(what a run leaves that nothing happened to, the seconds that it took)"""
    start = time.monotonic()
    assert forks.run(*SETTINGS, "--output-dir", path) == 0
    return left(path), time.monotonic() - start


def holds_a_checkpoint(path):
    return any(path.glob("*.safetensors"))


def begin(path):
    """The arguments that start a run, or go on with it."""
    return ("--resume", path) if holds_a_checkpoint(path) else (*SETTINGS, "--output-dir", path)


def test_a_run_leaves_what_it_should(whole):
    names = {"config.toml", "metrics.jsonl", "curves.png", "confusion.png", "classes.csv", "last.safetensors"}
    assert whole[0].keys() == names | {"best.safetensors", "epoch-2.safetensors", "epoch-3.safetensors"}


def killed_at_random(forks, whole, path, kills, seed):
    """Runs that are killed so often in all, at moments that the seed says; each then goes on to its end.

    When a run ends before it could be killed, the next one is killed earlier.
    """
    moments, seconds, number = random.Random(seed), whole[1], 0
    while kills:
        directory = path / str(number)
        ended = forks.run(*begin(directory), kill_after=moments.uniform(0, seconds))
        if ended != -signal.SIGKILL:
            assert_right(directory, whole[0], ended)
            seconds, number = seconds / 2, number + 1
        else:
            kills -= 1
    if ended == -signal.SIGKILL:
        assert_right(directory, whole[0], forks.run(*begin(directory)))


def assert_right(directory, whole, status):
    """It holds what the run left that nothing happened to. Status 2: the run was complete already."""
    assert status in (0, 2)
    if status:
        progress = checkpoint.read(directory / checkpoint.LAST)[1]["progress"]
        assert progress["epoch"] == 3 and not progress["step"]
    assert left(directory) == whole


def test_killed_at_five_random_moments(forks, whole, tmp_path):
    killed_at_random(forks, whole, tmp_path, 5, 0)


@pytest.mark.long
def test_killed_at_fifty_random_moments(quick_forks, quick_whole, tmp_path):
    for seed in range(10):
        killed_at_random(quick_forks, quick_whole, tmp_path / str(seed), 5, seed)


@pytest.mark.parametrize("file", [1, 9, 12, 46])
def test_killed_in_place_of_a_file(forks, whole, tmp_path, file):
    killed_before(forks, whole, tmp_path / "run", file)


@pytest.mark.long
def test_killed_in_place_of_any_file(quick_forks, quick_whole, tmp_path):
    files = 0
    while killed_before(quick_forks, quick_whole, tmp_path / str(files), files):
        files += 1
    assert files > 30


def killed_before(forks, whole, path, file):
    """Kill a run in place of its file of that number, and let it go on. Was there such a file?"""
    ended = forks.run(*SETTINGS, "--output-dir", path, kill_at=file)
    assert ended in (-signal.SIGKILL, 0)
    assert_right(path, whole[0], forks.run(*begin(path)) if ended else 0)
    return ended != 0


@pytest.fixture
def shards(tmp_path):
    """A folder of shards with 40 training and 10 validation images of each of two classes."""
    from PIL import Image

    numbers = np.random.default_rng(0)
    for part, count in ("train", 40), ("val", 10):
        for i in range(2 * count):
            (tmp_path / "images" / part / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(numbers.integers(0, 256, (32, 32, 3), np.uint8))
            image.save(tmp_path / "images" / part / "ab"[i % 2] / f"{i}.png")
    assert pack([str(tmp_path / "images"), str(tmp_path / "packed")]) == 0
    return tmp_path / "packed"


@pytest.mark.long
def test_killed_in_the_middle_of_a_shard(forks, shards, tmp_path):
    settings = (*SMALL, "--data", shards, "--checkpoint-steps", 2)
    assert forks.run(*settings, "--output-dir", tmp_path / "whole") == 0
    assert forks.run(*settings, "--output-dir", tmp_path / "killed", kill_at=8) == -signal.SIGKILL
    kept = [tmp_path / "killed" / name for name in (checkpoint.LAST, "previous.safetensors")]
    assert 0 < checkpoint.read(next(p for p in kept if p.exists()))[1]["progress"]["step"] < 5
    assert forks.run("--resume", tmp_path / "killed", "--data-path", shards) == 0
    assert left(tmp_path / "killed") == left(tmp_path / "whole")
