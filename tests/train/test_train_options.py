"""Flags of the command: gradients of several batches, class weights, a part held back, mirror images, what is said."""

import sys
import types
from functools import partial

import numpy as np
import pytest
from train_runs import QUICK, arrays, main, records, same, train

import minigrad as mg
from minigrad import nn, optim
from minigrad.command.errors import UsageError
from minigrad.data import ArrayDataset
from minigrad.train import Trainer, loop, measures, report, sampling, step
from minigrad.train.setup import Datasets

RUN = ("-a", "lenet5", *QUICK, "--limit-train-batches", 3, "--limit-test-batches", 2, "--lr-warmup-epochs", 0)


# Gradients of several batches


def test_portions_of_a_batch_make_the_same_step():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((7, 6), np.float32), np.arange(7) % 3
    nets = [nn.Linear(6, 3, rng=np.random.default_rng(1)) for _ in range(2)]
    results = [
        loop.train_step(net, optim.SGD(net.parameters(), 0.1), x, y, portions=number)
        for net, number in zip(nets, (1, 3))
    ]
    assert results[0].loss == pytest.approx(results[1].loss, rel=1e-6) and results[0][1:] == results[1][1:]
    for name, array in nets[0].state_dict().items():
        np.testing.assert_allclose(array, nets[1].state_dict()[name], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("least, smoothing", [(0, 0.0), (0.5, 0.2)])
def test_portions_with_class_weights_make_the_same_step(least, smoothing):
    """The mean divides by the classes' weights, of which portions have different shares, perhaps one of them none."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 5), np.float32), np.array([0, 0, 1, 1, 2, -100])
    weight = np.array([least, 1, 5], np.float32)
    loss = nn.CrossEntropyLoss(mg.tensor(weight), label_smoothing=smoothing)
    grads, losses = [], []
    for number in (1, 3):
        net = nn.Linear(5, 3, rng=np.random.default_rng(1))
        before = net.weight.numpy().copy()
        weigh = partial(sampling.total_weight, weight=weight)
        settings = dict(criterion=loss, portions=number, weigh=weigh, count=None)
        losses.append(loop.train_step(net, optim.SGD(net.parameters(), 1.0), x, y, **settings).loss)
        grads.append(before - net.weight.numpy())
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    np.testing.assert_allclose(*grads, rtol=1e-5, atol=1e-7)


def test_what_targets_count_in_the_mean():
    weight = np.array([0.5, 1, 1.5], np.float32)
    assert sampling.total_weight(mg.tensor([0, 2, -100, 1])) == 3
    assert sampling.total_weight(mg.tensor([0, 2, -100, 2]), weight) == 3.5
    assert sampling.total_weight(mg.tensor([[0.2, 0.8], [1, 0]]), weight) == 2


def test_a_trainers_weighted_loss_is_divided_by_its_weights():
    images = ArrayDataset(np.zeros((8, 2, 2, 1), np.uint8), np.arange(8) % 2, "ab")
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    weighted = nn.CrossEntropyLoss(mg.tensor([1.0, 3.0]))
    for loss, total in ((weighted, 7), (lambda y, t: (y * 0).mean(), 3), (None, 3)):
        trainer = Trainer(net, images, images, loss=loss, batch_size=4)
        assert trainer.session.parts.weigh(mg.tensor([0, 1, 1])) == total


def test_a_batch_of_few_images_has_no_empty_portion():
    parts = step.portions_of(mg.tensor(np.zeros((2, 3), np.float32)), mg.tensor(np.arange(2)), 5)
    assert [len(labels) for _, labels in parts] == [1, 1]


def test_grad_accum_makes_larger_steps_of_the_same_images(tmp_path):
    assert train(tmp_path / "one", *RUN, "-b", 32) == train(tmp_path / "two", *RUN, "-b", 16, "--grad-accum", 2) == 0
    one, two = records(tmp_path / "one"), records(tmp_path / "two")
    assert one[-1]["train_loss"] == pytest.approx(two[-1]["train_loss"], rel=1e-4)
    weighted = *RUN, "--class-weights", "1,9,1,1,1,1,1,1,1,0"
    assert train(tmp_path / "3", *weighted, "-b", 32) == train(tmp_path / "4", *weighted, "-b", 8, "--grad-accum", 4)
    one, two = records(tmp_path / "3"), records(tmp_path / "4")
    assert one[-1]["train_loss"] == pytest.approx(two[-1]["train_loss"], rel=1e-4)
    assert main(["--cuda-graph", "--grad-accum", "2", "--device", "cuda"]) == 2


# Class weights


def test_a_test_needs_no_class_weights(tmp_path, capsys):
    assert train(tmp_path / "run", *RUN, "--class-weights", "balanced") == 0
    assert main(["--resume", str(tmp_path / "run"), "--evaluate"]) == 0
    assert "test accuracy" in capsys.readouterr().out


def dataset(labels):
    return ArrayDataset(np.zeros((len(labels), 2, 2, 1), np.uint8), np.array(labels), "abc")


def test_what_classes_count():
    assert sampling.class_weights(None, dataset([0]), 3) is None
    np.testing.assert_allclose(sampling.class_weights("1,2,3", dataset([0]), 3), [0.5, 1, 1.5])
    np.testing.assert_allclose(sampling.class_weights("balanced", dataset([0, 0, 1, 2]), 3), [0.6, 1.2, 1.2])
    assert sampling.class_weights("balanced", dataset([0, 1]), 3)[2] == 0


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("1,2", "2 numbers for 3 classes"),
        ("1,x,2", "must be balanced, or numbers"),
        ("0,0,0", "not all 0"),
        ("1,-1,2", "0"),
    ],
)
def test_class_weights_that_make_no_sense(asked, said):
    with pytest.raises(UsageError, match=said):
        sampling.class_weights(asked, dataset([0]), 3)


def test_balanced_weights_of_data_that_do_not_tell_their_labels():
    with pytest.raises(UsageError, match="doesn't tell its labels"):
        sampling.class_weights("balanced", object(), 3)


def test_a_class_that_counts_nothing_is_not_learned(tmp_path):
    assert train(tmp_path / "run", *RUN, "--class-weights", "1,0,0,0,0,0,0,0,0,0") == 0
    lines = (tmp_path / "run" / "classes.csv").read_text().splitlines()
    assert lines[1].split(",")[3] == "1.0000"  # everything is taken for the first class


# A part held back


def test_a_part_of_the_training_images_is_held_back():
    images = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)
    whole = ArrayDataset(images, np.arange(10) % 3, "abc")
    parts = sampling.held_back(Datasets(whole, None), 0.3, 0)
    seen = [sorted(int(part[i][0].item()) for i in range(len(part))) for part in (parts.train, parts.test)]
    assert len(seen[1]) == 3 and sorted(seen[0] + seen[1]) == list(range(10))
    with pytest.raises(UsageError, match=r"--val-split 0.01 of 10 training images leaves none"):
        sampling.held_back(Datasets(whole, None), 0.01, 0)


def test_val_split_goes_on_with_the_same_parts(tmp_path, capsys):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    settings = (*RUN, "--val-split", 0.2, "--lr-scheduler", "constant")
    assert train(whole, *settings) == train(parts, *settings, "--epochs", 1) == 0
    assert "8,000 training and 2,000 test images" in capsys.readouterr().out
    assert main(["--resume", str(parts), "--val-split", "0.3"]) == 2
    assert "--val-split 0.3 does not fit the checkpoint" in capsys.readouterr().err
    assert main(["--resume", str(parts), "--epochs", "2"]) == 0
    same(arrays(whole), arrays(parts))
    assert main(["--resume", str(parts), "--evaluate"]) == 0


# What is measured


def test_the_best_five():
    scores = np.array([[9, 8, 7, 6, 5, 4], [0, 1, 2, 3, 4, 5]], np.float32)
    assert measures.in_top(mg.tensor(scores), mg.tensor(np.array([4, 0]))) == 0.5
    assert measures.in_top(mg.tensor(scores), mg.tensor(np.array([5, 1]))) == 0.5


@pytest.mark.parametrize("classes, measured", [(5, False), (6, True)])
def test_top5_needs_more_than_five_classes(classes, measured):
    net = nn.Linear(4, classes)
    result = loop.evaluate(net, [(np.zeros((2, 4), np.float32), np.array([0, 1]))], classes)
    assert ("top5" in result.metrics) == measured


def test_tta_averages_an_image_and_its_mirror_image(tmp_path, capsys):
    from minigrad.train.parts import Named

    class Scores(nn.Module):
        def forward(self, x):
            return x[:, 0, 0]

    named = object.__new__(Named)
    named.config = types.SimpleNamespace(tta=True)
    image = np.array([[[[1.0, 2.0], [3.0, 6.0]]]], np.float32)
    np.testing.assert_array_equal(named.scores(Scores(), mg.tensor(image)).numpy(), [[2.0, 4.0]])
    assert train(tmp_path / "run", *RUN) == 0
    capsys.readouterr()
    said = []
    for flag in ("--no-tta", "--tta"):
        assert main(["--resume", str(tmp_path / "run"), "--evaluate", flag]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] != said[1] and "top-5" in said[0]


# What is said


def test_quiet_says_how_it_ended_only(tmp_path, capfd):
    assert train(tmp_path / "run", *RUN, "--quiet") == 0
    captured = capfd.readouterr()
    lines = captured.out.splitlines()
    assert len(lines) == 2 and lines[0].startswith("test accuracy ") and lines[1].startswith("written to ")
    assert captured.err == ""
    assert main(["--resume", str(tmp_path / "run"), "--evaluate", "-q"]) == 0
    assert len(capfd.readouterr().out.splitlines()) == 1
    assert main(["--plan", "--quiet"]) == 2


def test_a_table_of_all_classes_or_of_the_worst():
    lines = report.table(np.array([[3, 1], [1, 1]]), ["cat", "dog"])
    assert [line.split()[0] for line in lines] == ["class", "cat", "dog"]
    assert lines[1].split()[1:] == ["4", "75.0%", "75.0%", "0.750"] and len({len(line) for line in lines}) == 1
    confusion = np.diag([5] * 30)
    confusion[7] = np.roll(confusion[7], 1)
    many = report.table(confusion, [f"c{i}" for i in range(30)])
    assert many[1].startswith("c7") and len(many) == 7 and "5 of 30 classes with the lowest F1" in many[-1]


class Writer:
    """Stands for tensorboardX's: keeps what it is told."""

    told: list = []  # noqa: RUF012

    def __init__(self, directory, purge_step):
        self.told.append((directory, purge_step))

    def add_scalar(self, tag, value, number):
        self.told.append((tag, value, number))

    def flush(self):
        pass

    def close(self):
        self.told.append("closed")


def test_tensorboard_gets_the_numbers_of_each_epoch(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", types.SimpleNamespace(SummaryWriter=Writer))
    assert train(tmp_path / "run", *RUN, "--tensorboard") == 0
    told = Writer.told
    assert told[0] == (str(tmp_path / "run" / "tensorboard"), 1) and told[-1] == "closed"
    for record in records(tmp_path / "run"):
        assert ("train/loss", record["train_loss"], record["epoch"]) in told
        assert ("test/top5", record["test_top5"], record["epoch"]) in told


def test_tensorboard_without_its_package_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    assert train(tmp_path / "run", *RUN, "--tensorboard") == 2
    assert "--tensorboard needs the package tensorboardX: pip install tensorboardX" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


# The learning rate


def test_find_lr_draws_the_losses_and_names_a_rate(tmp_path, capsys):
    from minigrad.train import finder

    assert train(tmp_path, *RUN, "--find-lr", "--quiet") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("--lr ") and (tmp_path / "lr.png").read_bytes().startswith(b"\x89PNG")
    assert 1e-4 < float(line.split()[1]) < 1
    rates, losses = 10.0 ** np.arange(-4, 2), np.array([2.0, 1.9, 1.2, 1.1, 1.05, 3.0])
    assert finder.steepest(rates, losses) == 10.0**-3
    assert main(["--find-lr", "--plan"]) == 2
