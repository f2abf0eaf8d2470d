"""A GPU that is not there: CUDA kernels compiled by g++ and run on the CPU, as a device of minigrad named "emulated".

For tests alone; the product doesn't know it. This package takes CuPy's place: `emulator.ndarray`, `emulator.RawModule`
and NumPy's functions on its arrays, so that the launchers in kernels/cuda run as they are.

    import emulator
    emulator.register()
    y = minigrad.tensor(x, device="emulated")
    with emulator.thread_order("random", seed=3): ...
"""

import numpy as np

from minigrad.device import Gpu, get_device
from minigrad.device import register as register_device

from . import build, cuda, graph
from .arrays import lifted, ndarray, result_of
from .memory import allocate
from .module import ORDERS, RawModule, thread_order

__all__ = ["ORDERS", "RawModule", "cuda", "empty", "missing", "ndarray", "register", "thread_order"]


def missing():
    """Why the emulator can't run here, or None."""
    return None if build.compiler() else "g++, which compiles kernels for the emulated device, is not installed"


def register():
    """Make "emulated" a device of minigrad; the device."""
    import emulator

    register_device(Gpu("emulated", emulator, "kernels.cuda"))
    return get_device("emulated")


def empty(shape, dtype=float, order="C"):
    return ndarray(allocate(shape, dtype))


def empty_like(a, dtype=None):
    return empty(a.shape, dtype or a.dtype)


def asarray(a, dtype=None):
    if isinstance(a, ndarray):
        return a if dtype is None or a.dtype == dtype else a.astype(dtype)
    if np.ndim(a):
        graph.refuse_while_capturing("copying an array from the host")
    return result_of(lambda: np.array(a, dtype))  # a single number is an argument of a kernel that fills


def array(a, dtype=None):
    return asarray(a, dtype).copy()


def __getattr__(name):
    """Everything else as NumPy has it."""
    value = getattr(np, name)
    return lifted(value) if callable(value) and not isinstance(value, type) else value
