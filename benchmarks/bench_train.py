"""Whole nets: milliseconds of a training step or a forward pass, beside a peer, in turns.

python benchmarks/bench_train.py --peer torch                        the eight standard cases
python benchmarks/bench_train.py --peer torch --net resnet18 --batch 32 --mode forward
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).parent
CASES = [
    ("vgg16", 224, 8), ("alexnet_owt", 224, 8), ("resnet18", 224, 8), ("googlenet_torchvision", 224, 8),
    ("resnet50", 224, 8), ("densenet121", 224, 8), ("resnet20", 32, 64), ("densenet_bc_100_12", 32, 64),
]  # fmt: skip
HUGE_PAGES = {"THP_MEM_ALLOC_ENABLE": "1"}
CANDIDATES = {
    "none": {},
    "torch": {
        "torch contiguous": ("contiguous", {}),
        "torch channels last": ("channels_last", {}),
        "torch contiguous, huge pages": ("contiguous", HUGE_PAGES),
        "torch channels last, huge pages": ("channels_last", HUGE_PAGES),
    },
}


class Worker:
    """A candidate in its own process, idle until asked."""

    def __init__(self, who, net, image, batch, mode, layout, threads, environment):
        command = [
            sys.executable,
            str(HERE / "worker.py"),
            who,
            net,
            str(image),
            str(batch),
            mode,
            layout,
            str(threads),
        ]
        env = {**os.environ, **environment, "OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.first_step, self.times, self.peak_rss_mb = self.answer()["first_step"], [], 0.0

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"bench_train: a worker ended early: {self.process.args}")
        return json.loads(line)

    def measure(self, seconds, tries=4, most_busy=0.15):
        """One window; another one, a few times, where other work used the processor meanwhile."""
        for _ in range(tries):
            print(seconds, file=self.process.stdin, flush=True)
            result = self.answer()
            if result["busy"] < most_busy:
                break
        self.times += result["seconds"]
        self.peak_rss_mb = result["peak_rss_mb"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def run_case(net, image, batch, args):
    """The medians of one case: a row of the table."""
    common = (net, image, batch, args.mode)
    workers = {"minigrad": Worker("ours", *common, "channels_last", args.threads, {})}
    for name, (layout, environment) in CANDIDATES[args.peer].items():
        workers[name] = Worker(args.peer, *common, layout, args.threads, environment)
    for _ in range(args.rounds):
        for worker in workers.values():
            worker.measure(args.seconds)
    for worker in workers.values():
        worker.close()
    milliseconds = {name: 1000 * statistics.median(w.times) for name, w in workers.items()}
    ours = workers.pop("minigrad")
    peer = min(workers, key=milliseconds.get) if workers else None
    return {
        "net": net, "image": image, "batch": batch, "mode": args.mode, "ours_ms": round(milliseconds["minigrad"], 2),
        "peer_ms": round(milliseconds[peer], 2) if peer else None, "peer": peer,
        "ratio": round(milliseconds[peer] / milliseconds["minigrad"], 3) if peer else None,
        "ours_rss_mb": round(ours.peak_rss_mb), "peer_rss_mb": round(workers[peer].peak_rss_mb) if peer else None,
        "ours_first_step_s": round(ours.first_step, 2), "all_ms": {n: round(v, 2) for n, v in milliseconds.items()},
    }  # fmt: skip


def machine(threads):
    """What the numbers were measured on."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = [l.split(":")[1].strip() for l in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in l]
        model = names[0] if names else model
    versions = {}
    for package in ("numpy", "numba", "torch"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {"cpu": model, "cores": os.cpu_count(), "threads": threads, "python": platform.python_version(), **versions}


def print_row(row):
    peer = f"{row['peer_ms']:10.1f} {row['ratio']:6.2f}  {row['peer']}" if row["peer"] else ""
    memory = f"{row['ours_rss_mb']:5}/{row['peer_rss_mb'] or 0:5}"
    case = f"{row['net']:22} {row['image']:4} {row['batch']:4} {row['mode']:8}"
    print(f"{case} {row['ours_ms']:9.1f} {memory} {peer}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", choices=CANDIDATES, default="none")
    parser.add_argument("--net", help="one net only (default: the eight standard cases)")
    parser.add_argument("--image", type=int, default=None, help="image size with --net (default: the case's, or 224)")
    parser.add_argument("--batch", type=int, default=None, help="batch size (default: the case's, or 8)")
    parser.add_argument("--mode", choices=("train", "forward"), default="train")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one window (default 1.0)")
    parser.add_argument("--json", type=Path, help="write the rows there, with machine and versions")
    args = parser.parse_args()
    known = {net: (image, batch) for net, image, batch in CASES}
    nets = [args.net] if args.net else list(known)
    print(f"{'net':22} {'size':>4} {'b':>4} {'mode':8} {'ours ms':>9} {'RSS MB':>11} {'peer ms':>10} {'ratio':>6}")
    rows = []
    for net in nets:
        image, batch = known.get(net, (224, 8))
        rows.append(run_case(net, args.image or image, args.batch or batch, args))
        print_row(rows[-1])
    if args.json:
        args.json.write_text(json.dumps([{**row, "machine": machine(args.threads)} for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
