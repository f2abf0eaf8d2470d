"""A GPU within minutes: its ceilings, each net's training step and each convolution, beside PyTorch with cuDNN.

python benchmarks/bench_gpu.py --dry                          what would be measured, in this order
python benchmarks/bench_gpu.py                                as much of it as 8 minutes allow
python benchmarks/bench_gpu.py --only layers --net resnet50   a part of it

Both sides run in processes of their own and take turns; times are those of the GPU's clock (peers/gpu.py). Rows that
matter most come first, and each is written when it is done, to results/ where the device is a GPU.
"""

import argparse
import contextlib
import itertools
import os
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path
from typing import NamedTuple

from gpu_table import name_of, page
from measure import PeerError, Worker, in_turns, milliseconds, progress, report
from worker import version

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]
NETS = "resnet50", "vgg16", "densenet121", "googlenet_torchvision", "alexnet_owt"
PRECISIONS = "bf16", "tf32", "fp32"
PARTS = "ceilings", "nets", "layers"
SIDES = "minigrad", "graph", "torch"
PACKAGES = "numpy", "cupy-cuda13x", "torch", "nvidia-cudnn-cu13", "nvidia-cublas", "triton"
ROW_SECONDS = 90  # after which a side counts as hung
STEPS_LONGER = 10  # windows of whole steps, against those of layers


class Row(NamedTuple):
    """What to measure. task: of peers' build; about: what the results say of it; share: of its net's least time."""

    about: dict
    task: dict
    share: float = 0.0


# What there is to measure


def ceilings(args):
    """Copy, matrix product and launch."""
    about = {"kind": "copy", "name": f"{args.copy} MB", "precision": "fp32", "bytes": 2 * args.copy << 20}
    yield Row(about, dict(megabytes=args.copy))
    for precision in args.precision:
        about = {"kind": "gemm", "name": "x".join(3 * [str(args.gemm)]), "precision": precision}
        yield Row(about | {"flops": 2 * args.gemm**3}, dict(size=args.gemm))
    yield Row({"kind": "launch", "name": "ReLU of one number", "precision": "fp32"}, {})


def nets(args):
    """Training steps."""
    from architectures.registry import find

    for batch, precision, net in itertools.product(args.batch, args.precision, args.net):
        made_for = find(net)
        sizes = dict(image=args.image or made_for.image_size, channels=made_for.in_channels)
        about = {"kind": "net", "name": net, "precision": precision, "batch": batch}
        yield Row(about, dict(net=net, batch=batch, classes=made_for.num_classes, **sizes))


def layers(args):
    """Each different convolution's passes: for a batch size, first those that are the largest part of a net's step."""
    from roofline import steps_of

    rows = {}
    for net in args.net:
        steps = steps_of(net, **({"image_size": args.image} if args.image else {}))
        for batch, precision in itertools.product(args.batch, args.precision):
            for row in layer_rows(net, steps[precision], batch, precision):
                key = str((row.task, precision))
                same = rows.get(key, row)
                row.about["nets"] |= same.about["nets"]
                rows[key] = row._replace(share=max(row.share, same.share))
    order = list(args.batch)
    yield from sorted(rows.values(), key=lambda row: (order.index(row.about["batch"]), -row.share))


def layer_rows(net, calls, batch, precision):
    """A row for each pass of each convolution of a net; its share is that of the least time (roofline.py)."""
    from roofline import GPUS, layer_key, layer_name, seconds, step_seconds

    whole = step_seconds(calls, batch, precision, GPUS["H200"])
    for call, count in calls.items():
        if call.kernel.startswith("conv2d"):
            part, settings = call.kernel.removeprefix("conv2d_"), dict(call.settings)
            about = {"kind": "conv", "name": layer_name(layer_key(call)), "pass": part, "precision": precision}
            about |= {"batch": batch, "flops": call.flops(batch), "bytes": call.bytes(batch)}
            x, w, y = call.conv_shapes(batch)
            names = "stride", "padding", "dilation", "groups"
            task = dict(part=part, x=x, w=w, y=y, **{name: settings[name] for name in names})
            share = count * seconds(call, batch, precision, GPUS["H200"]) / whole
            yield Row(about | {"nets": {net: count}}, task, share)


