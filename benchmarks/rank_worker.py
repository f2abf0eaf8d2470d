"""One of several processes that are measured together: python rank_worker.py MODULE PORT, where MODULE is of `peers`.

It connects to the others as the module does it, and to the program that measures on a port of this machine. There it
reads one request a line, {"task": arguments of the module's build, "steps": number}, and answers each with one line:

    times    seconds of each step          own     seconds that this process computed      peak_rss_mb, version
    events   [[what, bucket or null, clock], ...] of the last step; the clock is that of all processes of a machine
    error    in place of all this, what went wrong

Between requests it waits without computing.
"""

import importlib
import json
import os
import socket
import sys
import time

from worker import WARM_STEPS, peak_rss_mb, version


def answer(step, steps):
    """Run so many steps."""
    own, times, events = time.process_time(), [], []
    for _ in range(steps):
        start = time.perf_counter()
        events = step()
        times.append(time.perf_counter() - start)
    return {"times": times, "own": time.process_time() - own, "events": events, "peak_rss_mb": peak_rss_mb()}


def serve(module, lines, say):
    """Answer every request."""
    peer = importlib.import_module(f"peers.{module}")
    say({"rank": peer.connect(), "version": version(module.partition("_")[0])})
    current, step = None, None
    for line in lines:
        request = json.loads(line)
        if request["task"] != current:
            step, current = peer.build(**request["task"]), request["task"]
            answer(step, WARM_STEPS)
        say(answer(step, request["steps"]))


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:0] = [here, os.path.dirname(here)]
    with socket.create_connection(("127.0.0.1", int(sys.argv[2]))) as channel, channel.makefile("rw") as lines:

        def say(value):
            print(json.dumps(value), file=lines, flush=True)

        try:
            serve(sys.argv[1], lines, say)
        except Exception as error:
            say({"error": f"{type(error).__name__}: {error}".replace("\n", " ")[:400]})
            os._exit(1)  # else one that others wait for would wait for them


if __name__ == "__main__":
    main()
