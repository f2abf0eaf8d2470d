"""What the benchmarks share: processes that measure in turns, and what is known about the machine.

Candidates run in processes of their own, one at a time. A window is at least one step; its figure is the median of its
steps, and a candidate's the median of its windows. Windows in which other work used the processors don't count, unless
there are too few others.
"""

import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

from worker import version

HERE = Path(__file__).resolve().parent
MOST_BUSY = 0.15  # processors that others may use during a window
LEAST_ROUNDS = 3


class PeerError(Exception):
    """A peer is not installed or can't do what it was asked; the message is one line."""


class Worker:
    """A candidate in its own process, idle until asked."""

    def __init__(self, module, threads, environment=None, python=sys.executable):
        env = {**os.environ, **(environment or {}), "OMP_NUM_THREADS": str(threads)}
        command, pipe = [python, str(HERE / "worker.py"), module], subprocess.PIPE
        self.module, self.first = module, None
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=env)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(BrokenPipeError):  # it has ended already, and did not read the last request
            self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def measure(self, task, seconds):
        """One window: the worker's answer."""
        try:
            print(json.dumps({"task": task, "seconds": seconds}), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:  # it ended before it read the request: what it said last is the error
            line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": "its process ended without an answer (out of memory?)"}
        if "error" in answer:
            raise PeerError(f"{self.module}: {answer['error']}")
        self.first = self.first or answer
        return answer


def in_turns(jobs, seconds, rounds, budget):
    """{name: answers} of windows taken in turns, from jobs {name: (worker, task)}.

    Ends after `rounds` quiet windows of each, or when the budget (seconds) is spent, but not before LEAST_ROUNDS.
    """
    answers, start = {name: [] for name in jobs}, time.perf_counter()

    def enough():
        done = len(next(iter(answers.values())))
        spent = time.perf_counter() - start
        return done >= LEAST_ROUNDS and (min(len(quiet(a)) for a in answers.values()) >= rounds or spent > budget)

    while not enough():
        for name, (worker, task) in jobs.items():
            answers[name].append(worker.measure(task, seconds))
    return answers


def quiet(answers):
    return [a for a in answers if a["busy"] < MOST_BUSY]


def milliseconds(answers):
    """The median of the quiet windows, or of all if fewer than two were quiet."""
    counted = quiet(answers)
    return 1000 * statistics.median(a["median_s"] for a in (counted if len(counted) > 1 else answers))


def disturbed(answers):
    """Were fewer than two windows quiet, so that the figure is a rough one?"""
    return len(quiet(answers)) < 2


def processor():
    """What Linux says of the first processor, {name: text}; {} elsewhere."""
    try:
        first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:
        return {}
    return {name.strip(): text.strip() for name, _, text in (line.partition(":") for line in first.splitlines())}


def kind():
    """What decides how fast the kernels are, and so stands in a table's name: "avx512", "avx2", or the architecture."""
    flags = processor().get("flags", "").split()
    return next((name for name, flag in (("avx512", "avx512f"), ("avx2", "avx2")) if flag in flags), platform.machine())


def machine(threads):
    """What the numbers were measured on."""
    told = processor()
    model = told.get("model name") or platform.processor() or platform.machine()
    about = {"cpu": model, "family": told.get("cpu family"), "model": told.get("model"), "kind": kind()}
    versions = {package: version(package) for package in ("numpy", "numba")}
    return {**about, "cores": os.cpu_count(), "threads": threads, "python": platform.python_version(), **versions}


def progress(text):
    """A line on standard error about what is going on."""
    print(text, file=sys.stderr, flush=True)


def named(path, stem, ending):
    """The path, or in a directory STEM_KIND_DATE: tables of different processors are never one."""
    return path / f"{stem}_{kind()}_{date.today()}{ending}" if path and path.is_dir() else path


def report(name, rows, line, args, stem):
    """Print each row as soon as it is measured, and keep it in args.json: what was measured survives what comes next.

    A plot at the end, if args.plot. Both are paths; in a directory the files are called stem, processor and day. A peer
    that can't go on ends the program with one line and exit status 2.
    """
    table, picture = named(args.json, stem, ".json"), named(args.plot, stem, ".png")
    from peers import explained

    done = []
    try:
        for row in rows:
            done.append(row)
            print(line(row), flush=True)
            if table:
                write_json(table, done, args.threads)
    except PeerError as error:
        print(f"{name}: {explained(error)}", file=sys.stderr)
        sys.exit(2)
    if picture and done:
        from plot import draw

        draw(done, picture)
    return done


def write_json(path, rows, threads):
    """The rows, each with the machine and our versions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([{**row, "machine": machine(threads)} for row in rows], indent=1) + "\n")
