"""`minigrad.sweep`: all combinations, a run each, and a table in which seeds are taken together."""

import json

import pytest

from minigrad.runs import study
from minigrad.sweep.__main__ import axes_of
from minigrad.sweep.__main__ import main as sweep

ACCURACY = {("0.1", "0"): 0.70, ("0.1", "1"): 0.72, ("0.5", "0"): 0.80, ("0.5", "1"): 0.90}


@pytest.fixture
def trained(monkeypatch):
    """The arguments of each run; a run is made up: its accuracy is that of the table, its status by seed and rate."""
    calls, statuses = [], {}

    def train(*words):
        calls.append(words)
        given = dict(zip(words[::2], words[1::2]))
        place, key = given["--output-dir"], (given["--lr"], given["--seed"])
        if status := statuses.get(key, 0):
            return status
        study.Path(place).mkdir()
        (study.Path(place) / "config.toml").write_text("epochs = 2\n")
        records = [{"epoch": e, "test_accuracy": ACCURACY[key] + 0.01 * (2 - e), "test_loss": 1.5} for e in (1, 2)]
        (study.Path(place) / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
        return 0

    monkeypatch.setattr(study, "train", train)
    return calls, statuses


LINE = ["lr=0.1,0.5", "seed=0,1"]


def test_seeds_are_taken_together_and_the_best_comes_first(trained, tmp_path, capsys):
    calls, _ = trained
    assert sweep([*LINE, "--output-dir", str(tmp_path / "s"), "--", "-a", "lenet5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("lr "))
    assert lines[start].split("  ")[-1] == "best epoch, %"
    assert lines[start + 1].split() == ["0.5", "2", "85.00", "+-", "7.07", "86.00", "+-", "7.07"]
    assert lines[start + 2].split() == ["0.1", "2", "71.00", "+-", "1.41", "72.00", "+-", "1.41"]
    first = ("--output-dir", str(tmp_path / "s" / "lr=0.1,seed=0"), "--lr", "0.1", "--seed", "0", "-a", "lenet5")
    assert len(calls) == 4 and calls[0] == first
    csv = (tmp_path / "s" / "sweep.csv").read_text().splitlines()
    assert csv[0] == "lr,seed,test_accuracy,test_loss" and csv[4] == "0.5,1,0.9,1.5"
    assert sweep([*LINE, "--output-dir", str(tmp_path / "s"), "--", "-a", "lenet5"]) == 0 and len(calls) == 4


def test_a_run_that_diverged_is_counted_and_the_others_are_made(trained, tmp_path, capsys):
    _, statuses = trained
    statuses |= {("0.5", "0"): 1, ("0.5", "1"): 1}
    assert sweep([*LINE, "--output-dir", str(tmp_path / "s")]) == 1
    rows = [line.split("  ") for line in capsys.readouterr().out.splitlines() if line.startswith("0.")]
    assert [row[0] for row in rows] == ["0.1", "0.5"] and "2, 2 diverged" in rows[1] and rows[1][-1].strip() == "-"
    assert (tmp_path / "s" / "sweep.csv").read_text().endswith("0.5,1,,\n")


@pytest.mark.parametrize("status", [2, 130])
def test_a_wrong_setting_or_a_signal_ends_the_sweep(trained, tmp_path, capsys, status):
    calls, statuses = trained
    statuses |= {("0.1", "1"): status}
    assert sweep([*LINE, "--output-dir", str(tmp_path / "s")]) == status
    assert len(calls) == 2 and f"--output-dir {tmp_path / 's'} goes on" in capsys.readouterr().out
    statuses.clear()
    assert sweep([*LINE, "--output-dir", str(tmp_path / "s")]) == 0 and len(calls) == 5


def test_switches_and_names(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(study, "train", lambda *words: calls.append(words[2:]) or 1)
    assert sweep(["nesterov=true,false", "class_weights=balanced", "--output-dir", str(tmp_path)]) == 1
    assert calls == [(f"--{no}nesterov", "--class-weights", "balanced") for no in ("", "no-")]
    assert axes_of(["data=a/b,c"]) == {"data": ["a/b", "c"]}


@pytest.mark.parametrize(
    "line, said",
    [
        ([], "required"),
        (["lr"], "must be like lr=0.1,0.05; got 'lr'"),
        (["--lr=3", "x=1"], "unrecognized arguments: --lr=3"),
        (["lr=0.1,0.1"], "each of its values once"),
        (["lr=0.1,"], "not empty"),
        (["lr=0.1", "lr=0.2"], "each setting once"),
        (["resume=a"], "resume can't be varied"),
        (["lr=0.1", "--output-dir", ""], "--output-dir must not be empty"),
    ],
)
def test_wrong_lines(line, said, capsys):
    assert sweep(line) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.long
def test_a_sweep_of_real_runs(tmp_path, capfd):
    short = ("-a", "lenet5", "--epochs", "1", "--limit-train-batches", "2", "--limit-test-batches", "1", "-j", "0")
    assert sweep(["lr=0.01,0.1", "--output-dir", str(tmp_path / "s"), "--", *short]) == 0
    assert len((tmp_path / "s" / "sweep.csv").read_text().splitlines()) == 3
    assert sweep(["lr=-1", "--output-dir", str(tmp_path / "t"), "--", *short]) == 2
    assert "--lr must be greater than 0" in capfd.readouterr().err
