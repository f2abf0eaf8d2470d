"""From a CUDA C++ file in src/ to something that can be launched. Nothing is compiled before its first launch.

The compiler is NVIDIA's run-time compiler through `RawModule` of the array module that owns the arguments: CuPy, which
keeps the machine code in a cache on disk. That one call is all that binds the launchers to a GPU.
"""

import functools
import hashlib
import itertools
import pathlib

import numpy as np

from ..reference.arrays import array_module

SOURCES = pathlib.Path(__file__).parent / "src"
FLOATS = ("float", "double", "__half", "__nv_bfloat16")
FLAGS = ("false", "true")
CPP_NAMES = {"float32": "float", "float64": "double", "float16": "__half", "bfloat16": "__nv_bfloat16"}
OPTIONS = ("-std=c++17", f"-I{SOURCES}")


class Kernel:
    """A __global__ function template in a file of src/. Launch it: kernel(template, grid, block, *arguments).

    axes: for each template parameter the values that it may take, as C++ text, so that all can be compiled and checked
    ahead. template: a value for each, as text, dtype, bool or int. grid and block: up to three numbers each.
    arguments: arrays (their addresses), None (a null pointer), ints (C++ int), NumPy scalars (their own type; those of
    a structured type are structs).
    shared: bytes of dynamic shared memory. ValueError for a template value that is none of its axis.
    """

    def __init__(self, file, name, *axes):
        self.file, self.name, self.axes = file, name, axes

    def __repr__(self):
        return f"Kernel({self.file!r}, {self.name!r})"

    def instances(self):
        """Every combination of template values as a C++ expression: relu_forward<float, true>."""
        return [self._expression(values) for values in itertools.product(*self.axes)]

    def _expression(self, values):
        return f"{self.name}<{', '.join(values)}>" if values else self.name

    def _instance(self, template):
        values = tuple(cpp(value) for value in template)
        if len(values) != len(self.axes) or any(v not in axis for v, axis in zip(values, self.axes)):
            raise ValueError(f"{self.name}: no instance <{', '.join(values)}>; declared are {self.axes}")
        return self._expression(values)

    def __call__(self, template, grid, block, *arguments, shared=0):
        instance = self._instance(template)
        xp = array_module(next(a for a in arguments if hasattr(a, "strides") and not isinstance(a, np.generic)))
        function = compiled(xp, current(xp), self.file, instance, shared)
        function(grid, block, tuple(launch_argument(a) for a in arguments), shared_mem=shared)


def cpp(value):
    """A template value as C++ text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return CPP_NAMES[value.name] if isinstance(value, np.dtype) else str(value)


def compute_scalar(dtype, value):
    """A number as Compute<T> of types.cuh: double for arrays of double, else float."""
    return np.float64(value) if dtype == np.float64 else np.float32(value)


def launch_argument(value):
    """What CuPy passes with the type that the kernel expects. (A Python int would become 64 bits.)"""
    if value is None:
        return np.uint64(0)
    if isinstance(value, bool):
        return np.bool_(value)
    if isinstance(value, int):
        if not -(2**31) <= value < 2**31:
            raise OverflowError(f"kernel argument: {value} does not fit a C++ int; pass np.int64")
        return np.int32(value)
    if isinstance(value, np.void):
        return np.asarray(value)  # a struct: CuPy passes NumPy arrays by value
    if isinstance(value, float) and not isinstance(value, np.generic):  # np.float64 is a float, too
        raise TypeError(f"kernel argument: {value} may be a C++ float or double; pass np.float32 or np.float64")
    return value


@functools.cache
def sources_hash():
    """Changes with any file of src/: CuPy's cache looks at the text that it is given, not at what that includes."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def current(xp):
    """The number of the thread's current GPU; 0 for what is none."""
    return xp.cuda.runtime.getDevice() if hasattr(xp, "cuda") else 0


@functools.cache
def compiled(xp, device, file, expression, shared):
    """The function of a C++ expression on the current GPU, compiled, and allowed the dynamic shared memory it needs."""
    code = f'#include "{file}"\n// {sources_hash()}\n'
    function = xp.RawModule(code=code, options=OPTIONS, name_expressions=(expression,)).get_function(expression)
    if shared > 48 * 1024:  # beyond this a kernel must ask
        function.max_dynamic_shared_size_bytes = shared
    return function
