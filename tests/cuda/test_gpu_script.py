""".ci/gpu with commands that are not there: it goes on after failures, keeps to its time and sums up."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent.parent / ".ci/gpu"
STEPS = ["self-test", "kernels", "ops", "steps", "train", "graph", "memcheck", "racecheck", "speed"]
STUB = """#!/bin/sh
echo "$0 $*" >> "$CALLS"
case "$*" in *"{failing}"*) echo "it went wrong"; exit 3 ;; esac
echo "all is well"
"""
pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash, which runs the script, is not installed")


def run(tmp_path, *parts, failing="nothing at all", stub=STUB, tools=("python", "compute-sanitizer"), **environment):
    """(exit status, {step: its line in the summary}, the commands that were called) with stubs for Python and tools."""
    for name in tools:
        path = tmp_path / name
        path.write_text(stub.format(failing=failing))
        path.chmod(0o755)
    variables = dict(PYTHON=tmp_path / "python", OUT=tmp_path / "out", CALLS=tmp_path / "calls")
    path = f"{tmp_path}:{os.environ['PATH']}"
    env = os.environ | {key: str(value) for key, value in (variables | environment).items()} | {"PATH": path}
    done = subprocess.run(["bash", SCRIPT, *parts], capture_output=True, text=True, env=env, timeout=60)
    summary = (tmp_path / "out/summary.txt").read_text().splitlines() if (tmp_path / "out").exists() else []
    calls = (tmp_path / "calls").read_text() if (tmp_path / "calls").exists() else ""
    return done, {line.split()[0]: line for line in summary}, calls


def test_all_is_well(tmp_path):
    done, summary, calls = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(summary) == STEPS and all(" ok " in line and "all is well" in line for line in summary.values())
    assert "--amp bf16 --cuda-graph" in calls and "tests/core/test_amp.py" in calls
    assert "-m minigrad.doctor --device cuda" in calls and "--tool racecheck" in calls
    assert "benchmarks/bench_gpu.py" in calls and "-k not element_by_element" in calls


@pytest.mark.parametrize(
    "failing, step", [("minigrad.doctor", "self-test"), ("test_ops", "ops"), ("memcheck", "memcheck")]
)
def test_it_goes_on_after_a_failure(tmp_path, failing, step):
    done, summary, _ = run(tmp_path, failing=failing)
    assert done.returncode == 1 and list(summary) == STEPS
    assert "FAILED (3)" in summary.pop(step) and all(" ok " in line for line in summary.values())
    assert f"== {step}\nit went wrong\n" in (tmp_path / "out/log.txt").read_text()


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="for machines without a GPU")
def test_no_gpu_is_a_failure(tmp_path):
    done, summary, _ = run(tmp_path, "self-test", "nets", PYTHON=sys.executable)
    assert done.returncode == 1 and "FAILED (1)" in summary["self-test"] and "FAILED (2)" in summary["nets"]
    assert "not tested: device cuda" in summary["self-test"] and "nvidia-smi finds no GPU here" in summary["nets"]


def test_parts(tmp_path):
    done, summary, _ = run(tmp_path, "speed", "self-test")
    assert done.returncode == 0 and list(summary) == ["speed", "self-test"]
    done, summary, calls = run(tmp_path, "nets", "layers")
    assert list(summary) == ["nets", "layers"] and "--only ceilings nets\n" in calls and "--only layers\n" in calls
    done, *_ = run(tmp_path, "fast")
    assert done.returncode == 2 and "no part 'fast'; there are self-test" in done.stderr


def test_no_time(tmp_path):
    done, summary, calls = run(tmp_path, "tests", "speed", MINUTES="0.05")
    assert done.returncode == 1 and "pytest -q" not in calls
    assert all("out of time" in line and "no time was left" in line for line in summary.values()) and len(summary) == 4


def test_dry_runs_nothing(tmp_path):
    done, summary, calls = run(tmp_path, DRY="1")
    assert done.returncode == 0 and not summary and not calls
    assert [line.split(",")[0] for line in done.stdout.splitlines()] == STEPS
    assert "--minutes 7.2" in done.stdout


def test_a_step_that_cannot_be_captured_is_a_failure(tmp_path):
    said = STUB.replace('echo "all is well"', 'echo "cuda-graph: the step can\'t be captured"')
    done, summary, _ = run(tmp_path, "train", stub=said)
    assert done.returncode == 1 and "FAILED" in summary["graph"] and " ok " in summary["train"]


def test_the_sanitizer_of_the_package_is_found(tmp_path):
    tool = tmp_path / "site/nvidia/cu13/compute-sanitizer/compute-sanitizer"
    tool.parent.mkdir(parents=True)
    tool.write_text(STUB.format(failing="nothing"))
    tool.chmod(0o755)
    done, summary, calls = run(
        tmp_path, "sanitizer", tools=["python"], PYTHON=sys.executable, PYTHONPATH=tmp_path / "site"
    )
    assert list(summary) == ["memcheck", "racecheck"] and f"{tool} --tool memcheck" in calls, done.stdout
