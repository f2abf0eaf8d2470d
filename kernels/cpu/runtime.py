"""How the CPU kernels are compiled, cached and threaded. Importing this module imports Numba (about 0.5 s)."""

import contextlib
import ctypes
import functools
import getpass
import hashlib
import os
import pathlib
import re
import shutil
import sys
import tempfile
import threading

import numba
import numpy as np
import threadpoolctl

from ..recording import HERE
from .helpers import HelperCompiler

# ---------------------------------------------------------------------------- the cache of compiled kernels
KEPT_VERSIONS = 3  # of the kernels' sources; the folders of older ones are removed


def source_key():
    """A hash of all files of this folder: a changed helper in another file can't leave a stale compiled kernel.

    Numba itself looks at the file of each kernel only. What is compiled uses nothing from outside this folder.
    """
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__} {sys.version}".encode())
    for path in sorted(pathlib.Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def user_cache():
    return os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")


def writable(folder):
    """Whether the folder exists, or could be made, and can be written to."""
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def temporary_cache():
    """A folder among the temporary files, the same for each process of a user, that nobody else can have prepared."""
    user = getattr(os, "getuid", getpass.getuser)()  # Windows has no user numbers
    folder = os.path.join(tempfile.gettempdir(), f"minigrad-{user}")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    ours = not hasattr(os, "getuid") or os.stat(folder).st_uid == user
    return folder if ours else tempfile.mkdtemp(prefix="minigrad-")


def cache_directory():
    """A folder of this version: in MINIGRAD_CACHE if set, else in the user's cache, else in the temporary files."""
    chosen = os.environ.get("MINIGRAD_CACHE") or os.path.join(user_cache(), "minigrad")
    for base in (chosen, temporary_cache()):
        folder = os.path.join(base, "kernels", source_key())
        if writable(folder):
            return folder
    raise OSError(f"no writable folder for compiled kernels: tried {chosen} and {base}; set MINIGRAD_CACHE to one")


def cache_folder():
    """Where the kernels of this version are kept: what cache_directory chose when this module was imported."""
    return pathlib.Path(numba.config.CACHE_DIR)


def remove_old_versions(folder):
    """Mark the folder as used now, and remove all versions beside it but the last used KEPT_VERSIONS."""
    with contextlib.suppress(OSError):  # another process may be doing the same
        os.utime(folder)
        versions = [v for v in pathlib.Path(folder).parent.iterdir() if re.fullmatch("[0-9a-f]{16}", v.name)]
        for version in sorted(versions, key=lambda v: v.stat().st_mtime)[:-KEPT_VERSIONS]:
            shutil.rmtree(version, ignore_errors=True)


# ---------------------------------------------------------------------------- memory
def keep_freed_memory():
    """Let malloc reuse freed arrays instead of returning them to the system.

    A fresh 64 MB array costs 12 ms in page faults before its first use, a reused one nothing. By default glibc serves
    large arrays with mmap and unmaps them when freed; these settings keep them in the heap. Elsewhere nothing happens.
    """
    M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_TOP_PAD, 64 << 20)


def give_memory_back():
    """Give memory that malloc holds for further arrays back to the system, where it is glibc's."""
    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None) is not None:
        trim(0)


# ---------------------------------------------------------------------------- threads
class Threads(threading.local):
    """The number of threads of the kernels: Numba keeps one for each Python thread, here all follow the process's.

    A Python thread adopts the process's number when it calls its first kernel, and whenever it asks for the number. So
    between the moment when memory is laid out for so many threads and the kernel's call, it can't change.
    """

    of_process = numba.config.NUMBA_NUM_THREADS  # set on the class
    here = None  # in this Python thread, set on the object

    def adopt(self):
        self.here = Threads.of_process
        numba.set_num_threads(self.here)
        return self.here


THREADS = Threads()


def set_num_threads(n):
    """Use n threads in the compiled kernels, whichever Python thread calls them, and in BLAS.

    ValueError unless 1 <= n <= the number of cores at start.
    """
    most = numba.config.NUMBA_NUM_THREADS
    if not 1 <= n <= most:
        raise ValueError(f"set_num_threads: n must be from 1 to {most}, the number of cores; got {n}")
    Threads.of_process = n
    THREADS.adopt()
    threadpoolctl.threadpool_limits(n, user_api="blas")


def get_num_threads():
    """How many threads the kernels use: the process's number, in every Python thread."""
    return THREADS.adopt()


def threads_wanted():
    """MINIGRAD_NUM_THREADS, or all cores. ValueError if it is not a number from 1 to the number of cores."""
    most = numba.config.NUMBA_NUM_THREADS
    text = os.environ.get("MINIGRAD_NUM_THREADS") or str(most)
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= most):
        raise ValueError(f"MINIGRAD_NUM_THREADS: expected a number from 1 to {most}, the number of cores; got {text!r}")
    return int(text)


def start_threads():
    """Start the threads of the compiled kernels: OpenMP's where there are any, since a call costs them the least.

    Between two calls a thread spins for some 100 microseconds, then sleeps. Without any spinning, each call first has
    to wake it, and a step of ResNet-20 takes a third longer. With OpenMP's own default, it spins so long that as soon
    as anything else runs (another process, the data loader, BLAS's threads), a call waits for a thread that has lost
    its core, up to 16 milliseconds. GNU's OpenMP reads the number of turns from GOMP_SPINCOUNT; others go to sleep at
    once. The variables are read when the library is loaded, which is here; other libraries in this process are left
    with what they had.
    """
    numba.config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]
    waiting = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "5000"}
    if not waiting.keys() & os.environ.keys():  # the user has not decided
        os.environ.update(waiting)
    else:
        waiting = {}
    try:
        set_num_threads(threads_wanted())
    finally:
        for name in waiting:
            del os.environ[name]


# ---------------------------------------------------------------------------- compilation
# No "fastmath": every sum is added in the order in which it is written, and x y + z is rounded once where fma says so,
# else twice. What the compiler may choose it chooses differently from one compilation to the next, and results with it.
OPTIONS = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}  # x / 0 is inf or NaN, no error
KERNEL_LOCK = threading.Lock()
KERNELS = []  # the functions of all kernels, in the order in which they were defined


def one_at_a_time(kernel):
    """Numba's own threads, the last resort, abort the process if two Python threads call kernels at once."""

    @functools.wraps(kernel)
    def locked(*args):
        with KERNEL_LOCK:
            return kernel(*args)

    return locked


def from_any_thread(kernel):
    """A Python thread that calls its first kernel uses as many threads for it as the others do.

    The call is taken down where something is recorded.
    """

    @functools.wraps(kernel)
    def call(*args):
        if THREADS.here is None:
            THREADS.adopt()
        if HERE.recording is not None:
            HERE.recording.take_down(call, args)
        return kernel(*args)

    return call


def parallel(fn):
    """Compile fn on first call, cached on disk: a kernel, whose tasks the threads share (see tasks.py)."""
    KERNELS.append(fn)
    kernel = numba.njit(cache=True, **OPTIONS)(fn)
    return from_any_thread(one_at_a_time(kernel) if numba.threading_layer() == "workqueue" else kernel)


def serial(fn):
    """Compile fn for use inside kernels; Python can't call it."""
    return numba.njit(pipeline_class=HelperCompiler, no_cpython_wrapper=True, **OPTIONS)(fn)


numba.config.CACHE_DIR = cache_directory()
remove_old_versions(numba.config.CACHE_DIR)
keep_freed_memory()
start_threads()
