"""One op at a time, at the sizes of real layers: milliseconds of the forward pass and of the gradients, beside PyTorch.

python benchmarks/bench_ops.py --peer torch                          every op of the op table
python benchmarks/bench_ops.py --peer torch --op conv2d linear       these ops
python benchmarks/bench_ops.py --peer torch --net resnet18           each convolution of a net, and their sum
"""

import argparse
import contextlib
import os
import sys
from pathlib import Path

from measure import Worker, disturbed, in_turns, milliseconds, progress, report
from peers import HUGE_PAGES

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]
LAYOUTS = {"none": (), "torch": ("contiguous", "channels_last")}


def start(stack, args):
    """{name: (worker, settings)} of ourselves and of the peer in both layouts (with huge pages, which always help)."""
    workers = {"minigrad": (stack.enter_context(Worker("minigrad_ops", args.threads)), {})}
    for layout in LAYOUTS[args.peer]:
        worker = stack.enter_context(Worker(f"{args.peer}_ops", args.threads, HUGE_PAGES))
        workers[f"{args.peer} {layout.replace('_', ' ')}"] = worker, {"layout": layout}
    return workers


def run_pass(workers, index, row, part, net, batch, args):
    """One row of the table that is printed."""
    task = dict(net=net, batch=batch, row=index, part=part, threads=args.threads)
    jobs = {name: (worker, {**task, **settings}) for name, (worker, settings) in workers.items()}
    answers = in_turns(jobs, args.seconds, args.rounds, args.budget)
    all_ms = {name: milliseconds(a) for name, a in answers.items()}
    best = min((name for name in all_ms if name != "minigrad"), key=all_ms.get, default=None)
    result = {"op": row.case.op.__name__, "case": row.name, "pass": part, "net": net, "count": row.count}
    result |= {"ours_ms": round(all_ms["minigrad"], 4), "peer": best}
    result |= {"peer_ms": round(all_ms[best], 4) if best else None}
    result |= {"ratio": round(all_ms[best] / all_ms["minigrad"], 3) if best else None}
    result |= {"all_ms": {name: round(ms, 4) for name, ms in all_ms.items()}}
    return result | {"disturbed": any(disturbed(a) for a in answers.values())}


def line(row):
    """A row as text; a * marks figures that other work disturbed."""
    others = "".join(f"{ms:12.3f}" for name, ms in row["all_ms"].items() if name != "minigrad")
    ratio = f"{row['ratio']:7.2f}" if row["peer"] else ""
    case = f"{row['op']} {row['case']}" + (f"  x{row['count']}" if row["count"] > 1 else "")
    return f"{case:72} {row['pass']:9}{row['ours_ms']:10.3f}{others}{ratio}{' *' if row['disturbed'] else ''}"


def sum_line(rows):
    """What all layers of a net take together, each as often as the net has it."""
    ours, theirs = (sum(r[side] * r["count"] for r in rows) for side in ("ours_ms", "peer_ms"))
    return (
        f"all of them: ours {ours:.1f} ms, the better layout of each layer {theirs:.1f} ms, ratio {theirs / ours:.2f}"
    )


def measure(args):
    """Run everything that was asked for; yields each row when it is done."""
    from op_cases import table

    with contextlib.ExitStack() as stack:
        workers = start(stack, args)
        for net in args.net or [None]:
            for index, row in enumerate(table(net, args.batch)):
                if not args.op or row.case.op.__name__ in args.op:
                    for part in row.passes:
                        yield run_pass(workers, index, row, part, net, args.batch, args)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", choices=LAYOUTS, default="none")
    parser.add_argument("--op", nargs="+", help="these ops only")
    parser.add_argument("--net", nargs="+", help="the convolutions of these nets instead of the op table's rows")
    parser.add_argument("--batch", type=int, default=8, help="batch size with --net (default 8)")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3, help="quiet windows of each candidate (default 3)")
    parser.add_argument("--seconds", type=float, default=0.1, help="least length of a window (default 0.1)")
    parser.add_argument("--budget", type=float, default=5, help="seconds for one line of the table (default 5)")
    parser.add_argument("--json", type=Path, help="write the rows there (a file, or a directory), with the machine")
    parser.add_argument("--plot", type=Path, help="draw the ratios there, likewise")
    args = parser.parse_args()
    if args.op:
        check_ops(parser, args.op)
    return args


def check_ops(parser, wanted):
    from op_cases import ROWS

    known = list(dict.fromkeys(row.case.op.__name__ for row in ROWS))
    if missing := [op for op in wanted if op not in known]:
        parser.error(f"--op: no op {missing[0]!r}; there are {', '.join(known)}")


def main():
    args = parse()
    columns = "".join(f"{layout.replace('_', ' '):>12}" for layout in LAYOUTS[args.peer])
    progress(f"{args.threads} threads; milliseconds; ratio = the better of {args.peer}'s layouts / ours")
    print(f"{'op, shapes, settings':72} {'pass':9}{'ours':>10}{columns}{'ratio' if columns else '':>7}", flush=True)
    rows = report("bench_ops", measure(args), line, args, "ops")
    if args.net and args.peer != "none" and rows:
        print(sum_line(rows))


if __name__ == "__main__":
    main()
