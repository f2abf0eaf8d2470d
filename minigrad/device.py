"""A device is three things: a name, an array module, and a module of kernels. The only place that asks which device."""

import functools
import importlib
import math
import os
import sys
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from typing import Any

import numpy as np

from kernels import pieces, recording
from kernels.recording import HERE, record

from .cuda_graph import CudaGraph
from .driver import why_not

_chosen_kernels: ContextVar = ContextVar("chosen_kernels", default=None)


def imported_kernels(name):
    """The module of kernels; where Numba is missing, as in a browser, the reference ones, and a line says so."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in ("numba", "llvmlite"):
            raise
        line = f"minigrad: {error.name} is not installed, so the reference kernels run (right, but slower)"
        print(line, file=sys.stderr, flush=True)
        return importlib.import_module("kernels.reference")


class Device:
    """name ("cpu", "cuda"), xp (numpy or cupy) and kernels (the module of the same functions for this device)."""

    def __init__(self, name, xp, kernels_module):
        self.name, self.xp, self._kernels_module = name, xp, kernels_module

    def __repr__(self):
        return f"device({self.name!r})"

    @functools.cached_property
    def own_kernels(self):
        """Imported on first use: compiling kernels is not a price for `import minigrad`."""
        kernels = imported_kernels(self._kernels_module)
        if hasattr(kernels, "start_first_compilation"):
            kernels.start_first_compilation()
        return kernels

    @property
    def kernels(self):
        return _chosen_kernels.get() or self.own_kernels

    def each(self, fn, *arrays):
        """fn(*arrays) for a function of each element: large arrays in pieces, by all threads.

        (By NumPy, see kernels/pieces.py; the fast kernels have a machine for it, see kernels/cpu/elementwise/.)
        """
        return self.kernels.each_element(fn, *arrays)

    def each_row(self, fn, *arrays):
        """fn(*arrays) for a function of each entry of the first axis, likewise."""
        return pieces.each_row(fn, *arrays)

    def empty(self, shape, dtype):
        """An array whose numbers nobody has written."""
        return self.xp.empty(shape, dtype) if HERE.recording is None else recording.empty(shape, dtype)

    def zeros(self, shape, dtype):
        """An array of zeros; also in each replay of what is captured."""
        return self.xp.zeros(shape, dtype) if HERE.recording is None else recording.zeros(shape, dtype)

    def copied(self, array):
        """A copy of an array; also in each replay of what is captured."""
        return recording.copy_of(array)

    def asarray(self, array):
        """The same numbers on this device; no copy when they are there already."""
        return self.xp.asarray(array.get() if self.xp is np and hasattr(array, "get") else array)

    def nccl(self) -> Any:
        """The library that sends this device's arrays to other processes; None: they travel from the host's memory."""

    def for_process(self, number) -> "Device":
        """The device for the process of this number among those of a machine that want one of this kind."""
        return self

    def home_of(self, array):
        """Which of the devices of this kind an array lives on."""
        return self

    def moving_together(self):
        """The block of a forward pass; where it pays, running statistics only move at its end, those of all norms."""
        return nullcontext()

    def numbered(self, number) -> "Device":
        """The device of this number beside this one. ValueError: only GPUs have numbers."""
        raise ValueError(f"device: '{self.name}:{number}': only GPUs have numbers")

    def capturing(self):
        """Is what runs now captured, to be replayed? Then no number may be read, and nothing waited for."""
        return HERE.recording is not None

    def capture(self, fn, inputs=()) -> tuple[Any, Any]:
        """Call fn() and take down what it computes: (Recording, what fn returned). launch() computes it again.

        inputs: the arrays that have other numbers then; what depends on other arrays alone is not computed again.
        """
        return record(fn, inputs)

    def run(self, fn, ctx, arrays, settings):
        """The (y, backward) of an op.

        Where something is captured, an op that does not leave all to compiled kernels is taken down as a whole.
        """
        here = HERE.recording
        if here is None or (fn.kernels_only and getattr(ctx.kernels, "recordable", False)):
            return fn(ctx, *arrays, **settings)
        return here.run_op(functools.partial(fn, ctx), arrays, settings)

    def memory(self):
        """Bytes that a training step can have; infinite where the system doesn't tell. A GPU tells what is free."""
        try:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (AttributeError, ValueError, OSError):
            return math.inf


