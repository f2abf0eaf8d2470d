"""Checkpoints that are torn, flipped or can't be written: said in a line, and the one before is used or kept."""

import pytest
from train_runs import QUICK, arrays, main, records, same, train

from minigrad.train import checkpoint, keeper

RUN = ("-a", "lenet5", *QUICK, "--limit-train-batches", 6, "--limit-test-batches", 2)
STEPS = ("--checkpoint-steps", 2)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run"
    assert train(path, *RUN, "--threads", 1) == 0
    return path


def equal(a, b):
    """Two runs: the same weights, optimizer, records and pictures."""
    for name in (checkpoint.LAST, checkpoint.BEST):
        same(arrays(a, name), arrays(b, name))
    assert records(a) == records(b)
    for name in ("curves.png", "confusion.png", "classes.csv"):
        assert (a / name).read_bytes() == (b / name).read_bytes()


def stopped_at(step, path, monkeypatch, *arguments):
    """A run that dies in that step, so that what counts are the checkpoints before it."""
    from minigrad.train import loop

    real, done = loop.train_step, [0]

    def dying(*inputs, **settings):
        done[0] += 1
        if done[0] == step:
            raise KeyboardInterrupt
        return real(*inputs, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", dying)
        assert train(path, *RUN, *STEPS, *arguments) == 130


def position(path):
    progress = checkpoint.read(path)[1]["progress"]
    return progress["epoch"], progress["step"]


def test_checkpoints_within_an_epoch(whole, tmp_path, monkeypatch):
    stopped_at(6, tmp_path, monkeypatch)
    assert position(tmp_path / checkpoint.LAST) == (0, 4) and position(tmp_path / checkpoint.PREVIOUS) == (0, 2)
    assert main(["--resume", str(tmp_path)]) == 0
    equal(whole, tmp_path)


@pytest.mark.parametrize("threads, workers", [(1, 2), (2, 0)])
def test_another_number_of_threads_and_workers_goes_on_with_the_same_bits(
    whole, tmp_path, monkeypatch, threads, workers
):
    stopped_at(11, tmp_path, monkeypatch, "--threads", 3 - threads, "-j", 2 - workers)
    assert main(["--resume", str(tmp_path), "--threads", str(threads), "-j", str(workers)]) == 0
    equal(whole, tmp_path)


def test_minutes_are_counted_by_a_clock_that_does_not_jump(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(keeper.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(keeper.time, "time", lambda: 1 / 0)
    kept = keeper.Keeper(tmp_path, every_minutes=2)
    assert not kept.due(1)
    now[0] = 119.0
    assert not kept.due(1)
    now[0] = 120.0
    assert kept.due(1)
    kept.start({}, {"progress": {}}, 1)
    kept.wait()
    assert not kept.due(2)


@pytest.mark.parametrize("harm", ["torn", "flipped", "missing"])
def test_the_checkpoint_before_a_damaged_one_is_used(whole, tmp_path, monkeypatch, capsys, harm):
    stopped_at(11, tmp_path, monkeypatch)
    last = tmp_path / checkpoint.LAST
    data = bytearray(last.read_bytes())
    data[len(data) // 2] ^= 1
    last.unlink()
    if harm != "missing":
        last.write_bytes(data if harm == "flipped" else data[: len(data) // 2])
    capsys.readouterr()
    assert main(["--resume", str(tmp_path)]) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if "previous.safetensors" in line]
    if harm == "missing":
        assert said == []
    else:
        assert len(said) == 1 and said[0].startswith(f"note      {last}: damaged")
    equal(whole, tmp_path)


def full_disk(monkeypatch, ends):
    """From now on no checkpoint can be written, for want of room, until `ends` were tried."""
    real, tried = checkpoint.write_atomically, [0]

    def write(path, data):
        tried[0] += 1
        if tried[0] <= ends:
            raise OSError(28, "No space left on device", str(path))
        real(path, data)

    monkeypatch.setattr(checkpoint, "write_atomically", write)


def test_a_full_disk_is_said_and_the_run_goes_on(whole, tmp_path, monkeypatch, capsys):
    full_disk(monkeypatch, 2)
    assert train(tmp_path, *RUN, *STEPS) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if "No space left" in line]
    assert len(said) == 2 and all("the one before it is kept" in line for line in said)
    equal(whole, tmp_path)


def test_a_disk_that_stays_full_ends_in_one_line_and_the_checkpoint_before_is_kept(tmp_path, monkeypatch, capfd):
    stopped_at(6, tmp_path, monkeypatch)
    before = (tmp_path / checkpoint.LAST).read_bytes()
    with monkeypatch.context() as patch:
        full_disk(patch, 10**6)
        assert main(["--resume", str(tmp_path)]) == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "error" in line]
    assert "No space left on device" in line
    assert (tmp_path / checkpoint.LAST).read_bytes() == before
    assert not list(tmp_path.glob("*.tmp"))


def test_best_checkpoints_of_another_future_are_not_taken_for_this_one(tmp_path, capsys):
    settings = ("-a", "lenet5", *QUICK, "--limit-train-batches", 2, "--lr-scheduler", "constant", "--keep-last", 3)
    assert train(tmp_path, *settings, "--limit-test-batches", 2, "--epochs", 3, "--lr", 0.02) == 0
    assert position(tmp_path / checkpoint.BEST)[0] > 1
    stuck = ["--resume", str(tmp_path / "epoch-1.safetensors"), "--lr", "1e-30", "--epochs", "2"]
    assert main(stuck) == 0
    assert position(tmp_path / checkpoint.BEST) == (1, 0)


def test_a_best_checkpoint_that_is_gone_is_said(tmp_path, capsys):
    run, other = tmp_path / "run", tmp_path / "other"
    stuck = ("-a", "lenet5", *QUICK, "--limit-train-batches", 2, "--limit-test-batches", 2, "--lr", 1e-30)
    assert train(run, *stuck) == 0
    assert train(other, "--resume", run / checkpoint.LAST, "--epochs", 3) == 0
    assert position(other / checkpoint.BEST) == (1, 0)
    (run / checkpoint.BEST).unlink()
    assert main(["--resume", str(run), "--epochs", "3"]) == 0
    assert "the best epoch so far, 1, has no checkpoint any more" in capsys.readouterr().out
