"""The training loop: it learns, it goes on bit for bit where it was stopped, and it stops when numbers go wrong."""

import functools
import signal
import subprocess
import time
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from train_runs import QUICK, TINY, arrays, command, environment, in_process, records, same, train

import minigrad as mg
from minigrad import nn, optim
from minigrad.train import loop, session
from minigrad.train.__main__ import main


def tiny_net(rng):
    return nn.Sequential(nn.Conv2d(1, 4, 3, rng=rng), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3, rng=rng))


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return rng.standard_normal((6, 8, 8, 1), np.float32), np.array([0, 1, 2, 0, 1, 2])


# train_step


def test_train_step_is_forward_backward_and_update(batch):
    x, y = batch
    a, b = tiny_net(np.random.default_rng(1)), tiny_net(np.random.default_rng(1))
    criterion = functools.partial(nn.functional.cross_entropy, label_smoothing=0.1)
    result = loop.train_step(a, optim.SGD(a.parameters(), lr=0.1), x, y, criterion=criterion)
    loss = nn.functional.cross_entropy(b(mg.tensor(x)), mg.tensor(y), label_smoothing=0.1)
    correct = (b(mg.tensor(x)).numpy().argmax(1) == y).sum()
    loss.backward()
    optim.SGD(b.parameters(), lr=0.1).step()
    assert result == (loss.item(), correct, 6)
    same(a.state_dict(), b.state_dict())
    assert all(p.grad is None for p in a.parameters())


def test_train_step_takes_tensors_and_soft_labels(batch):
    x, y = batch
    a, b = tiny_net(np.random.default_rng(1)), tiny_net(np.random.default_rng(1))
    hard = loop.train_step(a, optim.SGD(a.parameters(), lr=0.1), x, y)
    soft = loop.train_step(
        b, optim.SGD(b.parameters(), lr=0.1), mg.tensor(x), mg.tensor(np.eye(3, dtype=np.float32)[y])
    )
    assert soft.loss == pytest.approx(hard.loss, rel=1e-6) and soft.correct == hard.correct


def test_train_step_clips_the_gradient(batch):
    x, y = batch
    net = tiny_net(np.random.default_rng(1))
    before = {name: array.copy() for name, array in net.state_dict().items()}
    loop.train_step(net, optim.SGD(net.parameters(), lr=1.0), x, y, clip_grad_norm=1e-3)
    moved = sum(((net.state_dict()[name] - before[name]) ** 2).sum() for name in before) ** 0.5
    assert moved == pytest.approx(1e-3, rel=1e-2)


class TwoLogits(NamedTuple):
    main: mg.Tensor
    auxiliary: mg.Tensor

    def loss(self, criterion, labels):
        return criterion(self.main, labels) + 0.3 * criterion(self.auxiliary, labels)


class TwoHeaded(nn.Module):
    """As GoogLeNet does, it returns the logits of an auxiliary head too while it is trained."""

    def __init__(self):
        rng = np.random.default_rng(1)
        self.main, self.auxiliary = nn.Linear(64, 3, rng=rng), nn.Linear(64, 3, rng=rng)

    def forward(self, x):
        x = x.flatten(1)
        return TwoLogits(self.main(x), self.auxiliary(x)) if self.training else self.main(x)


def test_outputs_that_are_several_say_their_own_loss(batch):
    x, y = batch
    net = TwoHeaded()
    before = net.auxiliary.weight.numpy().copy()
    outputs = net(mg.tensor(x))
    losses = [nn.functional.cross_entropy(logits, mg.tensor(y)).item() for logits in outputs]
    result = loop.train_step(net, optim.SGD(net.parameters(), lr=0.1), x, y)
    assert result.loss == pytest.approx(losses[0] + 0.3 * losses[1], rel=1e-6)
    assert result.correct == (outputs[0].numpy().argmax(1) == y).sum()
    assert (net.auxiliary.weight.numpy() != before).any()


def test_a_loss_that_is_not_finite_changes_nothing(batch):
    x, y = batch
    net = tiny_net(np.random.default_rng(1))
    before = {name: array.copy() for name, array in net.state_dict().items()}
    with pytest.raises(FloatingPointError, match="loss is nan"):
        loop.train_step(net, optim.SGD(net.parameters(), lr=0.1), np.full_like(x, np.nan), y)
    same(net.state_dict(), before)


