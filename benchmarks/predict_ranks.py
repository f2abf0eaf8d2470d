"""What 8, 64 and 512 processes would give, by the simulator, after it was held against 2 and 4 that were measured.

python benchmarks/predict_ranks.py --json benchmarks/results      two nets, in 3 minutes; needs mpi4py and an MPI

Measured with 2 and 4 processes: an all-reduce of 64 kB and one of 4 MB, which give the link; a step of processes that
send nothing, which goes into the simulator; the step of those that do, which it has to foretell. All run on the cores
of this machine, of which processes share one where there are fewer: the step that goes in is one that shares, too.
"""

import argparse
import contextlib
import json
import statistics
import sys
from pathlib import Path

from bench_distributed import task_of
from measure import PeerError, disturbed, in_turns, machine, milliseconds, named, progress
from ranks import Ranks
from simulator import Link, Step, link_of, step_of, step_seconds

SMALL, LARGE = 1 << 16, 4 << 20
# Bandwidths: IEEE 802.3ae, 802.3ba; NVIDIA's data sheets of ConnectX-7 (NDR, one port of 400 Gb/s) and of H100 (NVLink
# 4, 900 GB/s in both directions, up to 256 GPUs by switches). Latencies: 20 us from end to end (Hurwitz & Feng 2003);
# 14 and 3.4 us a step of a ring in NCCL's own table (src/graph/tuning.cc, hwLat, protocol Simple).
LINKS = {
    "10 Gb Ethernet": Link(20e-6, 1.25e9),
    "100 Gb Ethernet": Link(20e-6, 12.5e9),
    "InfiniBand NDR": Link(14e-6, 50e9),
    "NVLink 4": Link(3.4e-6, 450e9, most=256),
}
NUMBERS, SPEEDS = (8, 64, 512), (1, 100)


def median_step(answers):
    """Of all windows' steps of the first process, each part's median."""
    steps = [step_of(answer["events"][0]) for answer in answers]
    ready = tuple(statistics.median(times) for times in zip(*(s.ready for s in steps)))
    return Step(*(statistics.median(part) for part in zip(*(s[:3] for s in steps))), ready, steps[0].sizes)


def measured_link(n, args):
    """The Link that messages between so many processes of this machine have."""
    with Ranks("minigrad_messages", n, 1) as ranks:
        jobs = {size: (ranks, {"size": size}) for size in (SMALL, LARGE)}
        answers = in_turns(jobs, args.seconds / 2, args.rounds, args.budget)
    return link_of(*((size, milliseconds(found) / 1000) for size, found in answers.items()), n)


def check(net, n, link, args):
    """A row: the step of n processes as foretold, from what they do in silence, and as measured."""
    progress(f"{net} in {n} processes")
    task = {**task_of(net, 1), "batch": n * task_of(net, 1)["batch"] // 2}
    with contextlib.ExitStack() as stack:
        silent, speaking = (stack.enter_context(Ranks("minigrad_ranks", n, 1)) for _ in range(2))
        jobs = {"silent": (silent, {**task, "silent": True}), "speaking": (speaking, task)}
        answers = in_turns(jobs, args.seconds, args.rounds, args.budget)
    step = median_step(answers["silent"])
    step = step.faster(step.seconds * 1000 / milliseconds(answers["silent"]))
    foretold, measured = 1000 * step_seconds(step, n, link, alone=False), milliseconds(answers["speaking"])
    figures = {"silent_ms": 1000 * step.seconds, "foretold_ms": foretold, "measured_ms": measured}
    rough = any(disturbed(a) for a in answers.values())
    return {"net": net, "n": n, **figures, "error": foretold / measured - 1, "disturbed": rough, "link": link}


def alone(net, args):
    """The Step of one process that has a core, and the machine's memory, for itself."""
    task = {**task_of(net, 1), "batch": task_of(net, 1)["batch"] // 2, "silent": True}
    with Ranks("minigrad_ranks", 1, 1) as ranks:
        return median_step([ranks.measure(task, args.seconds) for _ in range(args.rounds)])


def predictions(net, step):
    """[(net, speed, link's name, {n: efficiency})]: the step without messages / the step with them."""
    for speed in SPEEDS:
        faster = step.faster(speed)
        for name, link in LINKS.items():
            parts = {n: faster.seconds / step_seconds(faster, n, link) for n in NUMBERS if n <= link.most}
            yield net, speed, name, parts


def markdown(checks, steps):
    """Both tables."""
    lines = ["| net | processes | in silence, ms | foretold, ms | measured, ms | error |", "|---|---|---|---|---|---|"]
    for row in checks:
        figures = " | ".join(f"{row[name]:.1f}" for name in ("silent_ms", "foretold_ms", "measured_ms"))
        mark = " *" if row["disturbed"] else ""
        lines.append(f"| `{row['net']}`{mark} | {row['n']} | {figures} | {100 * row['error']:+.0f} % |")
    lines += [
        "",
        "`*`: other work disturbed it.",
        "",
        f"| net | a step alone, ms | link | {' | '.join(map(str, NUMBERS))} |",
        "|---" * (3 + len(NUMBERS)) + "|",
    ]
    for net, step in steps.items():
        for _, speed, name, parts in predictions(net, step):
            shares = " | ".join(f"{100 * parts[n]:.1f} %" if n in parts else "-" for n in NUMBERS)
            lines.append(f"| `{net}` | {1000 * step.seconds / speed:.3g} | {name} | {shares} |")
    return "\n".join(lines) + "\n"


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", nargs="+", default=["resnet18", "alexnet_owt"])
    parser.add_argument("--number", type=int, nargs="+", default=[2, 4], help="processes that are measured")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a window")
    parser.add_argument("--budget", type=float, default=20, help="seconds for the windows of a case")
    parser.add_argument("--json", type=Path, help="write what was measured there (a file, or a directory)")
    parser.add_argument("--markdown", type=Path, help="write the tables there, likewise")
    return parser.parse_args()


def main():
    args = parse()
    try:
        links = {n: measured_link(n, args) for n in args.number}
        checks = [check(net, n, link, args) for net in args.net for n, link in links.items()]
        steps = {net: alone(net, args) for net in args.net}
    except PeerError as error:
        print(f"predict_ranks: {error}", file=sys.stderr)
        sys.exit(2)
    print(text := markdown(checks, steps))
    told = {"checks": checks, "alone": steps, "machine": machine(1)}
    for path, ending, content in (
        (args.json, ".json", json.dumps(told, indent=1) + "\n"),
        (args.markdown, ".md", text),
    ):
        if path:
            named(path, "scaling", ending).write_text(content)


if __name__ == "__main__":
    main()
