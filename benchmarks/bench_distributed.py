"""Many processes: a training step of 2 processes of one thread beside one of 2 threads, and PyTorch's DDP over gloo.

python benchmarks/bench_distributed.py --peer torch --json benchmarks/results        three nets, under 4 minutes
python benchmarks/bench_distributed.py --net resnet20 --timeline timeline.png        a picture of one step of each rank

mpi4py and an MPI are needed (pip install "minigrad[mpi]"); --python names the interpreter that has torch, if this one
has it not. All candidates take the same batch in all, half of it each where they are two, with batch norm of each
process's own images, as DDP has it on CPUs; "synchronised" is ours with statistics of the whole batch, as the command
trains. A ratio is the time of our one process of two threads / the candidate's.
"""

import argparse
import contextlib
import sys
from pathlib import Path

from bench_train import case
from measure import PeerError, disturbed, in_turns, milliseconds, progress, report
from peers import HUGE_PAGES
from ranks import Ranks

NETS = {"resnet20": (32, 64), "resnet18": (64, 32), "alexnet_owt": (224, 8)}  # image, images in a batch of all
OURS = {"1 x 2": (1, 2, {}), "2 x 1": (2, 1, {}), "2 x 1 synchronised": (2, 1, {"synchronised": True})}
THEIRS = {"torch 1 x 2": (1, 2), "torch DDP 2 x 1": (2, 1)}
LAYOUTS = "contiguous", "channels_last"
BASE = "1 x 2"


def task_of(net, threads):
    """The arguments of the workers' build."""
    image, batch = NETS[net]
    made_for = case(net, image, None, batch, "train", threads)
    return {name: made_for[name] for name in ("net", "image", "channels", "classes", "batch", "threads")}


def faster_layout(net, args):
    """PyTorch's faster layout in DDP, by one window of each."""
    seconds = {}
    for layout in LAYOUTS:
        with Ranks("torch_ranks", 2, 1, HUGE_PAGES, args.python) as ranks:
            seconds[layout] = ranks.measure({**task_of(net, 1), "layout": layout}, args.seconds)["median_s"]
    return min(seconds, key=seconds.get)


def run_net(net, args):
    """The rows of a net: all candidates in turns."""
    progress(f"{net}, {NETS[net][1]} images of {NETS[net][0]}x{NETS[net][0]}")
    layout = faster_layout(net, args) if args.peer else None
    with contextlib.ExitStack() as stack:
        jobs = {}
        for name, (size, threads, settings) in OURS.items():
            ranks = stack.enter_context(Ranks("minigrad_ranks", size, threads))
            jobs[name] = ranks, {**task_of(net, threads), **settings}
        for name, (size, threads) in THEIRS.items() if args.peer else ():
            ranks = stack.enter_context(Ranks("torch_ranks", size, threads, HUGE_PAGES, args.python))
            jobs[name] = ranks, {**task_of(net, threads), "layout": layout}
        answers = in_turns(jobs, args.seconds, args.rounds, args.budget)
    base = milliseconds(answers[BASE])
    return [row(net, name, answers[name], base, layout) for name in answers]


def row(net, name, answers, base, layout):
    image, batch = NETS[net]
    own_layout = layout if name.startswith("torch") else None
    what = {"net": net, "image": image, "batch": batch, "candidate": name, "layout": own_layout}
    spent, memory = sorted(a["cpu_s"] for a in answers)[len(answers) // 2], answers[-1]["peak_rss_mb"]
    figures = {"ms": round(milliseconds(answers), 2), "cpu_ms": round(1000 * spent, 2), "rss_mb": round(memory)}
    ratio = round(base / milliseconds(answers), 3)
    return {**what, **figures, "ratio": ratio, "version": answers[0]["version"], "disturbed": disturbed(answers)}


HEADER = (
    f"{'net':12} {'size':>4} {'b':>3}  {'processes x threads':20} {'ms':>8} {'cpu ms':>8} {'RSS MB':>7} {'ratio':>6}"
)


def line(row):
    """A row as text; a * marks figures that other work disturbed."""
    return (
        f"{row['net']:12} {row['image']:4} {row['batch']:3}  {row['candidate']:20} {row['ms']:8.1f} "
        f"{row['cpu_ms']:8.1f} {row['rss_mb']:6} {row['ratio']:6.2f}{' *' if row['disturbed'] else ''}"
    )


def measure(args):
    """Run everything that was asked for; yields each row when it is done."""
    print(HEADER, flush=True)
    for net in args.net:
        yield from run_net(net, args)


def draw_step(net, path, args):
    """A picture of one step of our two processes."""
    from timeline import draw

    with Ranks("minigrad_ranks", 2, 1) as ranks:
        answer = ranks.measure(task_of(net, 1), args.seconds)
    events = [[event for event in events if event[0] != "bytes"] for events in answer["events"]]
    image, batch = NETS[net]
    draw(events, f"{net}, {image}x{image}, {batch} images in 2 processes of one thread; numbers: buckets", path)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", choices=["torch"], help="beside PyTorch's DDP over gloo")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has torch (default: this one)")
    parser.add_argument("--net", nargs="+", choices=NETS, default=list(NETS), help="these nets only")
    parser.add_argument("--rounds", type=int, default=5, help="quiet windows of each candidate (default 5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a window (default 1.0)")
    parser.add_argument("--budget", type=float, default=30, help="seconds for the windows of a net (default 30)")
    parser.add_argument("--json", type=Path, help="write the rows there (a file, or a directory), with the machine")
    parser.add_argument("--timeline", type=Path, help="only draw one step of our two processes there (.png, .svg)")
    args = parser.parse_args()
    args.threads, args.plot = 2, None
    return args


def main():
    args = parse()
    try:
        if args.timeline:
            return draw_step(args.net[0], args.timeline, args)
        report("bench_distributed", measure(args), line, args, "distributed")
    except PeerError as error:
        print(f"bench_distributed: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