class Gpu(Device):
    """A GPU with a number. CuPy works on the thread's current one, which asking this for xp or kernels makes it."""

    def __init__(self, name, xp, kernels_module, number=0):
        super().__init__(name if number == 0 else f"{name}:{number}", xp, kernels_module)
        self.number = number
        self._family: dict[int, Device] = {0: self} if number == 0 else {}
        self._ended = []  # pools of graphs that have ended: in CuPy, memory of a pool that is dropped is never freed

    def numbered(self, number) -> Device:
        """The GPU of this number beside the first, which this is. ValueError where there is none."""
        if number not in self._family:
            count = self._xp.cuda.runtime.getDeviceCount()
            if not 0 <= number < count:
                raise ValueError(f"device: {self.name}:{number} is not there; GPUs here: {count}, numbered from 0")
            self._family[number] = Gpu(self.name, self._xp, self._kernels_module, number)
        return self._family[number]

    def for_process(self, number) -> Device:
        """A GPU for each process: that of this number. ValueError where there is none, RuntimeError without NCCL."""
        self.nccl()
        return self.numbered(number)

    def nccl(self) -> Any:
        """CuPy's NCCL. RuntimeError where it has none."""
        nccl = self.xp.cuda.nccl
        if not getattr(nccl, "available", False):
            raise RuntimeError(f"device {self.name}: CuPy finds no NCCL, which several processes need: "
                               "pip install nvidia-nccl-cu12 (or the one for your CUDA)")  # fmt: skip
        return nccl

    def home_of(self, array):
        """The GPU that an array lives on."""
        return self.numbered(array.device.id)

    def each(self, fn, *arrays):
        """fn(*arrays): a GPU shares elements by itself."""
        return fn(*arrays)

    each_row = each

    def moving_together(self):
        """The block of a forward pass: kernels/cuda/statistics.py."""
        return self.own_kernels.moving_together()

    def use(self):
        """Make it the current one of this thread."""
        self._xp.cuda.runtime.setDevice(self.number)

    @property
    def xp(self):
        self.use()
        return self._xp

    @xp.setter
    def xp(self, module):
        self._xp = module

    @property
    def kernels(self):
        self.use()
        return super().kernels

    def asarray(self, array):
        """The same numbers on this GPU; no copy when they are there already."""
        there = self.xp.asarray(array)
        return there if there.device.id == self.number else there.copy()  # CuPy's copy is on the current GPU

    def run(self, fn, ctx, arrays, settings):
        """The (y, backward) of an op. What it launches is captured by the stream."""
        return fn(ctx, *arrays, **settings)

    def capturing(self):
        """Is what runs now captured in a CUDA graph? Then no number may be read, and nothing waited for."""
        return self.xp.cuda.get_current_stream().is_capturing()

    def memory(self):
        """Bytes that arrays to come can have."""
        return self.xp.cuda.Device().mem_info[0] + self.xp.cuda.get_default_memory_pool().free_bytes()

    def capture(self, fn, inputs=()) -> tuple[Any, Any]:
        """Call fn() with its launches captured instead of made: (CudaGraph that makes them, what fn returned).

        RuntimeError where something can't be captured, MemoryError where the GPU has too little memory left for it.
        """
        self.free_unused()
        cuda = self.xp.cuda
        pool, stream = cuda.MemoryPool(self._graph_memory), cuda.Stream(non_blocking=True)
        with stream, cuda.using_allocator(pool.malloc):
            stream.begin_capture()
            try:
                result = fn()
            except BaseException:
                with suppress(RuntimeError):
                    stream.end_capture()
                self._ended.append(pool)
                raise
            return CudaGraph(stream.end_capture(), pool, self._ended), result

    def _graph_memory(self, size):
        """Memory straight from the GPU, for the pool of a graph.

        At CUDA's own error CuPy would free what is not in use at that moment, which the captured launches work on, and
        try again. At this one it gives up.
        """
        cuda = self.xp.cuda
        try:
            return cuda.MemoryPointer(cuda.Memory(size), 0)
        except RuntimeError as error:
            raise MemoryError(f"{size:,} bytes more for the graph: {error}") from error

    def free_unused(self):
        """Give the memory that CuPy keeps for arrays to come back to the GPU, and that of graphs that have ended."""
        for pool in (self.xp.cuda.get_default_memory_pool(), *self._ended):
            pool.free_all_blocks()
        self._ended[:] = [pool for pool in self._ended if pool.total_bytes()]

    def empty_apart(self, shape, dtype):
        """Room for what a graph reads and the host writes before each launch; may be made while it is captured.

        Memory of the graph's own pool held other numbers before in the same graph, and does so again in each launch.
        """
        with self.xp.cuda.using_allocator(self._apart.malloc):
            return self.xp.empty(shape, dtype)

    @functools.cached_property
    def _apart(self):
        return self.xp.cuda.MemoryPool()


