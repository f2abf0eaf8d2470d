"""A property: any wrong command line ends with one line on standard error and exit status 2, and leaves nothing."""

import contextlib
import io
import os
import pathlib
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from train_runs import ROOT, main

from minigrad.train.arguments import parser
from minigrad.train.config import FIELDS, kind

WRONG = {
    int: ["x", "", "1.5", "-1", "9" * 25, "9" * 5000, "1e3", "\udcff", "0x10", "nan"],
    float: ["x", "", "nan", "-inf", "inf", "-1", "1e999", "\udcff", "1,5"],
    str: ["", "\udcff", "no such thing", "x" * 5000, "a\nb", "$\\frac$", "../\x7f"],
}
TEXTS = {name for name, f in FIELDS.items() if kind(f) is str and name != "data_path"}


def flag(name):
    return "--" + name.replace("_", "-")


VALUES = [[flag(n), v] for n, f in FIELDS.items() if kind(f) is not bool for v in WRONG[kind(f)] if kind(f) is not str]
NAMES = [[flag(n), v] for n in TEXTS for v in WRONG[str]]
CUT_OFF = [[flag(name)] for name, f in FIELDS.items() if kind(f) is not bool]
ODD = [
    ["--"], ["x"], ["--ttta"], ["-x"], ["--plan=3"], ["--config"], ["--resume", "no/such"], ["--config", "/dev/null/x"],
    ["--evaluate"], ["--resume", "\udcff"], ["--output-dir", ""], ["--no-lr"], ["---"], ["-b"], ["--lr=", "3"],
]  # fmt: skip
RIGHT = [[], ["-a", "lenet5"], ["-b", "4"], ["--epochs", "2"], ["-j", "0"], ["--no-augment"]]


@given(st.sampled_from(VALUES + NAMES + ODD), st.lists(st.sampled_from(RIGHT), max_size=2))
@settings(max_examples=200, deadline=None)
def test_any_wrong_line_is_one_line_and_status_2(wrong, right):
    arguments = [word for part in right for word in part] + ["--plan"] + wrong
    ends_with_one_line(arguments)


@pytest.mark.parametrize("wrong", CUT_OFF, ids=lambda w: w[0])
def test_a_flag_without_its_value(wrong):
    ends_with_one_line(["--plan", *wrong])


def ends_with_one_line(arguments):
    before, errors = sorted(os.listdir(".")), io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        assert main(arguments) == 2, arguments
    (line,) = errors.getvalue().splitlines()
    assert line.startswith("minigrad.train: error: ") and len(line) < 700 and line.isprintable(), arguments
    assert sorted(os.listdir(".")) == before


def test_help_says_where_things_are_kept():
    text = parser().format_help()
    assert "$MINIGRAD_CACHE" in text and "$MINIGRAD_DATA" in text and "~/.cache/minigrad/kernels" in text


@pytest.mark.skipif(not (pathlib.Path("/usr/bin/make").exists()), reason="no make")
def test_make_alone_lists_what_it_can_make():
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and done.stdout.startswith("help ") and "make train ARCH=resnet" in done.stdout


@pytest.mark.parametrize("asked, lines", [("--list-archs", ["resnet20", "densenet121"]), ("--version", [])])
def test_questions_that_are_answered_at_once(asked, lines, capsys):
    with pytest.raises(SystemExit) as end:
        main([asked])
    out = capsys.readouterr().out.splitlines()
    assert end.value.code == 0 and set(lines) <= set(out) and out[0].startswith(("families: alexnet", "minigrad "))
