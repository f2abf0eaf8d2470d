"""bench_gpu runs from end to end on the emulated GPU, goes on after failures, and keeps to its time."""

import importlib.util
import json
from types import SimpleNamespace

import pytest
from benchmark_runs import run
from cuda_cases import needs_emulator

TINY = "--net", "lenet5", "--batch", 1, "--precision", "tf32", "--gemm", 32, "--copy", 1, "--seconds", 0, "--rounds", 1


@needs_emulator
def test_it_measures_ceilings_nets_and_layers(tmp_path):
    paths = "--json", tmp_path / "rows.json", "--table", tmp_path / "rows.md"
    done = run("bench_gpu.py", "--device", "emulated", "--peer", "none", *TINY, *paths)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [r["kind"] for r in rows] == ["copy", "gemm", "launch", "net", *["conv"] * 5]
    assert [r["graph_ms"] > 0 for r in rows if "graph_ms" in r] == [True] and "graph_ms" in rows[3]
    assert all(r["minigrad_ms"] > 0 and r["device"] == "emulated" and "ratio" not in r for r in rows)
    first, second = {(25 * 28 * 28 * 6, "forward"), (25 * 28 * 28 * 6, "backward_weight")}, 25 * 10 * 10 * 6 * 16
    passes = {(second, p) for p in ("forward", "backward_input", "backward_weight")}
    assert {(r["flops"] // 2, r["pass"]) for r in rows if r["kind"] == "conv"} == first | passes
    text = (tmp_path / "rows.md").read_text()
    assert "the times mean nothing" in text and "9 of 9 rows" in text and text.count("| `lenet5` |") == 1


@needs_emulator
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch, the peer, is not installed")
def test_beside_torch_and_what_it_cannot_do(tmp_path):
    parts = "--only", "ceilings", "nets", "--json", tmp_path / "rows.json"
    done = run("bench_gpu.py", "--device", "emulated", *TINY, *parts)
    assert done.returncode == 0, done.stderr
    *ceilings, net = json.loads((tmp_path / "rows.json").read_text())
    assert all(r["torch_ms"] > 0 and r["ratio"] > 0 for r in ceilings)
    assert net["minigrad_ms"] > 0 and "lenet5" in net["torch_error"] and "torch_ms" not in net


def test_the_rows_are_listed_without_a_gpu():
    done = run("bench_gpu.py", "--dry", "--net", "resnet20", "--batch", 64, "--precision", "bf16", "fp32")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines[:6]] == ["copy", "gemm", "gemm", "launch", "net", "net"]
    assert "conv 32x32x16, 3x3 to 16 forward bf16 64" in done.stdout and "rows; 8 minutes" in lines[-1]
    shares = [float(line.split()[-5]) for line in lines[6:-1]]
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) < 2 * 100  # of two precisions


def test_no_gpu_is_one_line_and_exit_status_2(monkeypatch):
    monkeypatch.setenv("PATH", "")
    done = run("bench_gpu.py", "--only", "ceilings")
    assert done.returncode == 2 and done.stderr.startswith("bench_gpu: nvidia-smi finds no GPU here")


def test_no_row_begins_when_the_time_is_over():
    done = run("bench_gpu.py", "--device", "emulated", "--only", "ceilings", "--minutes", 0)
    assert done.returncode == 0 and "5 of 5 rows were not measured" in done.stderr


class Side:
    """A side whose answers were written down before: seconds, or the error that measure raises."""

    def __init__(self, *answers):
        self.answers, self.closed, self.kinds, self.worker = iter(answers), 0, (), "running"

    def measure(self, task, seconds):
        answer = next(self.answers)
        if isinstance(answer, Exception):
            self.worker = None
            raise answer
        return {"median_s": answer, "busy": 0.0}

    def close(self):
        self.closed += 1


@pytest.fixture
def measured(module):
    """The results of a row, from the sides' answers."""
    bench, args = module("bench_gpu"), SimpleNamespace(device="cuda", seconds=0, rounds=3)
    row = bench.Row({"kind": "net", "name": "n", "precision": "bf16", "batch": 50}, {})

    def measure(**sides):
        return bench.measure_row(row, sides, args)

    return measure


def error(module, text):
    return module("measure").PeerError(text)


def test_ratio_and_rates(measured):
    row = measured(minigrad=Side(9, 0.2, 0.1, 0.3), graph=Side(9, *[0.05] * 3), torch=Side(9, 0.1, 0.1, 0.1))
    assert row["minigrad_ms"] == 200 and row["torch_ms"] == 100 and row["ratio"] == 0.5 and row["graph_ratio"] == 2
    assert row["minigrad_images_s"] == 250 and row["torch_images_s"] == 500


def test_a_failure_leaves_the_other_side_its_row(measured, module):
    row = measured(minigrad=Side(error(module, "minigrad_gpu: wrong")), torch=Side(9, 0.1, 0.1, 0.1))
    assert row["torch_ms"] == 100 and row["minigrad_error"] == "minigrad_gpu: wrong" and "ratio" not in row


def test_a_failure_in_the_middle_is_the_right_side_s(measured, module):
    row = measured(minigrad=Side(9, 0.2, 0.2, 0.2), torch=Side(9, 0.1, error(module, "torch_gpu: wrong")))
    assert row["torch_error"] == "torch_gpu: wrong" and "minigrad_error" not in row


def test_what_does_not_fit_beside_the_other_side_is_measured_alone(measured, module):
    full = error(module, "torch_gpu: CUDA out of memory")
    sides = {"minigrad": Side(9, *[0.2] * 3, 9, *[0.2] * 3), "torch": Side(full, 9, *[0.1] * 3)}
    row = measured(**sides)
    assert row["ratio"] == 0.5 and "torch_error" not in row and sides["minigrad"].closed == 2


def test_events_are_set_around_the_runs(module):
    log = []

    class Event:
        def record(self):
            log.append("record")

        def synchronize(self):
            log.append("wait")

    by_events = module("peers.gpu").by_events
    seconds = by_events(lambda: log.append("run"), 2, Event, lambda a, b: 5.0, lambda cycles: log.append("hold"))
    assert seconds == pytest.approx(0.0025) and log == ["hold", "record", "run", "run", "record", "wait"]


def test_layers_are_summed_as_often_as_a_net_has_them(module):
    row = {"kind": "conv", "batch": 64, "precision": "bf16", "minigrad_ms": 2.0, "torch_ms": 1.0, "ratio": 0.5}
    rows = [{**row, "nets": {"a": 3}}, {**row, "nets": {"a": 1, "b": 2}, "torch_ms": 4.0}, {"kind": "net"}]
    found = list(module("gpu_table").sums([*rows, {**row, "ratio": 1, "precision": "fp32", "nets": {"b": 1}}]))
    assert found[0] == ["`a`", 64, "bf16", 2, "8", "7", "0.875"] and found[1] == ["`b`", 64, "bf16", 1, "4", "8", "2"]
    assert len(found) == 3
