"""`python -m minigrad.sweep SETTING=VALUE,VALUE ...`: trains with each combination, and prints what came of them.

Exit status: 0 done, 1 a run diverged, 2 a wrong setting or file, 128 + n: signal n.
"""

import itertools
import re
import sys
import time
from pathlib import Path

from ..command.arguments import Parser, parted
from ..command.errors import UsageError
from ..command.files import write_atomically
from ..command.screen import concluded, say, writing
from ..runs import Study
from .table import csv, table

EXAMPLES = """examples:
  python -m minigrad.sweep lr=0.1,0.05,0.02 seed=0,1,2 -- --arch vgg --epochs 3
  python -m minigrad.sweep recipe=practical/vgg-fashion-10k,practical/alexnet-fashion-10k --output-dir runs/nets

A setting is a flag of python -m minigrad.train without its dashes; true and false switch a flag on and off. What
stands after -- is for all runs. The same command, with its --output-dir, goes on where it was stopped.
"""
AXIS = re.compile(r"([a-z][a-z0-9_-]*)=(.+)")
NEVER = {
    "output-dir": "an option of the sweep", "resume": "what the sweep does by itself", "plan": "no training",
    "evaluate": "no training", "find-lr": "no training", "profile": "no training", "config": "to stand after --",
}  # fmt: skip


def parser():
    top = Parser(
        "sweep", "SETTING=VALUE,VALUE ... [--output-dir DIR] [-- option of training ...]",
        description="Train with each combination of some settings, and compare.", epilog=EXAMPLES,
    )  # fmt: skip
    top.add_argument("settings", nargs="+", metavar="SETTING=VALUE,VALUE", help="what to vary, and its values")
    top.add_argument("--output-dir", metavar="DIR", help="where the runs go (default: runs/sweep-TIME)")
    return top


def main(argv=None):
    """Run the command with these arguments (those of the process, if None); the exit status."""
    return concluded("minigrad.sweep", lambda: sweep(argv))


def sweep(argv):
    own, options = parted(argv)
    with writing():
        asked = parser().parse_args(own)
    axes = axes_of(asked.settings)
    if asked.output_dir == "":
        raise UsageError("--output-dir must not be empty")
    place = Path(asked.output_dir or Path("runs") / f"sweep-{time.strftime('%Y%m%d-%H%M%S')}")
    study, combinations = Study(place, options), list(itertools.product(*axes.values()))
    done = []
    for i, values in enumerate(combinations):
        chosen = dict(zip(axes, values))
        say(f"{named(chosen)}, {i + 1} of {len(combinations)}")
        status, run = study.run(named(chosen), *(word for pair in chosen.items() for word in arguments(*pair)))
        if status > 1:  # wrong, or stopped: the others would be, too
            say(f"The same command with --output-dir {place} goes on.")
            return status
        done.append((chosen, run))
        write_atomically(place / "sweep.csv", csv(axes, done).encode())
    say("", *table(axes, done), f"written to {place}", always=True)
    return 0 if all(run for _, run in done) else 1


def axes_of(texts):
    """{setting: [value]} of SETTING=VALUE,VALUE. UsageError for what is no such text, or is there twice."""
    axes = {}
    for text in texts:
        match = AXIS.fullmatch(text)
        if match is None:
            raise UsageError(f"SETTING=VALUE,VALUE must be like lr=0.1,0.05; got {text!r}")
        name, values = match[1].replace("_", "-"), match[2].split(",")
        if name in NEVER:
            raise UsageError(f"{name} can't be varied: it is {NEVER[name]}")
        if name in axes or len(set(values)) < len(values) or "" in values:
            raise UsageError(f"{text}: each setting once, and each of its values once, and not empty")
        axes[name] = values
    return axes


def arguments(name, value):
    """What the train command is given for a setting."""
    if value in ("true", "false"):
        return (f"--{name}" if value == "true" else f"--no-{name}",)
    return f"--{name}", value


def named(chosen):
    """A directory's name for a combination."""
    return re.sub(r"[^\w.,=+-]", "_", ",".join(f"{name}={value}" for name, value in chosen.items()))


if __name__ == "__main__":
    sys.exit(main())
