"""A device is three things: a name, an array module, and a module of kernels. The only place that asks which device."""

import functools
import importlib
import weakref
from contextlib import contextmanager, suppress
from contextvars import ContextVar

import numpy as np

_chosen_kernels: ContextVar = ContextVar("chosen_kernels", default=None)


class Device:
    """name ("cpu", "cuda"), xp (numpy or cupy) and kernels (the module of the same functions for this device)."""

    def __init__(self, name, xp, kernels_module):
        self.name, self.xp, self._kernels_module = name, xp, kernels_module
        self._ended = []  # pools of graphs that have ended: in CuPy, memory of a pool that is dropped is never freed

    def __repr__(self):
        return f"device({self.name!r})"

    @functools.cached_property
    def own_kernels(self):
        """Imported on first use: compiling kernels is not a price for `import minigrad`."""
        kernels = importlib.import_module(self._kernels_module)
        if hasattr(kernels, "start_first_compilation"):
            kernels.start_first_compilation()
        return kernels

    @property
    def kernels(self):
        return _chosen_kernels.get() or self.own_kernels

    def asarray(self, array):
        """The same numbers on this device; no copy when they are there already."""
        return self.xp.asarray(array.get() if self.xp is np and hasattr(array, "get") else array)

    def capturing(self):
        """Is what runs now captured in a CUDA graph? Then no number may be read, and nothing waited for."""
        return hasattr(self.xp, "cuda") and self.xp.cuda.get_current_stream().is_capturing()

    def capture(self, fn):
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


class CudaGraph:
    """What `capture` took down. launch() makes all launches on the memory that the captured arrays had.

    That memory is from a pool of its own, held as long as this is: from the common pool others would get it. It goes
    back to the GPU with close(), or when this is dropped; what arrays still live in does with a later `free_unused`.
    """

    def __init__(self, graph, pool, ended):
        self._graph, self._end = graph, weakref.finalize(self, end, pool, ended)
        self._end.atexit = False

    def launch(self):
        """Make all launches. RuntimeError after close()."""
        if self._graph is None:
            raise RuntimeError("CudaGraph.launch: the graph was closed")
        self._graph.launch()

    def close(self):
        """Give the graph's memory back. Drop the arrays that the captured function returned before."""
        self._graph = None
        self._end()


def end(pool, ended):
    """Free what a graph's pool holds; if arrays still live there, it is one of those that have ended."""
    pool.free_all_blocks()
    if pool.total_bytes():
        ended.append(pool)


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


@functools.cache
def cuda():
    """The GPU. RuntimeError, saying what is missing, where there is none."""
    try:
        import cupy  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise RuntimeError("device cuda: CuPy is not installed; pip install cupy-cuda13x") from None
    if not cupy.cuda.is_available():
        raise RuntimeError("device cuda: CuPy finds no GPU or no driver on this machine")
    return Device("cuda", cupy, "kernels.cuda")


_registered: dict = {}  # devices that others brought: name of the array module -> Device


def register(device):
    """Make one more device known by its name, and to the arrays of its array module."""
    _registered[device.xp.__name__] = device


def get_device(which):
    """The device of that name ("cpu", "cuda" or a registered one), or the one given. ValueError for another name."""
    if isinstance(which, Device):
        return which
    known = {"cpu": lambda: CPU, "cuda": cuda, **{d.name: lambda d=d: d for d in _registered.values()}}
    if which not in known:
        raise ValueError(f"device: {which!r} is not one of {', '.join(map(repr, known))}")
    return known[which]()


def device_of(array):
    """Which device an array lives on. (np.generic: a full reduction in NumPy gives a scalar, not an array.)"""
    if isinstance(array, np.ndarray | np.generic):
        return CPU
    return _registered.get(type(array).__module__.partition(".")[0]) or cuda()


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
