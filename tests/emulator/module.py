"""What CuPy calls RawModule, for the emulated GPU: kernels compiled by g++ and run by the engine."""

import contextlib
import contextvars
import ctypes
import functools
import os
import pathlib

import numpy as np

from . import build
from .arrays import check_canaries, do, ndarray

ORDERS = ("forward", "reverse", "random")


_schedule: contextvars.ContextVar = contextvars.ContextVar("schedule", default=None)


@contextlib.contextmanager
def thread_order(order, seed=0):
    """Within this block threads run "forward", in "reverse" or in an order that is "random" but fixed by the seed."""
    token = _schedule.set((order, seed))
    try:
        yield
    finally:
        _schedule.reset(token)


class RawModule:
    """Code with kernels, of which name_expressions names those that will be asked for. Options: -I and -D count."""

    def __init__(self, *, code, options, name_expressions):
        folders = tuple(pathlib.Path(o.removeprefix("-I")) for o in options if o.startswith("-I"))
        self.expressions = tuple(name_expressions)
        defines = tuple(o for o in options if o.startswith("-D"))
        self.library = build.kernel_library(code, self.expressions, folders, defines)

    def get_function(self, name):
        return Function(self.library, self.expressions.index(name), name)


class Function:
    """A kernel to launch. What CuPy and the driver leave to chance is checked: kinds and sizes of all arguments."""

    max_dynamic_shared_size_bytes = 48 * 1024

    def __init__(self, library, number, name):
        self.name, self.shared = name, (ctypes.c_void_p * 2)()
        library.emulated_shared(self.shared)
        self.run = ctypes.cast(getattr(library, f"emulated_run_{number}"), ctypes.c_void_p)
        signature = getattr(library, f"emulated_signature_{number}")
        signature.restype = ctypes.c_char_p
        self.codes = signature().decode().split()

    def __call__(self, grid, block, args, *, shared_mem=0):
        if len(args) != len(self.codes):
            raise TypeError(f"{self.name}: {len(self.codes)} arguments expected ({self.codes}), got {len(args)}")
        if shared_mem > self.max_dynamic_shared_size_bytes:
            raise RuntimeError(f"{self.name}: {shared_mem} bytes of dynamic shared memory were not asked for")
        values = [self.converted(i, a, code) for i, (a, code) in enumerate(zip(args, self.codes))]
        pointers = (ctypes.c_void_p * len(values))(*(v.ctypes.data for v in values))
        order, seed = _schedule.get() or (os.environ.get("MINIGRAD_EMULATOR_ORDER", "forward"), 0)
        dimensions = [(ctypes.c_uint * 3)(*(*map(int, d), 1, 1)[:3]) for d in (grid, block)]
        launch = build.Launch(
            self.run, ctypes.addressof(pointers), *dimensions, shared_mem,
            *self.shared, ORDERS.index(order), seed,
        )  # fmt: skip
        run = functools.partial(self.run_now, launch, (values, pointers))
        do(run, [a for a in args if isinstance(a, ndarray)])

    def run_now(self, launch, kept, arrays):
        """kept: what the launch points into."""
        error = build.engine().emulator_launch(ctypes.byref(launch))
        if error:
            raise RuntimeError(f"{self.name}: {error.decode()}{whose(build.engine().emulator_address(), kept[0])}")
        check_canaries(self.name, arrays)

    def converted(self, i, value, code):
        """The argument as a one-element array whose memory the kernel's parameter is read from."""
        if isinstance(value, ndarray):
            if code not in ("pany", f"p{code_of(value.dtype)}"):
                raise TypeError(f"{self.name}: argument {i} is an array of {value.dtype}; the kernel expects {code}")
            return np.array([value.data.ptr], np.uint64)
        if isinstance(value, np.ndarray) and value.shape == () and value.dtype.kind == "V":
            value = value[()]  # a struct
        if not isinstance(value, np.generic):
            raise TypeError(f"{self.name}: argument {i} is a {type(value).__name__}, whose size in C++ is not clear")
        null = code[0] == "p" and value.dtype == np.uint64 and value == 0
        if not null and code != code_of(value.dtype):
            raise TypeError(f"{self.name}: argument {i} is {value.dtype}; the kernel expects {code}")
        return np.array([value])


def whose(address, values):
    """Of which argument the address is; nothing without one. Nearest below it is the array that it was counted from."""
    starts = {int(v[0]): i for i, v in enumerate(values) if v.dtype == np.uint64 and v[0]}
    below = [start for start in starts if address and start <= address]
    return f" (argument {starts[max(below)]}, byte {address - max(below)})" if below else ""


def code_of(dtype):
    """Kind and size, as Code in cuda_emulator.h writes them."""
    if dtype.name == "bfloat16":
        return "b2"
    kind = {"b": "u", "V": "s"}.get(dtype.kind, dtype.kind)
    return f"{kind}{dtype.itemsize}"