def test_evaluate_counts_every_image_once(batch):
    x, y = batch
    net = tiny_net(np.random.default_rng(1)).train()
    result = loop.evaluate(net, [(x[:4], y[:4]), (x[4:], y[4:])], 3)
    logits = net(mg.tensor(x))
    expected = np.zeros((3, 3))
    for label, predicted in zip(y, logits.numpy().argmax(1)):
        expected[label, predicted] += 1
    assert_array_equal(result.confusion, expected)
    assert result.accuracy == pytest.approx(np.trace(expected) / 6)
    assert result.loss == pytest.approx(nn.functional.cross_entropy(logits, mg.tensor(y)).item(), rel=1e-6)
    assert net.training


def test_evaluate_runs_in_evaluation_mode(batch):
    """Nothing is dropped, and batch norm takes its running statistics and leaves them as they are."""
    x, y = batch
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 3))
    before = {name: array.copy() for name, array in net.state_dict().items()}
    result = loop.evaluate(net.train(), [(x, y)], 3)
    expected = nn.functional.cross_entropy(net.eval()(mg.tensor(x)), mg.tensor(y)).item()
    assert result.loss == pytest.approx(expected, rel=1e-6)
    same(net.state_dict(), before)


# Whole runs


def test_training_learns(tmp_path, capsys):
    assert train(tmp_path, "-a", "lenet5", *QUICK, "--limit-train-batches", 80, "--lr", "0.05") == 0
    first, last = records(tmp_path)
    assert last["train_loss"] < 0.8 * first["train_loss"] and last["test_loss"] < first["test_loss"]
    assert last["test_accuracy"] > 0.6  # chance is 0.1
    assert f"test accuracy {last['test_accuracy']:.2%}" in capsys.readouterr().out


def test_a_run_is_the_same_whenever_it_is_made(tmp_path):
    for name, workers in (("a", 0), ("b", 2)):
        assert train(tmp_path / name, "-a", "resnet8", *TINY, "-j", workers) == 0
    same(arrays(tmp_path / "a"), arrays(tmp_path / "b"))
    assert records(tmp_path / "a") == records(tmp_path / "b")


def test_another_seed_is_another_run(tmp_path):
    for seed in (0, 1):
        assert train(tmp_path / str(seed), "-a", "lenet5", *TINY, "--seed", seed) == 0
    a, b = (arrays(tmp_path / str(seed)) for seed in (0, 1))
    assert all((a[name] != b[name]).any() for name in a if name.endswith("weight"))


def stop_after(monkeypatch, steps):
    """Send this process SIGTERM during that step (counted from now)."""
    real, done = loop.train_step, [0]

    def step(*inputs, **settings):
        done[0] += 1
        if done[0] == steps:
            signal.raise_signal(signal.SIGTERM)
        return real(*inputs, **settings)

    monkeypatch.setattr(loop, "train_step", step)


RESUMED = {
    "batch norm, momentum": ("resnet8", "--nesterov"),
    "dropout, adam": ("alexnet", "--opt", "adam", "--lr-scheduler", "cosine"),
    "average of weights, mixup and cutmix": (
        "lenet5", "--model-ema", "0.9", "--mixup-alpha", "0.2", "--cutmix-alpha", "1", "--clip-grad-norm", "1",
    ),
}  # fmt: skip


STEPS = [3, 4, 6]  # in the first epoch of four steps, at its very end, in the second epoch
CASES = [(name, step) for name in RESUMED for step in (STEPS if name == "batch norm, momentum" else STEPS[-1:])]


@pytest.mark.parametrize("name, step", CASES)
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path, monkeypatch, name, step):
    whole, halves, arguments = tmp_path / "whole", tmp_path / "halves", RESUMED[name]
    assert train(whole, "-a", *arguments, *TINY) == 0
    with monkeypatch.context() as patch:
        stop_after(patch, step)
        assert train(halves, "-a", *arguments, *TINY) == 128 + signal.SIGTERM
    assert not all((a == b).all() for a, b in zip(arrays(whole).values(), arrays(halves).values()))
    assert main(["--resume", str(halves)]) == 0
    same(arrays(whole), arrays(halves))
    same(arrays(whole, "best.safetensors"), arrays(halves, "best.safetensors"))
    assert records(whole) == records(halves)


KILLED = ("-a", "lenet5", *TINY, "--epochs", 10, "--limit-train-batches", 40)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    directory = tmp_path_factory.mktemp("uninterrupted")
    assert in_process(*KILLED, "--output-dir", directory).returncode == 0
    return arrays(directory)


