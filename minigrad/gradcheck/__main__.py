"""`python -m minigrad.gradcheck [OP ...]`: check the cases of a table; with --mutate, test the checks themselves.

Exit status: 0 all right, 1 a wrong gradient, or a mutant that survived without an explanation, 2 a wrong argument.
"""

import argparse
import collections
import importlib
import pathlib
import sys

from ..device import use_kernels
from .cases import check_case
from .mutation.campaign import FORWARD, KILLED, SURVIVED, Judge, campaign, subjects

OWN_TABLE = pathlib.Path(__file__).parents[2] / "tests" / "op_table.py"
FATES = (KILLED, "crashed", FORWARD, SURVIVED)


class UsageError(Exception):
    """A wrong argument."""


def parser():
    parse = argparse.ArgumentParser(prog="python -m minigrad.gradcheck", description=__doc__.splitlines()[0])
    parse.add_argument("ops", nargs="*", metavar="OP", help="only the cases of these ops")
    parse.add_argument(
        "--mutate", action="store_true", help="change each backward in small ways; list what no check saw"
    )
    text = (
        "a file or module with a list CASES of minigrad.gradcheck.Case, and, if you like, EXPLAINED; default: our own"
    )
    parse.add_argument("--cases", metavar="FILE", default=str(OWN_TABLE), help=text)
    return parse


def load(name):
    """The module in this file or of this name."""
    path = pathlib.Path(name)
    if path.suffix != ".py":
        return importlib.import_module(name)
    if not path.is_file():
        raise UsageError(f"--cases: there is no file {name}")
    sys.path.insert(0, str(path.parent.resolve()))
    return importlib.import_module(path.stem)


def chosen(cases, names):
    """The cases of these ops, or all."""
    known = {case.op.__name__ for case in cases}
    if unknown := [n for n in names if n not in known]:
        raise UsageError(f"no case of {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return [case for case in cases if not names or case.op.__name__ in names]


def check(cases):
    """Check each case, print what is wrong; the number of wrong ones."""
    wrong = 0
    for case in cases:
        try:
            check_case(case)
        except AssertionError as error:
            wrong += 1
            print(f"{case}\n{error}\n")
    print(f"{len(cases)} cases, {wrong} of them wrong")
    return wrong


def mutate(cases, module, kernels):
    """Run the mutants of these cases' backward passes, print table and survivors; how many have no explanation."""
    from tqdm import tqdm

    judge, verdicts, explained = Judge(), [], getattr(module, "EXPLAINED", ())
    for subject in (
        bar := tqdm(subjects(cases, kernels, module.CASES), unit="function", file=sys.stderr, disable=None)
    ):
        bar.set_postfix_str(subject.region.function.__name__)
        verdicts.extend(campaign(subject, judge, explained))
    print("\n".join(table(verdicts)))
    print("\n".join(survivors(verdicts)))
    return sum(v.fate == SURVIVED and v.why is None for v in verdicts)


def table(verdicts):
    """One line for each function, and the total."""
    rows = collections.defaultdict(collections.Counter)
    for v in verdicts:
        function = v.mutant.function
        for row in (f"{function.__module__}.{function.__name__}", "all"):
            rows[row][v.fate] += 1
    yield f"{'backward pass of':<58}{'mutants':>8}" + "".join(f"{fate:>9}" for fate in FATES)
    for name in (*(r for r in rows if r != "all"), *(r for r in rows if r == "all")):
        yield f"{name:<58}{rows[name].total():>8}" + "".join(f"{rows[name][fate]:>9}" for fate in FATES)


def survivors(verdicts):
    """The changes that no check noticed: those with an explanation, then those without."""
    alive = [v for v in verdicts if v.fate == SURVIVED]
    explained = collections.Counter(v.why for v in alive if v.why)
    yield ""
    yield from (f"{count:>3} survive, as {why}" for why, count in explained.items())
    yield from (f"SURVIVED {v}" for v in alive if not v.why)


def main(argv=None):
    """Run the command; the exit status."""
    arguments = parser().parse_args(argv)
    try:
        module = load(arguments.cases)
        cases = chosen(module.CASES, arguments.ops)
    except (UsageError, ImportError, AttributeError) as error:
        print(f"minigrad.gradcheck: error: {error}", file=sys.stderr)
        return 2
    if not arguments.mutate:
        return int(check(cases) > 0)
    with use_kernels("reference") as kernels:
        return int(mutate(cases, module, kernels) > 0)


if __name__ == "__main__":
    sys.exit(main())
