"""Runs that stop early, keep earlier checkpoints, and report on each class."""

import csv

import numpy as np
import pytest
from train_runs import TINY, arrays, main, records, same, train

from minigrad.train.progress import Progress
from minigrad.train.report import rows

STEADY = *TINY, "-a", "lenet5", "--lr-scheduler", "constant", "--lr-warmup-epochs", "0"
STUCK = *STEADY, "--lr", "1e-30"  # it never gets better


def history(*accuracies):
    return Progress(len(accuracies), history=[{"test_accuracy": a} for a in accuracies])


@pytest.mark.parametrize(
    ("accuracies", "since"), [((), 0), ((0.1,), 0), ((0.1, 0.3, 0.2), 1), ((0.3, 0.3, 0.3), 2), ((0.1, 0.2), 0)]
)
def test_epochs_since_the_best(accuracies, since):
    assert history(*accuracies).epochs_since_best() == since


@pytest.mark.long
def test_patience_ends_a_run_that_gets_no_better_and_more_of_it_goes_on(tmp_path, capsys):
    assert train(tmp_path / "run", *STUCK, "--epochs", 6, "--patience", 2) == 0
    assert "stopped early: 2 epochs without a better test accuracy" in capsys.readouterr().out
    assert len(records(tmp_path / "run")) == 3
    assert main(["--resume", str(tmp_path / "run")]) == 0
    assert "this run ended 2 epochs after its best; a --patience above 2 goes on" in capsys.readouterr().out
    assert main(["--resume", str(tmp_path / "run"), "--patience", "3"]) == 0
    assert len(records(tmp_path / "run")) == 4
    assert train(tmp_path / "whole", *STUCK, "--epochs", 6, "--patience", 3) == 0
    same(arrays(tmp_path / "whole"), arrays(tmp_path / "run"))


def kept(directory):
    return sorted(path.name for path in directory.glob("epoch-*"))


def test_the_last_checkpoints_are_kept_and_each_is_one_to_go_on_from(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(whole, *STEADY, "--epochs", 4, "--keep-last", 2) == 0
    assert kept(whole) == ["epoch-3.safetensors", "epoch-4.safetensors"]
    assert train(parts, "--resume", whole / "epoch-3.safetensors") == 0
    assert kept(parts) == ["epoch-4.safetensors"]
    same(arrays(whole), arrays(parts))
    same(arrays(whole), arrays(whole, "epoch-4.safetensors"))
    assert records(whole) == records(parts)


def test_epochs_after_the_one_that_a_run_goes_on_from_are_not_kept(tmp_path):
    assert train(tmp_path / "run", *STEADY, "--epochs", 4, "--keep-last", 4) == 0
    assert main(["--resume", str(tmp_path / "run" / "epoch-1.safetensors"), "--epochs", "2"]) == 0
    assert kept(tmp_path / "run") == ["epoch-1.safetensors", "epoch-2.safetensors"]


@pytest.mark.parametrize("flag", ["--patience", "--keep-last"])
def test_counts_are_at_least_one(flag, capsys):
    assert main([flag, "0"]) == 2
    assert f"{flag} must be at least 1; got 0" in capsys.readouterr().err


def test_each_class_is_measured():
    confusion = np.array([[3, 1, 0], [1, 1, 0], [0, 0, 0]])
    assert rows(confusion, "abc") == [("a", 4, 0.75, 0.75, 0.75), ("b", 2, 0.5, 0.5, 0.5), ("c", 0, 0.0, 0.0, 0.0)]


def test_a_run_writes_a_table_of_its_classes(tmp_path):
    assert train(tmp_path / "run", *STEADY, "--epochs", 1) == 0
    with open(tmp_path / "run" / "classes.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 10 and list(table[0]) == ["class", "images", "precision", "recall", "f1"]
    found = sum(int(row["images"]) * float(row["recall"]) for row in table) / sum(int(row["images"]) for row in table)
    assert found == pytest.approx(records(tmp_path / "run")[-1]["test_accuracy"], abs=1e-3)