def rows_of(args):
    for part in PARTS:
        if part in args.only:
            yield from {"ceilings": ceilings, "nets": nets, "layers": layers}[part](args)


# Measuring


class Side:
    """Ourselves or the peer, in a process that is replaced after a failure, which can spoil the GPU for it.

    kinds: those of rows that it measures, all if there are none; own: what its tasks say beside the row's.
    """

    def __init__(self, module, kinds=(), own=()):
        self.module, self.kinds, self.own, self.worker = module, kinds, dict(own), None

    def measure(self, task, seconds):
        """One window: the worker's answer. PeerError if it fails or hangs."""
        self.worker = self.worker or Worker(self.module, os.cpu_count())
        watchdog = threading.Timer(ROW_SECONDS, self.worker.process.kill)
        watchdog.start()
        try:
            return self.worker.measure({**task, **self.own}, seconds)
        except PeerError:
            self.close()
            raise
        finally:
            watchdog.cancel()

    def close(self):
        if self.worker:
            self.worker.close()
        self.worker = None


def all_sides(peer):
    """{name: Side}: ourselves op by op, whole steps as CUDA graphs, and the peer."""
    sides = {"minigrad": Side("minigrad_gpu"), "graph": Side("minigrad_gpu", ("net",), {"graph": True})}
    return sides if peer == "none" else sides | {peer: Side(f"{peer}_gpu")}


def measure_row(row, sides, args):
    """The row's results. A side that fails has its error there, and no time."""
    sides = {name: side for name, side in sides.items() if not side.kinds or row.about["kind"] in side.kinds}
    task = {"kind": row.about["kind"], "device": args.device, "precision": row.about["precision"], **row.task}
    answers, errors = together(sides, task, args)
    if len(sides) > 1 and any("memory" in error.lower() for error in errors.values()):
        answers, errors = one_by_one(sides, task, args)
    failed = {f"{name}_error": error for name, error in errors.items()}
    return row.about | failed | figures(row.about, {name: milliseconds(a) for name, a in answers.items()})


def together(sides, task, args):
    """({side: answers} of windows in turns, {side: error}). A side that fails at once leaves the turns to the other."""
    able, errors = {}, {}
    for name, side in sides.items():
        try:
            side.measure(task, 0)
            able[name] = side, task
        except PeerError as error:
            errors[name] = str(error)
    seconds = args.seconds * (STEPS_LONGER if task["kind"] == "net" else 1)
    try:
        answers = in_turns(able, seconds, args.rounds, seconds * args.rounds * len(able)) if able else {}
    except PeerError as error:
        return {}, errors | {next(name for name, (side, _) in able.items() if side.worker is None): str(error)}
    return answers, errors


def one_by_one(sides, task, args):
    """The same with one process at a time, for what does not fit into memory beside the other side's arrays."""
    answers, errors = {}, {}
    for name, side in sides.items():
        for each in sides.values():
            each.close()
        its_answers, its_errors = together({name: side}, task, args)
        answers, errors = answers | its_answers, errors | its_errors
    return answers, errors


def figures(row, ms):
    """Times and what follows from them: rates, images a second, the ratio (above 1 we are faster)."""
    found = {f"{name}_ms": round(t, 5) for name, t in ms.items()}
    for name, t in ms.items():
        found |= {f"{name}_tflops": round(row["flops"] / t / 1e9, 3)} if "flops" in row else {}
        found |= {f"{name}_gb_s": round(row["bytes"] / t / 1e6, 1)} if "bytes" in row else {}
        found |= {f"{name}_images_s": round(1000 * row["batch"] / t, 1)} if row["kind"] == "net" else {}
    ratios = {"ratio": "minigrad", "graph_ratio": "graph"}
    return found | {key: round(ms["torch"] / ms[side], 3) for key, side in ratios.items() if {side, "torch"} <= {*ms}}


