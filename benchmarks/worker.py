"""A process that measures: python worker.py MODULE, where MODULE is one of `peers`.

It reads one request a line, {"task": arguments of the module's build, "seconds": length of the window}, and answers
each with one line (see `window`); the first answer to a task also says how long it took to begin:

    import_s       importing the module and what it needs        first_step_s  the first step, compilation included
    build_s        building the net and its batch                version       of the peer
    error          in place of all this, what went wrong
"""

import importlib
import importlib.metadata
import json
import os
import resource
import statistics
import sys
import time

WARM_STEPS, WARM_SECONDS = 3, 2.0  # whichever is reached first


def processor_seconds():
    """Seconds that all processors together have worked, since the machine started (Linux; elsewhere 0)."""
    try:
        with open("/proc/stat") as f:
            ticks = [int(v) for v in f.readline().split()[1:]]
    except OSError:
        return 0.0
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def peak_rss_mb():
    """The most memory that this process has held. (Not on Linux: its parent counts, too.)"""
    try:
        with open("/proc/self/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def seconds_of(step):
    """What a step took: what it says itself if it returns a float (a GPU's own clock), else the time that passed."""
    start = time.perf_counter()
    own = step()
    return own if isinstance(own, float) else time.perf_counter() - start


def window(step, seconds):
    """Run steps for about this long. busy: how many processors did other work meanwhile, on average."""
    own, everybody, start, times = time.process_time(), processor_seconds(), time.perf_counter(), []
    while not times or time.perf_counter() - start < seconds:
        times.append(seconds_of(step))
    elapsed = time.perf_counter() - start
    others = (processor_seconds() - everybody - (time.process_time() - own)) / elapsed
    return {"median_s": statistics.median(times), "busy": max(others, 0.0), "peak_rss_mb": peak_rss_mb()}


def begin(build, task):
    """(step, {build_s, first_step_s}) after some steps to warm up."""
    start = time.perf_counter()
    step = build(**task)
    built = time.perf_counter()
    step()
    first = time.perf_counter()
    for _ in range(WARM_STEPS - 1):
        if time.perf_counter() - first < WARM_SECONDS:
            step()
    return step, {"build_s": built - start, "first_step_s": first - built}


def answers(module):
    """Answer every request on standard input."""
    start = time.perf_counter()
    build = importlib.import_module(f"peers.{module}").build
    beginning = {"import_s": time.perf_counter() - start, "version": version(module.partition("_")[0])}
    current, step = None, None
    for line in sys.stdin:
        request = json.loads(line)
        if request["task"] != current:
            step = None  # frees what the last task held
            step, times = begin(build, request["task"])
            beginning, current = {**beginning, **times}, request["task"]
        yield {**window(step, request["seconds"]), **beginning}


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:0] = [here, os.path.dirname(here), os.path.join(os.path.dirname(here), "tests")]
    try:
        for answer in answers(sys.argv[1]):
            print(json.dumps(answer), flush=True)
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}".replace("\n", " ")[:400]}), flush=True)


if __name__ == "__main__":
    main()
