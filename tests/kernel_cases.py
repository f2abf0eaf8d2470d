"""Arrays in every layout, and the comparison of a kernel with the reference, for the tests of the CPU kernels."""

import inspect
import sys

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from numba.core.dispatcher import Dispatcher

from kernels import cpu, reference

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
CANARY = 12345.0

DTYPES = st.sampled_from(["float32", "float64"])
LAYOUT_NAMES = ["contiguous", "slice", "reversed", "flipped", "read-only"]
LAYOUTS = st.sampled_from(LAYOUT_NAMES)
CHANNELS = st.sampled_from([1, 2, 3, 8, 12, 16, 17, 64, 200, 513, 700])
SHAPES = st.tuples(st.lists(st.sampled_from([0, 1, 2, 3, 7, 40]), max_size=3), CHANNELS).map(lambda s: (*s[0], s[1]))
quick = settings(deadline=None, max_examples=40)


def normal(shape, dtype, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def laid_out(a, layout):
    """The same values: contiguous, a channel slice of a wider buffer, with a negative step, or not to be written."""
    if layout == "slice":
        return in_slice(a)[0]
    if layout == "reversed":
        return np.ascontiguousarray(a[..., ::-1])[..., ::-1]
    if layout == "flipped":
        return np.ascontiguousarray(np.flip(a, 0))[::-1]
    a = a.copy()
    a.flags.writeable = layout != "read-only"
    return a


def in_slice(a, before=3, after=5):
    wide = np.full((*a.shape[:-1], before + a.shape[-1] + after), CANARY, a.dtype)
    view = wide[..., before : before + a.shape[-1]]
    view[...] = a
    return view, wide


def untouched_around(wide, before=3, after=5):
    return (wide[..., :before] == CANARY).all() and (wide[..., wide.shape[-1] - after :] == CANARY).all()


def close(actual, expected, dtype, tolerance=1.0):
    """Of the right type and shape; the largest error is within the tolerance of the largest value."""
    assert actual.dtype == dtype and actual.shape == expected.shape
    scale = max(np.abs(expected).max(initial=0), 1e-3)
    assert np.abs(actual - expected).max(initial=0) <= tolerance * TOLERANCE[dtype] * scale


def exact(call, *args, **kwargs):
    """What the reference says in float64."""
    return getattr(reference, call)(*(as_double(a) for a in args), **kwargs)


def as_double(a):
    if isinstance(a, list):
        return [as_double(each) for each in a]
    return a.astype("d") if isinstance(a, np.ndarray) and a.dtype == "f" else a


def agrees(call, *args, dtype, tolerance=1.0, **kwargs):
    """Run the kernel twice: the inputs stay as they are, the bits repeat, and the reference agrees."""
    before = [np.array(a) for a in args]
    actual, again = (getattr(cpu, call)(*args, **kwargs) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(args, before))
    expected = exact(call, *args, **kwargs)
    as_tuple = (lambda r: r) if isinstance(expected, tuple) else (lambda r: (r,))
    for a, b, e in zip(as_tuple(actual), as_tuple(again), as_tuple(expected), strict=True):
        assert np.array_equal(a, b)
        if e.dtype.kind == "f":
            close(a, e, dtype, tolerance)
        else:
            assert a.dtype == e.dtype and np.array_equal(a, e)
    return actual


def dispatchers():
    """{name: Numba's dispatcher} of every compiled function of the CPU kernels, where it is defined."""
    found = {}
    for module in [m for name, m in sys.modules.items() if name.startswith("kernels.cpu.")]:
        for name, value in vars(module).items():
            function = inspect.unwrap(value, stop=is_dispatcher) if callable(value) else value
            if is_dispatcher(function) and function.py_func.__module__ == module.__name__:
                found[f"{module.__name__}.{name}"] = function
    return found


def is_dispatcher(value):
    return isinstance(value, Dispatcher)


def compiled_versions():
    """How many versions there are of each compiled function."""
    return {name: len(f.signatures) for name, f in dispatchers().items()}
