"""What is on the screen: lines that fit a terminal, and a quiet end where nobody reads."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest
from train_runs import ROOT, TINY, environment, long, train

from minigrad.command import screen
from minigrad.train.log import count, duration
from minigrad.train.suggest import nearest

SHOWN = ("-a", "lenet5", *TINY, "--epochs", 1, "--lr-warmup-epochs", 0, "--print-freq", 1)
FLAGS = ["--lr", "--data", "--data-path", "--batch-size", "--epochs", "--arch", "--evaluate", "--lr-scheduler"]


def on_a_terminal(columns, directory):
    """All that a run writes to a terminal of this width."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    line = [sys.executable, "-m", "minigrad.train", "--threads", "1", *map(str, SHOWN), "--output-dir", str(directory)]
    process = subprocess.Popen(line, stdout=follower, stderr=follower, env=environment(), cwd=ROOT)
    os.close(follower)
    chunks = []
    try:
        while chunk := os.read(leader, 1 << 16):
            chunks.append(chunk)
    except OSError:  # the other end was closed
        pass
    assert process.wait(timeout=300) == 0
    return b"".join(chunks).decode()


@pytest.mark.parametrize("columns", [40, long(80), long(200)])
def test_lines_fit_the_terminal(tmp_path, columns):
    text = on_a_terminal(columns, tmp_path / "r")
    rows = [re.sub(r"\x1b\[[A-Z]", "", row) for row in re.split(r"[\r\n]+", text)]
    too_wide = [row for row in rows if len(row) > columns and " " in row.strip()]
    assert too_wide == []
    bars = [row for row in rows if row.startswith("epoch 1/1 |")]
    assert bars and all(len(row.partition("|")[2].partition("|")[0]) >= screen.NARROWEST_BAR for row in bars)
    assert any("/4" in row for row in bars)
    assert any(row.startswith("testing |") for row in rows)


def test_parts_of_a_bar_are_left_out_from_the_end():
    parts = ("3/78", "12 s left", "loss 1.234", "accuracy 56.7%", "345 images/s")
    wide = screen.bar_format(120, "epoch 1/5", parts)
    assert wide == "epoch 1/5 |{bar}| 3/78, 12 s left, loss 1.234, accuracy 56.7%, 345 images/s"
    assert screen.bar_format(40, "epoch 1/5", parts) == "epoch 1/5 |{bar}| 3/78, 12 s left"
    assert screen.bar_format(10, "epoch 1/5", parts) == "epoch 1/5 |{bar}| 3/78"


def run_into(output, *arguments, **settings):
    line = [sys.executable, "-m", "minigrad.train", *map(str, arguments)]
    return subprocess.run(
        line, stdout=output, stderr=subprocess.PIPE, text=True, env=environment(), timeout=300, **settings
    )


@pytest.mark.parametrize(
    "arguments", [("--help",), ("-a", "lenet5", "--plan"), long(SHOWN)], ids=["help", "plan", "train"]
)
def test_a_closed_pipe_is_a_quiet_end(tmp_path, arguments):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run_into(writing, *arguments, cwd=tmp_path)
    finally:
        os.close(writing)
    assert done.stderr == "" and done.returncode == 141  # 128 + SIGPIPE, as in a shell
    assert list(tmp_path.glob("runs/*")) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize(
    "arguments", [("--help",), ("-a", "lenet5", "--plan"), long(SHOWN)], ids=["help", "plan", "train"]
)
def test_a_full_disk_behind_standard_output_is_one_line(tmp_path, arguments):
    with open("/dev/full", "w") as full:
        done = run_into(full, *arguments, cwd=tmp_path)
    assert done.stderr == "minigrad.train: error: standard output: No space left on device\n" and done.returncode == 2


def test_a_reader_who_leaves_stops_the_run_and_the_run_is_saved(tmp_path):
    line = [sys.executable, "-m", "minigrad.train", "--threads", "1", *map(str, SHOWN), "--epochs", "3"]
    process = subprocess.Popen(
        [*line, "--output-dir", tmp_path / "run"], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    while not process.stdout.readline().startswith("epoch 1"):
        pass
    process.stdout.close()
    with process.stderr as stderr:
        assert stderr.read() == "" and process.wait(timeout=300) == 141
    assert (tmp_path / "run/last.safetensors").exists()


@pytest.mark.long
def test_what_standard_output_cannot_express_is_escaped(tmp_path):
    done = run_into(
        subprocess.PIPE, "-a", "lenet5", "--plan", "--output-dir", tmp_path / "é", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0 and "é" in done.stdout
    line = [sys.executable, "-m", "minigrad.train", "-a", "lenet5", "--plan", "--output-dir", str(tmp_path / "é")]
    done = subprocess.run(line, env=environment() | {"PYTHONIOENCODING": "ascii"}, capture_output=True, text=True)
    assert done.returncode == 0 and r"\xe9" in done.stdout


@pytest.mark.long
def test_numbers_agree_with_their_nouns(tmp_path, capsys):
    assert count(1, "epoch") == "1 epoch" and count(2, "step") == "2 steps" and count(3, "class") == "3 classes"
    assert count(10_000, "image") == "10,000 images" and duration(3725) == "1 h 2 min"
    assert train(tmp_path, *SHOWN, "--limit-train-batches", 1, "--limit-test-batches", 1) == 0
    assert "1 epoch of 1 step of 32 images" in capsys.readouterr().out


def test_bars_are_shown_by_terminals_and_notebooks_only(monkeypatch):
    stream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
    for target, shown in ((io.StringIO(), False), (stream, True), (None, False)):
        monkeypatch.setattr(sys, "stderr", target)
        assert screen.shows_bars(target) == shown
        with screen.Bar("epoch 1/2", 3) as bar:
            bar.update("loss 0.5")
        if target is not None:
            assert ("epoch 1/2" in target.getvalue()) == shown


@pytest.mark.parametrize("wrong, hint", [
    ("--learning-rate", "; did you mean --lr?"), ("--lrr", "; did you mean --lr?"), ("--tta", ""),
    ("--model", "; did you mean --arch?"), ("--batchsize", "; did you mean --batch-size?"),
    ("--batch_size", "; did you mean --batch-size?"), ("--eval", "; did you mean --evaluate?"),
    ("--epoch", "; did you mean --epochs?"), ("--xyzzy", ""), ("--optim", ""),
])  # fmt: skip
def test_suggestions(wrong, hint):
    assert nearest(wrong, FLAGS) == hint
