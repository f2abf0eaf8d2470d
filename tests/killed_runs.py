"""Training runs in processes of their own, which tests kill: forked from one that has imported everything already."""

import contextlib
import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

import tqdm
from train_runs import environment

from minigrad.train import checkpoint

SMALL = ("-a", "lenet5", "--kernels", "reference", "-b", "8", "-j", "0", "--lr-warmup-epochs", "0.5")
SMALL = (*SMALL, "--epochs", "3", "--limit-train-batches", "5", "--limit-test-batches", "2")


class Forks:
    """Starts runs. A context manager, which ends them and the process that they come from.

    pictures: False writes what a picture shows as text, in place of drawing it, which is most of so short a run.
    """

    def __init__(self, pictures=True):
        self.command = [sys.executable, __file__, *([] if pictures else ["no pictures"])]

    def __enter__(self):
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.parent = subprocess.Popen(self.command, env=environment(), **pipes)
        assert self.parent.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *error):
        self.parent.communicate("")

    def run(self, *arguments, **faults):
        """How a run with these arguments ended: its exit status, or minus the number of the signal.

        faults: kill_at, the number of the file that it must not write; kill_after, seconds from its start.
        """
        self.parent.stdin.write(json.dumps({"arguments": [str(a) for a in arguments], **faults}) + "\n")
        self.parent.stdin.flush()
        return int(self.parent.stdout.readline())


def left(directory):
    """{name: contents} of what a run leaves, but times and what is about to be replaced."""
    files = (p for p in pathlib.Path(directory).iterdir() if p.name not in ("times.jsonl", "previous.safetensors"))
    return {p.name: contents(p) for p in files}


def contents(path):
    """The bytes of a file. Of a checkpoint its facts and arrays: the library orders its header anew each time."""
    if path.suffix != ".safetensors":
        return path.read_bytes()
    arrays, facts = checkpoint.read(path)
    return facts, {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in arrays.items()}


def kill_at_file(number):
    """End this process in place of its renaming of that file, counted from 0."""
    real, renamed = os.replace, [0]

    def replace(*paths):
        if renamed[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        renamed[0] += 1
        real(*paths)

    os.replace = replace


def as_text(fig):
    """What a figure shows: its titles, texts, lines and images."""
    shown = [[text.get_text() for text in fig.texts]]
    for axes in fig.axes:
        lines, images = [line.get_xydata() for line in axes.lines], [image.get_array() for image in axes.images]
        shown += [axes.get_title(), [text.get_text() for text in axes.texts], *(a.tolist() for a in lines + images)]
    return json.dumps(shown).encode()


def serve(pictures=True):
    """Fork a run for each line of standard input, and say how it ended."""
    from minigrad.train import plot
    from minigrad.train.__main__ import main

    plot.png = plot.png if pictures else as_text
    # tqdm's own lock is one for all these processes: a run that is killed while it holds it would stop all later ones.
    tqdm.tqdm.set_lock(threading.RLock())
    tqdm.tqdm.monitor_interval = 0  # no thread beside the one that forks
    with tempfile.TemporaryDirectory() as directory, contextlib.redirect_stdout(sys.stderr):
        main([*SMALL, "--epochs", "1", "--output-dir", directory])  # imports and makes ready what runs need
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            if "kill_at" in request:
                kill_at_file(request["kill_at"])
            os._exit(main(request["arguments"]))
        print(awaited(child, request.get("kill_after", math.inf)), flush=True)


LONGEST = 300  # seconds; a run here takes one or two


def awaited(child, seconds):
    """How a process ended, which is killed after so many seconds, or if it hangs."""
    seconds = min(seconds, LONGEST)
    end, done = time.monotonic() + seconds, (0, 0)
    while done[0] == 0:
        done = os.waitpid(child, os.WNOHANG if time.monotonic() < end else 0)
        if done[0] == 0:
            time.sleep(0.001)
            if time.monotonic() >= end:
                os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(done[1])


if __name__ == "__main__":
    serve(pictures=not sys.argv[1:])
