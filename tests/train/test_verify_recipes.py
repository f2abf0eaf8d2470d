"""`minigrad.verify` on recipes: the rule of the verdict, runs that are taken, and runs that are made."""

import json
import statistics

import numpy as np
import pytest

from minigrad import recipes
from minigrad.runs import Run, study
from minigrad.train.config import Config, to_toml
from minigrad.verify.__main__ import main as verify
from minigrad.verify.verdict import judged, quantile

NAME = "paper/resnet20-cifar10"


def finished(place, seed, accuracy, name=NAME, **changed):
    """What a finished run of a recipe leaves, as far as `verify` reads it."""
    recipe = recipes.find(name)
    config = Config(**{**recipe.settings, "recipe": recipe.identity, "seed": seed, **changed})
    place.mkdir()
    (place / "config.toml").write_text(to_toml(config))
    records = [{"epoch": i + 1, "test_accuracy": accuracy, "test_loss": 1.0} for i in range(config.epochs)]
    (place / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    return str(place)


# The rule


def test_two_of_the_same_kind_are_taken_for_different_in_one_of_twenty_cases():
    rng = np.random.default_rng(0)
    for n, k in ((3, 1), (2, 1), (3, 5), (12, 4)):
        draws = rng.normal(8.0, 0.2, (1000, n + k)).tolist()
        judgements = [
            judged(d[:n], statistics.mean(d[n:]), statistics.stdev(d[n:]) if k > 1 else None, k) for d in draws
        ]
        assert np.mean([j.word == "reproduced" for j in judgements]) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(
    "errors, published, word",
    [([8.5, 8.8, 9.0], 8.75, "reproduced"), ([9.9, 10.0, 10.1], 8.75, "worse"), ([7.9, 8.0, 8.1], 8.75, "better")],
)
def test_words(errors, published, word):
    assert judged(errors, published).word == word


def test_one_run_needs_a_published_spread():
    assert judged([8.0], 8.0) is None and judged([6.6], 6.61, None, 5) is None
    assert judged([6.7], 6.61, 0.16, 5).word == "reproduced" and judged([8.0], 6.61, 0.16, 5).word == "worse"
    assert judged([8.0, 8.2], 8.75).margin == pytest.approx(12.706 * 0.1 * 2**0.5 * 1.5**0.5)


def test_quantiles():
    for freedom, exact in ((1, 12.706), (10, 2.228), (11, 2.201), (20, 2.086), (60, 2.000)):
        assert quantile(freedom) == pytest.approx(exact, abs=0.003)


# Runs that are taken


@pytest.mark.parametrize(
    "accuracies, word, status", [((0.91, 0.914, 0.912), "reproduced", 0), ((0.9, 0.899), "worse", 1)]
)
def test_finished_runs_get_a_verdict(tmp_path, capsys, accuracies, word, status):
    places = [finished(tmp_path / str(i), i, a) for i, a in enumerate(accuracies)]
    assert verify([NAME, "--runs", *places]) == status
    out = capsys.readouterr().out
    errors = [100 * (1 - a) for a in accuracies]
    assert f"measured   error {statistics.mean(errors):.2f} +- {statistics.stdev(errors):.2f} %" in out
    assert (
        f"verdict    {word}: " in out
        and "published  error 8.75 % (1 run)" in out
        and recipes.find(NAME).identity in out
    )


@pytest.mark.parametrize(
    "name, changed, number, why",
    [
        (NAME, dict(epochs=3, mixup_alpha=0.2), 2, "epochs 3 (recipe: 164), mixup_alpha 0.2 (recipe: None)"),
        (NAME, {}, 1, "a single run doesn't tell how runs vary"),
        ("paper/resnet50-imagenet", {}, 2, "the source tests on 10 crops of each image"),
        ("paper/resnet50-imagenet", dict(limit_test_batches=1), 2, "limit_test_batches 1 (recipe: None)"),
        ("paper/densenet121-imagenet", dict(data="shards"), 2, "reproduced"),
    ],
)
def test_where_no_verdict_is_possible_the_reason_is_said(tmp_path, capsys, name, changed, number, why):
    places = [finished(tmp_path / str(i), i, 0.75 + 0.01 * i, name, **changed) for i in range(number)]
    assert verify([name, "--runs", *places]) == 0
    assert why in capsys.readouterr().out.rpartition("verdict ")[2]


def test_wrong_runs(tmp_path, capsys):
    good, other = finished(tmp_path / "0", 0, 0.9), finished(tmp_path / "1", 1, 0.9, "paper/resnet32-cifar10")
    half = finished(tmp_path / "2", 2, 0.9)
    (tmp_path / "2" / "metrics.jsonl").write_text('{"epoch": 1, "test_accuracy": 0.5}\n{"ep')
    for runs, said in (
        ([good, other], f"{other}: its recipe is paper/resnet32-cifar10@"),
        ([good, half], f"{half}: not finished, 1 of 164 epochs"),
        ([good, good], "two of them have the same seed (0, 0)"),
        ([str(tmp_path)], "not the directory of a run"),
    ):
        assert verify([NAME, "--runs", *runs]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "line, said",
    [
        ([], "give a RECIPE"),
        ([NAME, "--weights", "w.pth"], "one of the two"),
        (["paper/none"], "no recipe 'paper/none'"),
        ([NAME, "--seeds", "0"], "--seeds must be an int >= 1"),
        ([NAME, "--seeds", "x"], "invalid int value"),
        ([NAME, "--images", "3"], "--images has no effect with a recipe"),
        ([NAME, "--batch-size", "0"], "--batch-size must be an int >= 1"),
        (["--weights", "w.pth", "--data", ".", "--seeds", "3"], "--seeds has no effect with --weights"),
        (["--weights", "w.pth"], "--weights needs --data DIR"),
        (["--weights", "w.pth", "--data", ".", "--", "--lr", "1"], "nothing after --"),
        ([NAME, "--runs", "a", "--seeds", "2"], "--seeds has no effect with --runs"),
        ([NAME, "--runs", "a", "--", "--lr", "1"], "--lr has no effect with --runs"),
        ([NAME, "--output-dir", ""], "must not be empty"),
    ],
)
def test_wrong_lines(line, said, capsys):
    assert verify(line) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


# Runs that are made


def test_a_patient_run_is_over_early(tmp_path):
    place = finished(tmp_path / "0", 0, 0.9, patience=5)
    assert Run.read(place).is_over() and Run.read(place).best_epoch() == 1
    lines = (tmp_path / "0" / "metrics.jsonl").read_text().splitlines(keepends=True)
    for number, over in ((5, False), (6, True)):
        (tmp_path / "0" / "metrics.jsonl").write_text("".join(lines[:number]))
        assert Run.read(place).is_over() is over


def test_what_was_stopped_is_gone_on_with(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(study, "train", lambda *arguments: calls.append(arguments) or 3)
    finished(tmp_path / "half", 0, 0.9)
    (tmp_path / "half" / "metrics.jsonl").write_text("")
    (tmp_path / "half" / "previous.safetensors").write_text("")
    runs = study.Study(tmp_path, ["--lr", "1"])
    assert runs.run("half", "--seed", "0") == runs.run("new", "--seed", "1") == (3, None)
    assert calls == [
        ("--resume", str(tmp_path / "half"), "--seed", "0", "--lr", "1"),
        ("--output-dir", str(tmp_path / "new"), "--seed", "1", "--lr", "1"),
    ]


@pytest.mark.long
def test_seeds_are_trained_kept_and_gone_on_with(tmp_path, capfd):
    name = "practical/alexnet-fashion-10k"
    short = ("-a", "lenet5", "--epochs", "1", "--limit-train-batches", "2", "--limit-test-batches", "1", "-j", "0")
    line = [name, "--seeds", "2", "--output-dir", str(tmp_path / "study"), "--", *short]
    assert verify(line) == 0
    out = capfd.readouterr().out
    assert "verdict    none: settings are not the recipe's: arch lenet5 (recipe: alexnet_small), epochs 1" in out
    assert verify(line) == 0
    assert "seed-0: is there" in (out := capfd.readouterr().out) and "seed-1: is there" in out
    assert verify([*line, "--lr", "1"]) == 2
    assert "was begun with other options of training (-a lenet5" in capfd.readouterr().err
    assert verify([name, "--seeds", "1", "--output-dir", str(tmp_path / "bad"), "--", "--lr", "-1"]) == 1
    assert "--lr must be greater than 0" in capfd.readouterr().err
