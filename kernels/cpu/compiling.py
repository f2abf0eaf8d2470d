"""The first compilation: what this process has compiled, who is told, and the second process that helps.

Compiling takes as long as it takes, but two processes that begin at opposite ends of the list need half as long: what
one has compiled the other finds in the cache. So a program that finds the cache empty starts such a second process,
which begins with the kernels of the backward pass while the first step goes forward. It stays in the background (nice),
ends with the program, and is started once for each cache. MINIGRAD_WARM_UP=0 does without.
"""

import atexit
import contextlib
import os
import subprocess
import sys
import time
from typing import NamedTuple

import numba
from numba.core import event

from .runtime import KERNELS, cache_folder


# ---------------------------------------------------------------------------- what this process compiles
class Progress(NamedTuple):
    """What `watched` tells: the kernel whose compilation begins ("" when one has ended), and how far all is.

    ready, total: how many kernels are in the cache, by whichever process, and how many there are.
    seconds: what this process has spent on compiling so far, as seconds() says.
    """

    kernel: str
    ready: int
    total: int
    seconds: float


class Clock(event.Listener):
    """Counts the kernels that Numba compiles in this process, and the seconds. (It compiles one at a time.)"""

    def __init__(self):
        self.compiled, self.watchers = [], []
        self.spent, self.began, self.depth = 0.0, 0.0, 0

    def on_start(self, event):
        """A kernel begins, or a function that it calls, within it."""
        if self.depth == 0:
            self.began = time.perf_counter()
            self.tell(event.data["dispatcher"].py_func.__name__)
        self.depth += 1

    def on_end(self, event):
        self.depth -= 1
        if self.depth == 0:
            self.spent += time.perf_counter() - self.began
            self.compiled.append(event.data["dispatcher"].py_func.__name__)
            self.tell("")

    def seconds(self):
        return self.spent + (time.perf_counter() - self.began if self.depth else 0.0)

    def tell(self, kernel):
        for watcher in list(self.watchers):
            watcher(Progress(kernel, ready(), len(KERNELS), self.seconds()))


CLOCK = Clock()
event.register("numba:compile", CLOCK)


def seconds():
    """How long this process has been compiling so far, in whichever thread: to be left out of rates and estimates."""
    return CLOCK.seconds()


def compiled():
    """The names of the kernels that this process has compiled so far, in order. What the cache had is not in it."""
    return tuple(CLOCK.compiled)


@contextlib.contextmanager
def watched(show):
    """Within this block, call show(Progress) whenever this process begins to compile a kernel, and when it has.

    It is called in the thread that compiles. Where all is in the cache it is never called.
    """
    CLOCK.watchers.append(show)
    try:
        yield
    finally:
        CLOCK.watchers.remove(show)


# ---------------------------------------------------------------------------- what the cache holds
def ready():
    """How many of the kernels are in the cache."""
    there = {path.name.rsplit("-", 1)[0] for path in cache_folder().rglob("*.nbi")}
    return sum(f"{fn.__module__.rsplit('.', 1)[-1]}.{fn.__name__}" in there for fn in KERNELS)


def mark(dtype):
    """The file that says that warm_up has compiled all kernels for this type."""
    return cache_folder() / f"complete-{dtype}"


def complete(dtype="float32"):
    """Whether a process has compiled all kernels for this type, so that no net has to compile any."""
    return mark(dtype).exists()


# ---------------------------------------------------------------------------- the second process
def claimed(folder):
    """Whether this process is the first to ask for a second one for this cache."""
    try:
        os.close(os.open(os.path.join(folder, "warm-up"), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except OSError:
        return False
    return True


def start_second(*flags):
    """The process that compiles from the other end of the list; it ends, at the latest, with this one."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "kernels.cpu.warm_up", "--alone", *flags]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env=environment)  # fmt: skip

    def end():
        process.terminate()
        process.wait()

    atexit.register(end)
    return process


def start_first_compilation():
    """Start the second process where nothing was compiled yet, and there is a core for it. The device calls this."""
    wanted = os.environ.get("MINIGRAD_WARM_UP", "1") != "0" and (os.cpu_count() or 1) > 1
    possible = sys.executable and not numba.config.DISABLE_JIT
    if wanted and possible and not complete() and claimed(cache_folder()):
        start_second()