def killed_after_an_epoch(directory, number):
    """The finished process (its status and output) of a run that was sent a signal in or after its second epoch."""
    start = command(*KILLED, "--output-dir", directory)
    process = subprocess.Popen(start, env=environment(), stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not (directory / "metrics.jsonl").exists() or not (directory / "metrics.jsonl").read_text():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    return process.communicate(timeout=300)[0], process.returncode


@pytest.mark.long
@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_stops_a_process_in_good_order(tmp_path, uninterrupted, number, status):
    out, returned = killed_after_an_epoch(tmp_path, number)
    assert returned == status and f"python -m minigrad.train --resume {tmp_path}" in out
    assert in_process("--resume", tmp_path).returncode == 0
    same(arrays(tmp_path), uninterrupted)


def test_signals_are_as_before_after_a_run(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert train(tmp_path, "-a", "lenet5", *TINY) == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_stop_during_the_test_repeats_only_the_test(tmp_path, monkeypatch):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    assert train(whole, "-a", "lenet5", *TINY) == 0
    real = session.evaluate

    def evaluate(*inputs):
        signal.raise_signal(signal.SIGINT)
        return real(*inputs)

    with monkeypatch.context() as patch:
        patch.setattr(session, "evaluate", evaluate)
        assert train(halves, "-a", "lenet5", *TINY) == 130
    assert records(halves) == []
    assert main(["--resume", str(halves)]) == 0
    same(arrays(whole), arrays(halves))


def test_a_finished_run_goes_on_to_more_epochs(tmp_path, capsys):
    settings = ("-a", "lenet5", *TINY, "--lr-scheduler", "constant")
    assert train(tmp_path / "short", *settings) == train(tmp_path / "long", *settings, "--epochs", 3) == 0
    capsys.readouterr()
    assert main(["--resume", str(tmp_path / "short"), "--quiet"]) == 0  # a script that starts it again is no mistake
    assert capsys.readouterr() == ("this run is complete (2 epochs); --epochs N goes on to epoch N\n", "")
    assert main(["--resume", str(tmp_path / "short"), "--epochs", "3"]) == 0
    same(arrays(tmp_path / "short"), arrays(tmp_path / "long"))


@pytest.mark.long
def test_records_that_a_checkpoint_does_not_have_are_dropped_on_resume(tmp_path, monkeypatch):
    stop_after(monkeypatch, 6)
    assert train(tmp_path, "-a", "lenet5", *TINY) == 143
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"epoch": 2, "cut of')
    assert main(["--resume", str(tmp_path)]) == 0
    assert [record["epoch"] for record in records(tmp_path)] == [1, 2]


# Numbers that are not finite


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path, monkeypatch, capsys):
    real, done = loop.train_step, [0]

    def step(model, optimizer, images, labels, **settings):
        done[0] += 1
        return real(model, optimizer, images * np.float32(np.nan if done[0] == 6 else 1), labels, **settings)

    monkeypatch.setattr(loop, "train_step", step)
    assert train(tmp_path, "-a", "lenet5", *TINY, "--lr", "0.01") == 1
    out = capsys.readouterr().out
    assert "the loss is nan at step 6 (epoch 2), lr 0.0" in out and "checkpoint of epoch 1 is kept" in out
    assert "--lr" in out and "--clip-grad-norm" in out
    assert all(np.isfinite(array).all() for array in arrays(tmp_path).values())
    monkeypatch.undo()
    assert main(["--resume", str(tmp_path)]) == 0


def test_a_learning_rate_that_is_far_too_high_is_diagnosed(tmp_path, capsys):
    settings = ("--lr", "1e30", "--lr-scheduler", "constant", "--lr-warmup-epochs", "0")
    assert train(tmp_path, "-a", "lenet5", *TINY, *settings) == 1
    captured = capsys.readouterr()
    assert "Stopped: the loss is" in captured.out and "No epoch was complete yet" in captured.out
    assert not (tmp_path / "last.safetensors").exists()


def test_weights_that_are_not_finite_are_never_saved(tmp_path, monkeypatch, capsys):
    real = loop.train_step

    def step(model, *inputs, **settings):
        result = real(model, *inputs, **settings)
        next(model.parameters()).data.flat[0] = np.inf
        signal.raise_signal(signal.SIGTERM)
        return result

    monkeypatch.setattr(loop, "train_step", step)
    assert train(tmp_path, "-a", "lenet5", *TINY) == 1
    assert "is no longer finite after step 1" in capsys.readouterr().out
    assert not (tmp_path / "last.safetensors").exists()
