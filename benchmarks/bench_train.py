"""Whole nets: milliseconds of a training step or of a forward pass in evaluation mode, beside a peer.

python benchmarks/bench_train.py --peer torch                              the eight standard nets
python benchmarks/bench_train.py --peer torch --small --mode forward       the nets of the default runs, 28x28x1
python benchmarks/bench_train.py --peer torch onnxruntime openvino --mode forward --batch 1    several peers
python benchmarks/bench_train.py --peer torch --net resnet18 --batch 1 8 32 --json resnet18.json --plot resnet18.png
"""

import argparse
import contextlib
import os
import sys
import tempfile
from pathlib import Path

from measure import PeerError, Worker, disturbed, in_turns, milliseconds, progress, report
from peers import PEERS, SMALL, STANDARD

CLOSE = 1.1  # candidates that are at most this much slower than the best one get a second look
SCREENING_SECONDS = 1.0

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for what a net was made for


def case(net, image, channels, batch, mode, threads):
    """The arguments of a peer's build; None means what the net was made for, and 8 large images or 64 small ones."""
    from architectures.registry import find

    made_for = find(net)
    image = image or made_for.image_size
    sizes = dict(image=image, channels=channels or made_for.in_channels, classes=made_for.num_classes)
    return dict(net=net, **sizes, batch=batch or (8 if image > 64 else 64), mode=mode, threads=threads)


def finalists(peer, task, args):
    """(names of the peer's fastest candidate, and of the next one if it is close, {name: answer}), by one window each.

    A candidate that can't run is left out, unless none can: torch.compile needs a compiler.
    """
    candidates = PEERS[peer].candidates
    if len(candidates) < 2:
        return tuple(candidates), {}
    answers, errors = {}, []
    for name, (settings, environment) in candidates.items():
        try:
            with Worker(peer, args.threads, environment, args.python) as worker:
                answers[name] = worker.measure({**task, **settings}, SCREENING_SECONDS)
        except PeerError as error:
            progress(f"  {name}: left out ({error})")
            errors.append(error)
            continue
        progress(f"  {name}: {1000 * answers[name]['median_s']:.0f} ms, {answers[name]['peak_rss_mb']:.0f} MB")
    if not answers:
        raise errors[0]
    seconds = {name: answer["median_s"] for name, answer in answers.items()}
    fastest = sorted(seconds, key=seconds.get)[:2]
    return tuple(name for name in fastest if seconds[name] < CLOSE * seconds[fastest[0]] or name == fastest[0]), answers


def first_step_without_cache(task, threads):
    """Seconds of our first step when no kernel was compiled before."""
    with tempfile.TemporaryDirectory() as folder:
        with Worker("minigrad", threads, {"MINIGRAD_CACHE": folder}) as worker:
            return worker.measure(task, 0)["first_step_s"]


def run_case(task, args):
    """One row of the table."""
    progress(f"{task['net']} {task['image']}x{task['image']}x{task['channels']}, batch {task['batch']}, {task['mode']}")
    with Worker("minigrad", args.threads) as worker:
        worker.measure(task, 0)  # compiles what is not in the cache yet: that takes time and memory of its own
    chosen, screened = {}, {}
    for peer in args.peer:
        names, answers = finalists(peer, task, args)
        chosen |= {name: (peer, *PEERS[peer].candidates[name]) for name in names}
        screened |= answers
    with contextlib.ExitStack() as stack:
        jobs = {"minigrad": (stack.enter_context(Worker("minigrad", args.threads)), task)}
        for name, (peer, settings, environment) in chosen.items():
            worker = stack.enter_context(Worker(peer, args.threads, environment, args.python))
            jobs[name] = worker, {**task, **settings}
        answers = in_turns(jobs, args.seconds, args.rounds, args.budget)
    row = ours(task, answers["minigrad"], args) | theirs(answers, screened)
    row["ratio"] = round(row["peer_ms"] / row["ours_ms"], 3) if chosen else None
    row["disturbed"] = any(disturbed(a) for a in answers.values())
    return row


def ours(task, answers, args):
    first = answers[0]
    row = {name: task[name] for name in ("net", "image", "channels", "batch", "mode")}
    row |= {"ours_ms": round(milliseconds(answers), 2), "ours_rss_mb": round(answers[-1]["peak_rss_mb"])}
    row |= {f"ours_{name}": round(first[name], 2) for name in ("import_s", "build_s", "first_step_s")}
    return row | {
        "ours_cold_first_step_s": round(first_step_without_cache(task, args.threads), 1) if args.cold else None
    }