def measure(rows, args, start):
    """Results of the rows, as many as there is time for; the table is written after each."""
    done, about = [], machine()
    with contextlib.ExitStack() as stack:
        sides = all_sides(args.peer)
        for side in sides.values():
            stack.callback(side.close)
        for i, row in enumerate(rows):
            spent = time.perf_counter() - start
            if spent > 60 * args.minutes:
                progress(f"{args.minutes:g} minutes are over: {len(rows) - i} of {len(rows)} rows were not measured")
                return
            done.append(measure_row(row, sides, args) | {"gpu": about, "device": args.device})
            if args.table:
                args.table.write_text(page(done, len(rows)))
            yield done[-1]


def machine():
    """The GPU, its driver, and versions of what is installed."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        name = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        name = None
    return {"name": name, **{package: version(package) for package in PACKAGES}}


# Text


def line(row):
    """A row as text."""
    times = "".join(f"{row[key]:12.4f}" if (key := f"{side}_ms") in row else " " * 12 for side in SIDES)
    errors = "  ".join(f"{key}: {row[key][:90]}" for key in row if key.endswith("_error"))
    return f"{name_of(row):76}{times}{row.get('ratio', ''):>8}  {errors}"


def dry(rows, args):
    """The rows, and how much time there is for each."""
    for i, row in enumerate(rows):
        share = f"{100 * row.share:.1f} % of a step" if row.share else ""
        print(f"{i + 1:5}  {name_of(row.about):70}{share}")
    print(f"{len(rows)} rows; {args.minutes:g} minutes are {60 * args.minutes / max(len(rows), 1):.2f} s for each")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "emulated"), default="cuda", help="emulated: to try this script")
    parser.add_argument("--peer", choices=("torch", "none"), default="torch")
    parser.add_argument("--minutes", type=float, default=8, help="begin no row after this long (default 8)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--net", nargs="+", default=NETS, help="these nets (default: one of each family)")
    parser.add_argument("--batch", type=int, nargs="+", default=(256, 64))
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--image", type=int, help="image size (default: what the net was made for)")
    parser.add_argument("--gemm", type=int, default=8192, help="rows and columns of the matrix product")
    parser.add_argument("--copy", type=int, default=4096, help="MB of the copy")
    parser.add_argument("--rounds", type=int, default=3, help="windows of each side (default 3)")
    parser.add_argument("--seconds", type=float, default=0.03, help="least length of a layer's window (default 0.03)")
    parser.add_argument("--json", type=Path, help="write the rows there (default, on a GPU: results/gpu_DATE.json)")
    parser.add_argument("--table", type=Path, help="and as Markdown there (default, on a GPU: results/gpu_DATE.md)")
    parser.add_argument("--dry", action="store_true", help="print the rows and measure nothing")
    return with_paths(parser.parse_args())


def with_paths(args):
    args.threads, args.plot = os.cpu_count(), None
    if args.device == "cuda" and not args.dry:
        args.json = args.json or HERE / f"results/gpu_{date.today()}.json"
        args.table = args.table or HERE / f"results/gpu_{date.today()}.md"
    return args


def main():
    start, args = time.perf_counter(), parse()
    rows = list(rows_of(args))
    if args.dry:
        dry(rows, args)
        return
    if args.device == "cuda" and not machine()["name"]:
        print(
            "bench_gpu: nvidia-smi finds no GPU here; --dry lists the rows, --device emulated tries it", file=sys.stderr
        )
        sys.exit(2)
    print(" " * 76 + "".join(f"{name:>12}" for name in SIDES) + "   ratio", flush=True)
    report("bench_gpu", measure(rows, args, start), line, args, "gpu")


if __name__ == "__main__":
    main()
