"""What goes wrong in the middle of a run: its data, its workers, its disk. Each ends in one line that says what."""

import resource
import signal
import subprocess

import pytest
from train_runs import QUICK, ROOT, arrays, command, environment, long, main, records, same, train

from minigrad.train import checkpoint

DATA = """
import numpy as np
from minigrad.data import ArrayDataset, Dataset

def images(n=64):
    return np.random.default_rng(0).integers(0, 256, (n, 8, 8, 1), dtype=np.uint8)

class Faulty(Dataset):
    classes, num_classes, image_shape, mean, std = list("abc"), 3, (8, 8, 1), (0.5,), (0.5,)

    def __init__(self, fault):
        self.fault, self.images = fault, images()

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.fault(i, self.images[i].astype(np.float32) / 255, i % 3)

def raising(i, image, label):
    if i == 40:
        raise RuntimeError("lost the connection")
    return image, label

def with_nan(i, image, label):
    return (image * np.nan if i == 40 else image), label

def with_label(i, image, label):
    return image, 7 if i == 40 else label

def negative(i, image, label):
    return image, -1 if i == 40 else label

def text(i, image, label):
    return image, "b" if i == 40 else label

def made(fault):
    return lambda: (Faulty(fault), Faulty(lambda i, image, label: (image, label)))

worker, nan, large, below, word = map(made, (raising, with_nan, with_label, negative, text))
good = made(lambda i, image, label: (image, label))
"""
NET = """
from minigrad import nn

def net(num_classes, in_channels):
    return nn.Sequential(nn.Flatten(), nn.Linear(64 * in_channels, num_classes))
"""
FAULTS = {
    "worker": (2, "DataLoader: sample 40: lost the connection"),
    "nan": (1, "the loss is nan at step "),
    "large": (2, "labels must be from 0 to 2; a batch has 7"),
    "below": (2, "labels must be from 0 to 2; a batch has -1"),
    "word": (2, "sample 40"),
}


@pytest.fixture
def files(tmp_path):
    (tmp_path / "data.py").write_text(DATA)
    (tmp_path / "net.py").write_text(NET)
    return tmp_path


def settings(files, data):
    own = ("--arch", f"{files}/net.py:net", "--data", f"{files}/data.py:{data}")
    return (*own, *QUICK, "-b", 8, "--lr", 0.01, "--no-augment")


@pytest.mark.parametrize("fault, workers", [*((fault, 2) for fault in FAULTS), long("worker", 0), long("below", 0)])
def test_a_fault_in_the_data_is_said_and_what_was_trained_is_kept(files, capfd, fault, workers):
    status, message = FAULTS[fault]
    every = ("--checkpoint-steps", 1, "--seed", 3, "-j", workers)
    assert train(files / "run", *settings(files, fault), *every) == status
    captured = capfd.readouterr()
    said = [line for line in (captured.err if status == 2 else captured.out).splitlines() if message in line]
    assert len(said) == 1, captured
    assert 0 < checkpoint.read(files / "run" / checkpoint.LAST)[1]["progress"]["step"] < 8


def test_a_disk_with_room_for_small_files_only(files):
    """A real limit, in a process of its own: no checkpoint fits; nothing is torn, nothing is left, one line says it."""

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))

    arguments = (*settings(files, "good"), "--output-dir", files / "run", "--kernels", "reference")
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, cwd=ROOT, env=environment(), preexec_fn=limited
    )
    assert done.returncode == 2, done
    (line,) = done.stderr.splitlines()
    assert "File too large" in line
    assert not list((files / "run").glob("*.tmp")) and not (files / "run" / checkpoint.LAST).exists()


def test_a_run_in_the_directory_of_another_is_refused(files, capfd):
    assert train(files / "run", *settings(files, "good")) == 0
    before = arrays(files / "run")
    assert train(files / "run", *settings(files, "good")) == 2
    assert "holds a run already" in capfd.readouterr().err
    same(arrays(files / "run"), before)


def test_the_wall_clock_may_jump(files, monkeypatch):
    """Into the past and far into the future: nothing that is written or kept depends on it."""
    from minigrad.train import directory

    jumps = iter([10**9, 0, 4 * 10**9, 17] * 10**4)
    monkeypatch.setattr("time.time", lambda: next(jumps))
    monkeypatch.setattr(directory.time, "strftime", lambda form: "19700101-000000")
    for name in ("a", "b"):
        assert train(files / name, *settings(files, "good"), "--checkpoint-minutes", 1e-9, "--keep-last", 1) == 0
    same(arrays(files / "a"), arrays(files / "b"))
    assert main(["--resume", str(files / "a"), *map(str, settings(files, "good")[:4]), "--epochs", "3"]) == 0
    assert len(records(files / "a")) == 3
