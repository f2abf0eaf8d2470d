"""Several processes that are measured as one candidate: see rank_worker.py for what each of them does."""

import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import PeerError
from worker import processor_seconds

HERE = Path(__file__).resolve().parent
SECONDS = 120  # for the first sign of a process


def mpiexec(python):
    """The mpiexec that belongs to an interpreter's mpi4py: beside it, if it is there. PeerError where there is none."""
    beside = Path(python).parent / "mpiexec"
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None:
        raise PeerError("minigrad: there is no mpiexec: pip install 'minigrad[mpi]'")
    return found


def commands(module, size, python, port):
    """[(command, variables)] of all processes: mpiexec starts ours; PyTorch's find each other through variables."""
    command = [python, str(HERE / "rank_worker.py"), module, str(port)]
    if not module.startswith("torch"):
        return [([mpiexec(python), "-n", str(size), *command] if size > 1 else command, {})]
    meeting = tempfile.mkdtemp()
    return [(command, {"RANK": str(i), "WORLD_SIZE": str(size), "MEETING": f"{meeting}/all"}) for i in range(size)]


def channel_of(server):
    """Lines to and from the next process that connects."""
    with server.accept()[0] as connection:
        return connection.makefile("rw")


class Ranks:
    """So many processes that work together, idle until asked. As a Worker of measure.py."""

    def __init__(self, module, size, threads, environment=None, python=sys.executable):
        env = {**os.environ, **(environment or {}), "OMP_NUM_THREADS": str(threads)}
        self.module, self.version, self.step_seconds, self.channels = module, None, {}, []
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(SECONDS)
            settings = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
            started = commands(module, size, python, server.getsockname()[1])
            self.processes = [subprocess.Popen(command, env=env | own, **settings) for command, own in started]
            try:
                self.channels = [channel_of(server) for _ in range(size)]
            except TimeoutError:
                self.close()
                raise PeerError(f"{module}: its processes did not begin in {SECONDS} seconds") from None
        with self.or_closed():
            hello = [(self.read(channel), channel) for channel in self.channels]
        self.version = hello[0][0]["version"]
        self.channels = [channel for _, channel in sorted(hello, key=lambda pair: pair[0]["rank"])]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @contextlib.contextmanager
    def or_closed(self):
        """A block after whose failure no process is left."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def close(self):
        for channel in self.channels:
            with contextlib.suppress(OSError):
                channel.close()
        for process in self.processes:
            if not self.channels:
                process.terminate()
            process.wait()

    def read(self, channel):
        line = channel.readline()
        answer = json.loads(line) if line else {"error": "a process ended without an answer (out of memory?)"}
        if "error" in answer:
            raise PeerError(f"{self.module}: {answer['error']}")
        return answer

    def ask(self, task, steps):
        """The answers of all processes to so many steps, in order of ranks."""
        for channel in self.channels:
            print(json.dumps({"task": task, "steps": steps}), file=channel, flush=True)
        return [self.read(channel) for channel in self.channels]

    def measure(self, task, seconds):
        """One window of about so many seconds: median of the steps, of each the slowest process's time."""
        key = json.dumps(task)
        if key not in self.step_seconds:
            self.step_seconds[key] = self.ask(task, 1)[0]["times"][0]  # builds and warms up
        steps = max(1, round(seconds / self.step_seconds[key]))
        everybody, start = processor_seconds(), time.perf_counter()
        answers = self.ask(task, steps)
        elapsed, everybody = time.perf_counter() - start, processor_seconds() - everybody
        own = sum(answer["own"] for answer in answers)
        return {
            "median_s": statistics.median(map(max, zip(*(answer["times"] for answer in answers)))),
            "busy": max((everybody - own) / elapsed, 0.0),
            "cpu_s": own / steps,
            "peak_rss_mb": sum(answer["peak_rss_mb"] for answer in answers),
            "version": self.version,
            "events": [answer["events"] for answer in answers],
        }
