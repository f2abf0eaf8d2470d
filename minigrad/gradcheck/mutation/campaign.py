"""Mutation testing of backward passes: change each in small ways, and see which changes the checks do not notice."""

import re
import signal
import sys
import warnings
from contextlib import contextmanager, suppress
from typing import NamedTuple

import numpy as np

from ..cases import CHECKS, check_gradients, outcome
from ..problem import written_op
from .mutants import Mutant, mutants
from .regions import regions

PATIENCE = 10.0  # seconds of processor time for one check of a mutant; it may loop for ever
KILLED, CRASHED = "killed", "crashed"  # a check failed; the mutant raised an exception or ran for ever
SURVIVED = "survived"
FORWARD = "forward"  # not noticed, but the output changed, too: this was no change of a backward pass alone


class Verdict(NamedTuple):
    """A mutant, what became of it, and why that is no hole in the checks (None: it may be one)."""

    mutant: Mutant
    fate: str
    why: str | None = None

    def __str__(self):
        code = self.mutant.function.__code__
        return f"{code.co_filename}:{self.mutant.line} {self.mutant}"


class Subject(NamedTuple):
    """A region of source to mutate, with the cases whose backward pass may run through it."""

    region: object
    cases: list


def subjects(cases, kernels, table=()):
    """One Subject for each function that has a part in the backward pass of a case's op.

    table: all cases there are, if `cases` are only some of them. Then a function that only others of the table run is
    left to these; and all of the table that can reach a function judge it, as the chosen ones need not see all of it.
    A composition has no backward pass of its own, and is passed over.
    """
    found = {}
    cases, table = ([c for c in some if written_op(c.op)] for some in (cases, table))
    for case in dict.fromkeys((*cases, *table)):
        for region in regions(written_op(case.op), kernels):
            found.setdefault(region.function, Subject(region, [])).cases.append(case)
    ours = {f: subject for f, subject in found.items() if not set(cases).isdisjoint(subject.cases)}
    run = {case: functions_run(case) for case in {case for s in ours.values() for case in s.cases}}
    return [subject for f, subject in ours.items() if concerned(f.__code__, subject.cases, set(cases), run)]


def concerned(code, reaching, chosen, run):
    """Is this function the chosen cases' affair? One that no case at all runs is, too: that is a hole in the cases."""
    return any(code in run[case] for case in chosen.intersection(reaching)) or all(code not in run[c] for c in reaching)


def functions_run(case):
    """The code objects of all functions that a case's forward and backward pass enter."""
    entered, kept = set(), sys.getprofile()
    sys.setprofile(lambda frame, event, _: entered.add(frame.f_code) if event == "call" else None)
    try:
        outcome(case.run, case.tensors())
    finally:
        sys.setprofile(kept)
    return entered


def campaign(subject, judge, explained):
    """The Verdict on each mutant of a Subject. explained: (regular expression of "function: a -> b", why) pairs."""
    for mutant in mutants(subject.region):
        fate = judge(mutant, subject.cases)
        reasons = (why for pattern, why in explained if re.fullmatch(pattern, str(mutant)))
        yield Verdict(mutant, fate, next(reasons, None) if fate == SURVIVED else None)


class Judge:
    """Runs the checks of cases against mutants; remembers what the originals give."""

    def __init__(self):
        self._outputs = {}

    def output(self, case):
        if case not in self._outputs:
            self._outputs[case] = outcome(case.run, case.tensors())[0]
        return self._outputs[case]

    def __call__(self, mutant, cases):
        """The mutant's fate."""
        expected = [self.output(case) for case in cases]  # before the mutant lives
        with mutant.living(), quiet():
            failed = (result for check in CHECKS for case in cases if (result := tried(check, case)))
            if fate := next(failed, None):
                return fate
            changed = any(not same_output(case, y) for case, y in zip(cases, expected))
        return FORWARD if changed else SURVIVED


def tried(check, case):
    """KILLED if the check fails, CRASHED if the mutant does or finds no end, else None."""
    options = dict(raise_exception=False) if check is check_gradients else {}
    try:
        with time_limit(PATIENCE):
            return KILLED if check(case, **options) is False else None
    except AssertionError:
        return KILLED
    except Exception:
        return CRASHED


def same_output(case, expected):
    with suppress(Exception):
        return np.array_equal(outcome(case.run, case.tensors())[0], expected)
    return False


@contextmanager
def quiet():
    """Mutants divide by zero and warn; that is no news."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def time_limit(seconds):
    """TimeoutError after so many seconds of processor time, where the system has such a timer (not on Windows)."""
    if not hasattr(signal, "setitimer"):
        yield
        return
    kept = signal.signal(signal.SIGVTALRM, out_of_time)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, kept)


def out_of_time(*_):
    raise TimeoutError
