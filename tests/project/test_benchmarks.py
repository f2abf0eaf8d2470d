"""The benchmarks run, say what they measured, and compare the same things."""

import importlib.util
import json
from types import SimpleNamespace

import pytest
from benchmark_runs import run
from conftest import needs_torch
from op_table import CASES, ROWS

import architectures
from minigrad.nn import summary


def test_a_net_is_measured(tmp_path):
    sizes = "--net", "lenet5", "--image", 28, "--batch", 2, "--seconds", 0, "--rounds", 1, "--budget", 0
    done = run("bench_train.py", *sizes, "--mode", "forward", "--json", tmp_path / "rows.json")
    assert done.returncode == 0, done.stderr
    assert "lenet5" in done.stdout
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    named = {"net": "lenet5", "image": 28, "channels": 1, "batch": 2, "mode": "forward", "peer": None, "ratio": None}
    assert named.items() <= row.items()
    assert 0 < row["ours_ms"] < 1000 and row["ours_rss_mb"] > 10 and row["ours_first_step_s"] > 0
    assert row["machine"].keys() >= {"cpu", "cores", "threads", "python", "numpy", "numba"}


def test_an_op_is_measured_forward_and_backward(tmp_path):
    settings = "--seconds", 0, "--rounds", 1, "--budget", 0, "--json", tmp_path / "rows.json"
    done = run("bench_ops.py", "--op", "softmax", *settings)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [(r["op"], r["pass"]) for r in rows] == [("softmax", "forward"), ("softmax", "backward")]
    assert all(r["ours_ms"] > 0 and r["ratio"] is None and r["machine"]["numpy"] for r in rows)


@pytest.mark.parametrize(
    "arguments, says",
    [
        (("--peer", "autocompyute"), "autocompyute can't be measured"),
        (("--peer", "tinygrad", "--net", "vgg16"), "tinygrad has no net 'vgg16' here; it has resnet20, vgg_small_bn"),
        (("--peer", "mygrad", "--mode", "forward"), "mygrad"),
    ],
)
def test_what_a_peer_cannot_do_is_one_line_and_exit_status_2(arguments, says):
    done = run("bench_train.py", *arguments, "--seconds", 0)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


def test_an_unknown_op_is_refused_with_the_known_ones():
    done = run("bench_ops.py", "--op", "convolve")
    assert done.returncode == 2 and "no op 'convolve'; there are add, " in done.stderr


# The tables


def test_every_row_of_the_ops_of_nets_has_rows_at_real_sizes(module):
    rows = module("op_cases").ROWS

    def kinds(cases):
        return {(c.op.__name__, frozenset(c.params)) for c in cases}

    modest = {("dense_block", frozenset({"units"}))}  # basic layers: no standard net has them
    assert kinds(ROWS) - kinds(row.case for row in rows) - modest == set()


def test_every_other_op_has_a_row_at_real_size_and_a_peer(module):
    rows, peer = module("op_cases").ROWS, module("peers.torch_ops") if importlib.util.find_spec("torch") else None
    names = {case.op.__name__ for case in CASES}
    assert names == {row.case.op.__name__ for row in rows}
    assert peer is None or names <= {*peer.IMAGES, *peer.SIGNALS, *peer.PLAIN}


