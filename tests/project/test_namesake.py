"""Another distribution installs a package `kernels`, too: it is noticed at import and at installation."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent


def importing(folder, *flags):
    """`import minigrad` where `folder` comes first on the path."""
    path = os.pathsep.join([str(folder), str(ROOT)])
    command = [sys.executable, *flags, "-c", "import minigrad"]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, cwd=folder, capture_output=True, text=True)


def stranger(folder):
    (folder / "kernels").mkdir()
    (folder / "kernels/__init__.py").write_text("raise SystemExit('another package ran')")


def test_another_package_is_refused_and_not_run(tmp_path):
    stranger(tmp_path)
    last = importing(tmp_path).stderr.splitlines()[-1]
    assert last.startswith("ImportError: minigrad's package 'kernels' is not there; one of that name is at ")
    assert str(tmp_path) in last and "virtual environment of its own" in last


def test_a_folder_without_code_is_not_ours(tmp_path):
    (tmp_path / "kernels").mkdir()
    assert importing(tmp_path).returncode == 0  # Python prefers ours, a package with code


def test_files_written_over_another_package_are_said(tmp_path):
    for package in ("kernels", "minigrad"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    assert importing(tmp_path, "-W", "error").returncode == 0
    (tmp_path / "kernels-0.17.2.dist-info").mkdir()
    done = importing(tmp_path)
    assert done.returncode == 0 and "RuntimeWarning: minigrad and another distribution both own" in done.stderr


def test_the_installation_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("hatchling", reason="hatchling, which builds minigrad, is not installed")
    spec = importlib.util.spec_from_file_location("build_hook", ROOT / ".ci/build_hook.py")
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    build = object.__new__(hook.NoOtherKernels)
    monkeypatch.setattr(hook.sysconfig, "get_path", lambda name: str(tmp_path))
    build.initialize("editable", {})
    stranger(tmp_path)
    with pytest.raises(RuntimeError, match=r"another distribution here .*virtual environment of its own"):
        build.initialize("editable", {})
    shutil.copy(ROOT / "kernels/__init__.py", tmp_path / "kernels/__init__.py")
    build.initialize("editable", {})
