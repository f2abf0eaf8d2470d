"""Every stop saves: signals, and failures outside a step. What was killed in between comes right when it goes on."""

import os
import signal
import threading

import numpy as np
import pytest
from train_runs import TINY, arrays, long, main, records, same, train

from minigrad.data import DataError
from minigrad.train import checkpoint, loop, session

RUN = ("-a", "lenet5", *TINY)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing happened to."""
    path = tmp_path_factory.mktemp("whole")
    assert train(path, *RUN) == 0
    return path


def in_step(monkeypatch, number, act):
    """Call act() within that step (counted from now)."""
    real, done = loop.train_step, [0]

    def step(*inputs, **settings):
        done[0] += 1
        if done[0] == number:
            act()
        return real(*inputs, **settings)

    monkeypatch.setattr(loop, "train_step", step)


def equal(a, b):
    """Two runs: the same weights and records, last and best."""
    for name in (checkpoint.LAST, checkpoint.BEST):
        same(arrays(a, name), arrays(b, name))
    assert records(a) == records(b)


@pytest.mark.parametrize("number", [long(signal.SIGHUP), long(signal.SIGINT), signal.SIGTERM])
def test_each_signal_saves_and_the_run_goes_on_bit_for_bit(whole, tmp_path, monkeypatch, number):
    with monkeypatch.context() as patch:
        in_step(patch, 3, lambda: signal.raise_signal(number))
        assert train(tmp_path, *RUN) == 128 + number
    assert checkpoint.read(tmp_path / checkpoint.LAST)[1]["progress"]["step"] == 3
    assert main(["--resume", str(tmp_path)]) == 0
    equal(whole, tmp_path)


def test_a_terminal_that_hangs_up_twice_does_not_lose_the_run(tmp_path, monkeypatch):
    def twice():
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)

    in_step(monkeypatch, 1, twice)
    assert train(tmp_path, *RUN) == 129
    assert (tmp_path / checkpoint.LAST).exists()


@pytest.mark.long
def test_a_signal_that_is_ignored_stays_ignored(tmp_path, monkeypatch):
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        in_step(monkeypatch, 2, lambda: signal.raise_signal(signal.SIGHUP))
        assert train(tmp_path, *RUN) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_is_answered_within_the_step(tmp_path, monkeypatch, capfd):
    heard = []

    def interrupt():
        signal.raise_signal(signal.SIGINT)
        heard.append(capfd.readouterr().err)
        heard.append(signal.getsignal(signal.SIGINT))

    in_step(monkeypatch, 1, interrupt)
    assert train(tmp_path, *RUN) == 130
    assert heard == ["\nSIGINT: stopping after this step (again: at once)\n", signal.SIG_DFL]


def test_resuming_says_where(tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        in_step(patch, 3, lambda: signal.raise_signal(signal.SIGINT))
        train(tmp_path, *RUN)
    assert "stopped after step 3 of 4 of epoch 1, and saved" in capsys.readouterr().out
    assert main(["--resume", str(tmp_path), "--plan"]) == 0
    assert "resumed   after step 3 of 4 of epoch 1" in capsys.readouterr().out


# Failures


def failing(error):
    def fail(*inputs, **settings):
        raise error

    return fail


@pytest.mark.parametrize(
    "error", [DataError("x.jpg: cannot decode"), long(MemoryError()), long(OSError(5, "Input/output error"))]
)
def test_a_failure_in_the_test_keeps_the_trained_epoch(whole, tmp_path, monkeypatch, capfd, error):
    with monkeypatch.context() as patch:
        patch.setattr(session, "evaluate", failing(error))
        assert train(tmp_path, *RUN) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "stopped after step 4 of 4 of epoch 1, and saved: go on with" in line
    assert main(["--resume", str(tmp_path)]) == 0
    equal(whole, tmp_path)


@pytest.mark.long
def test_a_defect_in_the_test_keeps_the_trained_epoch_too(whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(session, "evaluate", failing(ZeroDivisionError()))
        with pytest.raises(ZeroDivisionError):
            train(tmp_path, *RUN)
    assert main(["--resume", str(tmp_path)]) == 0
    equal(whole, tmp_path)


def test_a_process_killed_in_the_test_keeps_the_trained_epoch(tmp_path, monkeypatch):
    """Not even an exception gets out: the checkpoint is being written before the test begins."""
    seen = []

    def evaluate(*inputs):
        for thread in threading.enumerate():
            if thread.name == "minigrad-checkpoint":
                thread.join()
        seen.append(checkpoint.read(tmp_path / checkpoint.LAST)[1]["progress"]["step"])
        return real(*inputs)

    real = session.evaluate
    monkeypatch.setattr(session, "evaluate", evaluate)
    assert train(tmp_path, *RUN) == 0
    assert seen == [4, 4]


@pytest.mark.long
def test_a_failure_while_batches_are_made_keeps_the_steps_done(whole, tmp_path, monkeypatch, capfd):
    real = session.Session.batches

    def batches(self):
        for i, batch in enumerate(real(self)):
            if i == 2:
                raise DataError("photos/x.jpg: cannot decode image")
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(session.Session, "batches", batches)
        assert train(tmp_path, *RUN) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "photos/x.jpg: cannot decode image; stopped after step 2 of 4 of epoch 1, and saved" in line
    assert main(["--resume", str(tmp_path)]) == 0
    equal(whole, tmp_path)


def test_a_failure_within_a_step_saves_nothing_that_is_half_done(tmp_path, monkeypatch):
    def fail():
        raise MemoryError

    in_step(monkeypatch, 3, fail)
    assert train(tmp_path, *RUN) == 2
    assert not tmp_path.exists() or os.listdir(tmp_path) == []


# The best checkpoint


@pytest.mark.parametrize("how", [long("missing"), "damaged", long("an epoch old")])
def test_a_best_checkpoint_that_is_wrong_is_made_right_on_resume(tmp_path, monkeypatch, how):
    run = tmp_path / "run"
    assert train(run, *RUN) == 0
    best = run / checkpoint.BEST
    if how == "missing":
        best.unlink()
    elif how == "damaged":
        best.write_bytes(b"x")
    else:
        saved, facts = checkpoint.read(best)
        facts["progress"]["epoch"] -= 1
        checkpoint.save([best], saved, facts)
    monkeypatch.setattr(loop, "train_step", failing(MemoryError()))  # nothing but the start
    assert main(["--resume", str(run), "--epochs", "3"]) == 2
    assert records(run)[1]["test_accuracy"] > records(run)[0]["test_accuracy"]
    same(arrays(run), arrays(run, checkpoint.BEST))


# What a checkpoint holds


def test_a_checkpoint_holds_what_classifies_an_image(whole):
    from minigrad.data import STATISTICS, EmbeddedFashionMNIST

    facts = checkpoint.read(whole / checkpoint.LAST)[1]
    mean, std = STATISTICS["fashion-mnist-10k"]
    assert facts["net"]["classes"] == list(EmbeddedFashionMNIST(train=False).classes)
    assert np.allclose(facts["net"]["mean"], mean) and np.allclose(facts["net"]["std"], std)
    assert facts["net"]["channels"] == 1 and facts["config"]["image_size"] == 28 and facts["config"]["arch"] == "lenet5"
