"""What both sides of the GPU benchmark share: how a step is timed.

A module has build(kind, device, precision, ...) -> step, where step() returns the seconds of one run on the device.
kind: "copy", "gemm", "launch", "conv" or "net"; precision: "fp32", "tf32" or "bf16".
"""

import time

REPEATS = 10  # runs between two events; a whole training step runs once
LAUNCHES = 1000  # runs of a kernel with next to no work
HOLD_CYCLES = 10_000_000  # some 5 ms, in which the host queues the runs: gaps between launches don't count then


def by_events(run, repeats, event, milliseconds, hold):
    """Seconds of one run between two events. hold: keeps the GPU busy while the runs are queued, or None."""
    start, end = event(), event()
    if hold:
        hold(HOLD_CYCLES)
    start.record()
    for _ in range(repeats):
        run()
    end.record()
    end.synchronize()
    return milliseconds(start, end) / 1000 / repeats


def by_clock(run):
    """Seconds of one run where there are no events."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def repeats_of(kind):
    return {"net": 1, "launch": LAUNCHES}.get(kind, REPEATS)


def is_held(kind):
    """Whether the host's time is left out: not where it is a part of what is measured."""
    return kind not in ("net", "launch")