@contextmanager
def use_kernels(choice):
    """Within this block ops run on other kernels: "reference" for the readable ones, or a module of kernels."""
    module = importlib.import_module(f"kernels.{choice}") if isinstance(choice, str) else choice
    token = _chosen_kernels.set(module)
    try:
        yield module
    finally:
        _chosen_kernels.reset(token)


CPU = Device("cpu", np, "kernels.cpu")


def refuse_while_capturing(what):
    """RuntimeError while something is captured on the CPU, where nothing would keep from it what no replay can do."""
    if CPU.capturing():
        raise RuntimeError(f"{what} is not possible while something is captured")


@functools.cache
def cuda():
    """The first GPU. RuntimeError, saying what is missing and what helps, where there is none."""
    try:
        import cupy  # pyright: ignore[reportMissingImports]

        cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # of a broken installation: anything
        raise RuntimeError(f"device cuda: {why_not(error)}") from error
    return Gpu("cuda", cupy, "kernels.cuda")


_registered: dict = {}  # devices that others brought: name of the array module -> Device


def register(device):
    """Make one more device known by its name, and to the arrays of its array module."""
    _registered[device.xp.__name__] = device


def get_device(which):
    """The device of that name ("cpu", "cuda", "cuda:1", or a registered one), or the one given.

    ValueError for another name and for a number that no GPU has, RuntimeError where there is no GPU at all.
    """
    if isinstance(which, Device):
        return which
    known = {"cpu": lambda: CPU, "cuda": cuda, **{d.name: lambda d=d: d for d in _registered.values()}}
    name, colon, number = which.partition(":") if isinstance(which, str) else (which, "", "")
    if name not in known or (colon and not number.isdecimal()):
        raise ValueError(f"device: {which!r} is not one of {', '.join(map(repr, known))}, or 'cuda:1' and so on")
    return known[name]().numbered(int(number)) if colon else known[name]()


def device_of(array):
    """Which device an array lives on. (np.generic: a full reduction in NumPy gives a scalar, not an array.)"""
    if isinstance(array, np.ndarray | np.generic):
        return CPU
    first = _registered.get(type(array).__module__.partition(".")[0]) or cuda()
    return first.home_of(array)


def allow_tf32(allowed=True):
    """Within `with allow_tf32():`, float32 products on a GPU may round their operands to TF32 (10 bits of mantissa).

    8 times as fast on tensor cores. The CPU has no TF32 and is left as it is.
    """
    return importlib.import_module("kernels.cuda.precision").allow_tf32(allowed)


def set_num_threads(n):
    """Use n threads in the CPU kernels and in BLAS."""
    importlib.import_module("kernels.cpu.runtime").set_num_threads(n)


def get_num_threads():
    """How many threads the CPU kernels and BLAS use."""
    return importlib.import_module("kernels.cpu.runtime").get_num_threads()
