"""How the CPU kernels are compiled, cached and threaded. Importing this module imports Numba (about 0.5 s)."""

import ctypes
import hashlib
import os
import pathlib
import sys
import tempfile

import numba
import numpy as np
import threadpoolctl


def source_key():
    """A hash of every kernel source, so that a changed helper in another file can't leave a stale compiled kernel."""
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__} {sys.version}".encode())
    for path in sorted(pathlib.Path(__file__).parent.parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def cache_directory():
    """MINIGRAD_CACHE, else the user's cache folder, else a temporary folder: the first that can be written."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    chosen = os.environ.get("MINIGRAD_CACHE") or os.path.join(home, "minigrad")
    for base in (chosen, os.path.join(tempfile.gettempdir(), f"minigrad-{os.getuid()}")):
        folder = os.path.join(base, "kernels", source_key())
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise OSError(f"no writable folder for compiled kernels (tried {base}); set MINIGRAD_CACHE to one")


def keep_freed_memory():
    """Let malloc reuse freed arrays instead of returning them to the system.

    A fresh 64 MB array costs 12 ms in page faults before its first use, a reused one nothing. By default glibc serves
    large arrays with mmap and unmaps them when freed; these settings keep them in the heap. Elsewhere nothing happens.
    """
    M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_TOP_PAD, 64 << 20)


def set_num_threads(n):
    """Use n threads in the compiled kernels and in BLAS. ValueError unless 1 <= n <= the number of cores at start."""
    most = numba.config.NUMBA_NUM_THREADS
    if not 1 <= n <= most:
        raise ValueError(f"set_num_threads: n must be from 1 to {most}, the number of cores; got {n}")
    numba.set_num_threads(n)
    threadpoolctl.threadpool_limits(n, user_api="blas")


def get_num_threads():
    return numba.get_num_threads()


# Floating-point freedom for vectorised sums, without the flags that assume NaN and infinity away.
FASTMATH = {"reassoc", "contract", "arcp", "nsz", "afn"}


def parallel(fn):
    """Compile fn with prange over threads, on first call, cached on disk."""
    return numba.njit(parallel=True, nogil=True, cache=True, fastmath=FASTMATH, error_model="numpy")(fn)


def serial(fn):
    """Compile fn for use inside parallel kernels."""
    return numba.njit(nogil=True, cache=True, fastmath=FASTMATH, error_model="numpy")(fn)


numba.config.CACHE_DIR = cache_directory()
keep_freed_memory()
set_num_threads(int(os.environ.get("MINIGRAD_NUM_THREADS") or numba.config.NUMBA_NUM_THREADS))