def theirs(answers, screened):
    """The fastest candidate's figures, and those of all."""
    all_ms = {name: 1000 * a["median_s"] for name, a in screened.items()}
    all_ms |= {name: milliseconds(a) for name, a in answers.items() if name != "minigrad"}
    if not all_ms:
        return {"peer": None, "peer_ms": None, "peer_rss_mb": None}
    best = min((name for name in answers if name != "minigrad"), key=all_ms.get)
    return {
        "peer": best,
        "peer_version": answers[best][0]["version"],
        "peer_ms": round(all_ms[best], 2),
        "peer_rss_mb": round(answers[best][-1]["peak_rss_mb"]),
        "peer_first_step_s": round(answers[best][0]["first_step_s"], 2),
        "all_ms": {name: round(ms, 2) for name, ms in all_ms.items()},
        "all_rss_mb": {name: round(a["peak_rss_mb"]) for name, a in screened.items()},
        "versions": {name: a[0]["version"] for name, a in answers.items() if name != "minigrad"},
    }


HEADER = (
    f"{'net':22} {'size':>4} {'b':>3} {'mode':7} {'ours ms':>9} {'peer ms':>9} {'ratio':>6} "
    f"{'RSS MB':>11} {'1st s':>6} {'cold s':>6}  peer"
)


def line(row):
    """A row as text. 1st: our first step; RSS: ours / the peer's; a * marks figures that other work disturbed."""
    peer_ms, ratio = (f"{row['peer_ms']:9.1f}", f"{row['ratio']:6.2f}") if row["peer"] else (" " * 9, " " * 6)
    memory = f"{row['ours_rss_mb']:5}/{row['peer_rss_mb'] or '-':>5}"
    cold = "-" if row["ours_cold_first_step_s"] is None else row["ours_cold_first_step_s"]
    return (
        f"{row['net']:22} {row['image']:4} {row['batch']:3} {row['mode']:7} {row['ours_ms']:9.1f} {peer_ms} {ratio} "
        f"{memory} {row['ours_first_step_s']:6.2f} {cold:>6}  {row['peer'] or ''}{' *' if row['disturbed'] else ''}"
    )


def nets_of(peer, nets, asked):
    """Those of the nets that a peer has, or else all that it has. PeerError where others were asked for by name."""
    known = PEERS[peer].nets
    if not known:
        raise PeerError(f"{peer} can't be measured: {PEERS[peer].hint}")
    missing = [n for n in nets if n not in known]
    if asked and peer != "none" and missing:
        raise PeerError(f"{peer} has no net {missing[0]!r} here; it has {', '.join(known)}")
    return nets if asked else [n for n in nets if n in known] or known


def wanted(args):
    """The cases that the arguments ask for. PeerError for a net that the peer has not."""
    nets = args.net or list(SMALL if args.small else STANDARD)
    for peer in args.peer:
        nets = nets_of(peer, nets, asked=args.net)
    image, channels = (args.image or 28, 1) if args.small else (args.image, None)
    return [case(n, image, channels, b, args.mode, args.threads) for n in nets for b in args.batch or [None]]


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", choices=PEERS, nargs="+", default=["none"], help="one, or several in one run")
    parser.add_argument(
        "--python", default=sys.executable, help="the interpreter that has the peer (default: this one)"
    )
    parser.add_argument("--net", nargs="+", help="these nets only (default: the eight standard ones)")
    parser.add_argument("--small", action="store_true", help="the nets of the default runs, on 28x28x1")
    parser.add_argument("--image", type=int, help="image size (default: what the net was made for)")
    parser.add_argument("--batch", type=int, nargs="+", help="batch sizes (default: 8, or 64 images up to 64x64)")
    parser.add_argument("--mode", choices=("train", "forward"), default="train")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5, help="quiet windows of each candidate (default 5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="least length of a window (default 1.0)")
    parser.add_argument("--budget", type=float, default=60, help="seconds for the windows of a case (default 60)")
    parser.add_argument("--cold", action="store_true", help="also time the first step with an empty kernel cache")
    parser.add_argument("--json", type=Path, help="write the rows there (a file, or a directory), with the machine")
    parser.add_argument("--plot", type=Path, help="draw the ratios there, likewise")
    return parser.parse_args()


def measure(args):
    """Run everything that was asked for; yields each row when it is done."""
    cases = wanted(args)
    print(HEADER, flush=True)
    for task in cases:
        yield run_case(task, args)


def stem(args):
    """What the files of these measurements are called, before the processor and the day."""
    parts = "forward" if args.mode == "forward" else "train_step", "28x28" if args.small else None
    batch = f"batch{args.batch[0]}" if args.batch and len(args.batch) == 1 else None
    return "_".join(filter(None, (*parts, batch)))


def main():
    args = parse()
    report("bench_train", measure(args), line, args, stem(args))


if __name__ == "__main__":
    main()
