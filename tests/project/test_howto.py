"""The code of the how-to pages prints what stands below it, and their commands are accepted."""

import contextlib
import io
import pathlib
import re
import shlex
import subprocess
import sys

import pytest
from PIL import Image

DOCS = pathlib.Path(__file__).parent.parent.parent / "docs"


def blocks(name):
    return re.findall(r"```(\w+)\n(.*?)```", (DOCS / name).read_text(), re.S)


@pytest.mark.parametrize("name", ["write_an_op.md", "add_a_net.md"])
def test_code_prints_what_stands_below_it(name):
    (kind, code), (below, expected), *_ = blocks(name)
    assert (kind, below) == ("python", "text")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, name, "exec"), {"__name__": "howto"})
    assert printed.getvalue() == expected


def test_the_kernel_shown_is_the_kernel():
    shown = [body for kind, body in blocks("write_a_kernel.md") if kind == "py"]
    for body, path in zip(shown, ("reference", "cpu"), strict=True):
        source = (DOCS.parent / "kernels" / path / "activation.py").read_text()
        for function in re.findall(r"^(?:@parallel\n)?def .*?(?=\n\n\n|\Z)", body.strip(), re.S | re.M):
            assert function.strip() in source


def test_own_images_are_planned(tmp_path):
    for part, kind in (("train", "cat"), ("train", "dog"), ("val", "cat"), ("val", "dog")):
        folder = tmp_path / "photos" / part / kind
        folder.mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (70, 80), (40 * i, 90, 120)).save(folder / f"{i}.jpg")
    lines = [line for kind, body in blocks("own_images.md") if kind == "sh" for line in body.splitlines()]
    commands = [line for line in lines if "minigrad.train" in line]
    assert len(commands) == 2
    for command in commands:
        arguments = [*shlex.split(command)[1:], "--plan"]
        done = subprocess.run([sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0 and "parameters" in done.stdout, done.stderr
