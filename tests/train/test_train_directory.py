"""A run's directory: one run's own, locked, and gone if nothing came of it."""

import fcntl
import os
import signal
import subprocess
import sys

import pytest
from train_runs import TINY, environment, main, records, train

from minigrad.train import checkpoint, directory, loop

ONE = ("-a", "lenet5", *TINY, "--epochs", 1, "--lr-warmup-epochs", 0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("directory") / "run"
    assert train(path, *ONE) == 0
    return path


@pytest.fixture
def held(tmp_path):
    """A directory that another process is writing to."""
    code = (
        "import fcntl, os, sys; d = os.open(sys.argv[1], os.O_RDONLY); fcntl.flock(d, fcntl.LOCK_EX); "
        "print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield tmp_path, process
    process.communicate("")


def test_two_runs_of_one_second_get_a_directory_each(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(directory.time, "strftime", lambda form: "20261130-120000")
    assert main([str(a) for a in ONE]) == main([str(a) for a in ONE]) == 0
    name = "lenet5-fashion-mnist-10k-20261130-120000"
    assert sorted(os.listdir("runs")) == [name, f"{name}-2"]
    assert all(len(records(tmp_path / "runs" / run)) == 1 for run in (name, f"{name}-2"))


def test_a_directory_that_another_run_writes_to_is_refused(held, capfd):
    path, _ = held
    assert train(path, *ONE) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.endswith(f"{path}: another run is writing to this directory")
    assert os.listdir(path) == []


def test_a_second_resume_is_refused_before_anything_is_written(finished, capfd):
    before = {p.name: p.stat().st_mtime_ns for p in finished.iterdir()}
    holder = os.open(finished, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    try:
        assert main(["--resume", str(finished), "--epochs", "2"]) == 2
        assert "another run is writing" in capfd.readouterr().err
        assert {p.name: p.stat().st_mtime_ns for p in finished.iterdir()} == before
        assert main(["--resume", str(finished), "--evaluate"]) == 0  # reading is no harm
    finally:
        os.close(holder)


def test_a_killed_run_leaves_no_lock_behind(held):
    path, process = held
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert train(path, *ONE) == 0


@pytest.mark.parametrize("inside", [False, True], ids=["new directory", "directory that was there"])
def test_a_failed_start_leaves_nothing_behind(tmp_path, monkeypatch, inside):
    path = tmp_path / "a" / "b"
    if inside:
        path.mkdir(parents=True)
        (path / "notes.txt").write_text("mine")

    def fail(*inputs, **settings):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(loop, "train_step", fail)
    assert train(path, *ONE) == 2
    assert os.listdir(path) == ["notes.txt"] if inside else not (tmp_path / "a").exists()


def test_somebody_elses_config_is_not_overwritten(tmp_path, capfd):
    (tmp_path / "config.toml").write_text("[tool]\n")
    assert train(tmp_path, *ONE) == 2
    assert "holds a config.toml already" in capfd.readouterr().err
    assert (tmp_path / "config.toml").read_text() == "[tool]\n"


def test_a_directory_with_only_the_best_checkpoint_holds_a_run(finished, tmp_path, capfd):
    (tmp_path / checkpoint.BEST).write_bytes((finished / checkpoint.BEST).read_bytes())
    assert train(tmp_path, *ONE) == 2
    assert "holds a run already" in capfd.readouterr().err


def test_a_run_may_be_resumed_into_another_directory(finished, tmp_path):
    before = (finished / checkpoint.LAST).read_bytes()
    assert main(["--resume", str(finished), "--epochs", "2", "--output-dir", str(tmp_path / "more")]) == 0
    assert len(records(tmp_path / "more")) == 2 and (finished / checkpoint.LAST).read_bytes() == before


@pytest.mark.long
def test_two_processes_started_at_once(tmp_path):
    """The default directory, from two processes: both run, each alone in its own."""
    line = [sys.executable, "-m", "minigrad.train", "--threads", "1", *map(str, ONE)]
    both = [
        subprocess.Popen(line, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert [p.communicate(timeout=300)[0] and p.returncode for p in both] == [0, 0]
    runs = sorted(os.listdir(tmp_path / "runs"))
    assert len(runs) == 2 and all(len(records(tmp_path / "runs" / run)) == 1 for run in runs)
