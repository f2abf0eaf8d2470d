"""Every code block of the README does what the README says."""

import contextlib
import io
import pathlib
import re
import shlex
import subprocess
import sys
import tomllib

import pytest

import architectures
from minigrad import nn

ROOT = pathlib.Path(__file__).parent.parent.parent
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.S)
COMMANDS = [c.strip() for kind, body in BLOCKS if kind == "sh" for line in body.splitlines() for c in line.split("&&")]


def test_there_are_blocks():
    assert {"sh", "python", "text"} <= {kind for kind, _ in BLOCKS} and len(COMMANDS) >= 6


@pytest.mark.parametrize("i", [i for i, (kind, _) in enumerate(BLOCKS) if kind == "python"])
def test_python_blocks_print_what_stands_below_them(i, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(BLOCKS[i][1], "README.md", "exec"), {})
    kind, expected = BLOCKS[i + 1]
    assert kind == "text" and printed.getvalue() == expected


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("python -m minigrad.train")])
def test_training_commands_are_accepted(command, tmp_path):
    """With --plan, which checks everything and runs nothing."""
    arguments = [*shlex.split(command)[1:], "--plan"]
    done = subprocess.run([sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True)
    if "not found" in done.stderr or "download" in done.stderr:
        pytest.skip("the data set is not on this machine and there is no network")
    assert done.returncode == 0 and "parameters" in done.stdout, done.stderr


def test_the_other_commands_are_those_of_continuous_integration():
    rest = {c for c in COMMANDS if not c.startswith("python -m minigrad.train")}
    assert rest == {
        "python -m venv .venv",
        ". .venv/bin/activate",
        "pip install -e .",
        'pip install -e ".[test]"',
        "python -m pytest -n 2",
    }
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert "test" in extras
    script = (ROOT / ".ci/run").read_text()
    assert '-e ".[test]" && python -m pytest -n 2' in script


def test_the_tree_is_the_tree():
    tree = next(body for kind, body in BLOCKS if body.startswith("kernels/"))
    for line in tree.splitlines():
        assert (ROOT / line.split()[0]).is_dir(), line
    for path in re.findall(r"`([\w/]+\.(?:py|md))`", TEXT):
        assert (ROOT / path).is_file(), path


# A row of the table of nets: | `name` | HxWxC | parameters | million MACs | ...
ROWS = re.findall(r"^\| `(\w+)` \| (\d+)x\d+x(\d) \| ([\d,]+) \| ([\d,.]+) \|", TEXT, re.M)


def test_the_table_has_rows():
    assert len(ROWS) >= 10


@pytest.mark.parametrize("name, size, channels, parameters, macs", ROWS)
def test_the_table_of_nets_is_true(name, size, channels, parameters, macs):
    size, channels = int(size), int(channels)
    net = architectures.create(name, num_classes=10 if size <= 64 else 1000, image_size=size, in_channels=channels)
    found = nn.summary(net, (size, size, channels))
    assert (f"{found.parameters:,}", f"{found.macs / 1e6:,.1f}") == (parameters, macs)