def test_the_convolutions_of_a_net_are_all_there(module):
    rows = module("op_cases").convolutions("resnet20", 8)
    work = 0
    for row in rows:
        (_, h, w, _), (k, r, s, c), *_ = row.case.shapes
        stride = row.case.params.get("stride", (1, 1))[0]
        work += row.count * (h // stride) * (w // stride) * k * r * s * c
    full = summary(architectures.create("resnet20"), (32, 32, 3)).macs
    assert work == full - 64 * 10 and sum(row.count for row in rows) == 19


@pytest.mark.long
@needs_torch()
def test_torch_has_the_same_nets(module):
    import torch

    from architectures.registry import find

    for name, build in module("peers.torch_nets").NETS.items():
        made_for = find(name)
        model = build(made_for.in_channels, made_for.num_classes)
        with torch.no_grad():
            model(torch.zeros(2, made_for.in_channels, made_for.image_size, made_for.image_size))
        ours = architectures.create(name)
        assert sorted(p.numel() for p in model.parameters()) == sorted(p.size for p in ours.parameters()), name


@needs_torch()
@pytest.mark.parametrize("op", ["dense_block", "conv_transpose2d", "max", "pad", "pad_by", "sum_pool2d", "group_norm"])
def test_torch_computes_the_same(op, module):
    """The functions that are more than a name, on the op table's small rows."""
    import numpy as np
    import torch

    from minigrad import Tensor

    peer = module("peers.torch_ops")
    for case in (c for c in CASES if c.op.__name__ == op and "units" not in c.params):
        arrays = [a.astype("f") for a in case.arrays()]
        to_torch, back = ((0, 3, 1, 2), (0, 2, 3, 1)) if op in peer.IMAGES else ((0, 1, 2, 3),) * 2
        theirs = [torch.tensor(a.transpose(to_torch) if a.ndim == 4 else a) for a in arrays]
        settings = {n: v for n, v in case.params.items() if n != "running"}
        running = [tuple(Tensor(t.data.astype("f")) for t in pair) for pair in case.params.get("running", [])]
        mine = case.op(*map(Tensor, arrays), **settings, **({"running": running} if running else {})).data
        its = (peer.IMAGES | peer.PLAIN)[op](
            *theirs, **settings, **({"running": peer.moved(running)} if running else {})
        )
        its = its.numpy()
        np.testing.assert_allclose(mine, its.transpose(back) if its.ndim == 4 else its, rtol=1e-4, atol=1e-4)


# Windows


class Script:
    """A worker whose windows were written down before."""

    def __init__(self, *windows):
        self.windows = iter(windows)

    def measure(self, task, seconds):
        median, busy = next(self.windows)
        return {"median_s": median, "busy": busy}


def test_windows_in_which_others_worked_do_not_count(module):
    measure = module("measure")
    ours = Script((0.1, 0.0), (9.0, 1.5), (0.3, 0.0), (0.2, 0.0))
    theirs = Script(*[(1.0, 0.0)] * 4)
    answers = measure.in_turns({"ours": (ours, {}), "theirs": (theirs, {})}, 0, rounds=3, budget=60)
    assert {name: len(a) for name, a in answers.items()} == {"ours": 4, "theirs": 4}
    assert measure.milliseconds(answers["ours"]) == pytest.approx(200) and not measure.disturbed(answers["ours"])


def test_a_busy_machine_ends_with_the_budget_and_says_so(module):
    measure = module("measure")
    answers = measure.in_turns({"ours": (Script(*[(0.1, 1.0), (0.3, 1.0), (0.2, 1.0)]), {})}, 0, rounds=3, budget=0)
    assert measure.milliseconds(answers["ours"]) == pytest.approx(200) and measure.disturbed(answers["ours"])


def test_the_plot_has_a_bar_a_row(module, tmp_path):
    row = dict(
        net="resnet20", image=32, batch=64, mode="train", ours_ms=150.0, peer_ms=220.0, ratio=1.47, peer="torch x"
    )
    module("plot").draw([row, {**row, "ratio": None}], tmp_path / "bars.png")
    assert (tmp_path / "bars.png").stat().st_size > 5000


def test_tables_carry_the_kind_of_processor_in_their_names(tmp_path, module, monkeypatch):
    measure = module("measure")
    for flags, kind in (("fpu avx2 avx512f", "avx512"), ("fpu avx2", "avx2"), ("fpu", measure.platform.machine())):
        monkeypatch.setattr(measure, "processor", lambda flags=flags: {"flags": flags})
        assert measure.kind() == measure.machine(1)["kind"] == kind
        name = f"forward_{kind}_{measure.date.today()}.json"
        assert measure.named(tmp_path, "forward", ".json") == tmp_path / name
    assert measure.named(tmp_path / "a.json", "forward", ".json") == tmp_path / "a.json"
    assert measure.named(None, "forward", ".json") is None


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_an_engine_evaluates_our_net(engine, module):
    pytest.importorskip(engine)
    pytest.importorskip("onnx")
    build = module(f"peers.{engine}").build
    task = dict(net="vgg_small_bn", image=28, channels=1, classes=10, batch=2, threads=1)
    build(**task, mode="forward")()
    with pytest.raises(ValueError, match="it evaluates only: --mode forward"):
        build(**task, mode="train")


def test_candidates_that_cannot_run_are_left_out_unless_none_can(module, monkeypatch):
    bench, measure = module("bench_train"), module("measure")

    class Candidate:
        def __init__(self, peer, threads, environment, python):
            self.able = able

        __enter__, __exit__ = (lambda self: self), (lambda self, *_: None)

        def measure(self, task, seconds):
            if task.get("compiled") or not self.able:
                raise measure.PeerError("torch: no compiler")
            return {"median_s": 1.0 if task["layout"] == "contiguous" else 2.0, "peak_rss_mb": 1}

    monkeypatch.setattr(bench, "Worker", Candidate)
    args, able = SimpleNamespace(threads=1, python="python"), True
    names, answers = bench.finalists("torch", {}, args)
    assert names == ("torch contiguous", "torch contiguous, huge pages") and len(answers) == 4
    able = False
    with pytest.raises(measure.PeerError, match="no compiler"):
        bench.finalists("torch", {}, args)


def test_rows_are_kept_when_a_later_one_fails(tmp_path, module, capsys):
    measure = module("measure")
    args = SimpleNamespace(json=tmp_path / "rows.json", plot=None, threads=1)

    def rows():
        yield {"net": "first"}
        raise measure.PeerError("torch: out of memory")

    with pytest.raises(SystemExit) as stop:
        measure.report("bench_train", rows(), str, args, "train_step")
    assert stop.value.code == 2 and "out of memory" in capsys.readouterr().err
    assert [row["net"] for row in json.loads(args.json.read_text())] == ["first"]
