"""Short training runs for the tests of the command: tiny nets on a part of the embedded data."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from numpy.testing import assert_array_equal

from minigrad.train import checkpoint
from minigrad.train.__main__ import main

ROOT = pathlib.Path(__file__).parent.parent
QUICK = ("--epochs", "2", "--lr-warmup-epochs", "0.5", "-b", "32", "-j", "0")
TINY = (*QUICK, "--limit-train-batches", "4", "--limit-test-batches", "2")


def long(*values):
    """Values of a test's parameters that only the long run has."""
    return pytest.param(*values, marks=pytest.mark.long)


def train(directory, *arguments):
    """A run in this process into `directory`; its exit status."""
    return main(["--output-dir", str(directory), *map(str, arguments)])


def command(*arguments):
    """The command line of a run in a process of its own, on one thread, for it may have to share the machine."""
    return [sys.executable, "-m", "minigrad.train", "--threads", "1", *map(str, arguments)]


def in_process(*arguments, cwd=ROOT):
    """A finished run in a process of its own."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, cwd=cwd, env=environment())


def environment():
    return os.environ | {"PYTHONPATH": str(ROOT)}


def records(directory):
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def arrays(directory, name=checkpoint.LAST):
    return checkpoint.load(directory / name)[0]


def same(a, b):
    """Two {name: array}: equal bit for bit."""
    assert a.keys() == b.keys()
    for name in a:
        assert_array_equal(a[name], b[name], err_msg=name)
