"""What the tests of the CUDA kernels share: arrays on the device, and the comparison with the reference.

The device is the emulated one, or a GPU with MINIGRAD_DEVICE=cuda.
"""

import contextlib
import importlib
import os

import emulator
import ml_dtypes
import numpy as np
import pytest

from kernels import cuda, reference

ON_GPU = os.environ.get("MINIGRAD_DEVICE") == "cuda"
DEVICE = "cuda" if ON_GPU else "emulated"
xp = importlib.import_module("cupy") if ON_GPU else emulator
needs_emulator = pytest.mark.skipif(
    ON_GPU or emulator.missing() is not None, reason="for the emulated device" if ON_GPU else str(emulator.missing())
)
needs_device = pytest.mark.skipif(not ON_GPU and emulator.missing() is not None, reason=str(emulator.missing()))
in_any_order = pytest.mark.parametrize("order", ["the GPU's"] if ON_GPU else emulator.ORDERS)
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = [np.dtype(d) for d in ("f4", "f8", "f2")] + [BFLOAT16]
TOLERANCE = {"float32": 2e-6, "float64": 1e-14, "float16": 2e-3, "bfloat16": 1.6e-2}


def thread_order(order):
    """Within this block the emulated device runs threads in this order; a GPU has its own."""
    return contextlib.nullcontext() if ON_GPU else emulator.thread_order(order)


def same_bits_in(order, results):
    """With threads in this order, results() gives the same arrays, bit for bit."""
    expected = results()
    with thread_order(order):
        for actual, wanted in zip(results(), expected, strict=True):
            assert actual.get().tobytes() == wanted.get().tobytes()


def check_canaries(name, arrays):
    """Nothing was written beside these arrays; on a GPU this is the sanitizer's to find."""
    if not ON_GPU:
        emulator.arrays.check_canaries(name, arrays)


def normal(shape, dtype, seed=0):
    """Random numbers on the host, of a type that the device has."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def to_device(a):
    """A copy on the device, and the same for the arrays in a list; other values as they are."""
    if isinstance(a, list | tuple):
        return [to_device(each) for each in a]
    return xp.asarray(a) if isinstance(a, np.ndarray) else a


def in_slice(a, before=3, after=5):
    """The array as a channel slice of a wider buffer on the device, and that buffer."""
    wide = xp.asarray(np.full((*a.shape[:-1], before + a.shape[-1] + after), 77, a.dtype))
    view = wide[..., before : before + a.shape[-1]]
    view[...] = xp.asarray(a)
    return view, wide


def as_double(a):
    if isinstance(a, list | tuple):
        return [as_double(each) for each in a]
    return a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype.kind in "fV" else a


def close(actual, expected, dtype, tolerance=1.0):
    """Of the right type and shape; the largest error is within the tolerance of the largest value."""
    actual = actual.get()
    assert actual.shape == expected.shape and actual.dtype == dtype
    error = np.abs(actual.astype(np.float64) - expected).max(initial=0)
    assert error <= tolerance * TOLERANCE.get(dtype.name, 0) * max(np.abs(expected).max(initial=0), 1e-3)


def agrees(name, *args, dtype, tolerance=1.0, arrays=None):
    """The kernel on the device gives what the reference gives in float64; `arrays`: other layouts of the same args."""
    results = getattr(cuda, name)(*(to_device(args) if arrays is None else arrays))
    expected = getattr(reference, name)(*as_double(args))
    results, expected = (r if isinstance(r, tuple) else (r,) for r in (results, expected))
    for actual, wanted in zip(results, expected, strict=True):
        close(actual, wanted, dtype if wanted.dtype.kind == "f" else wanted.dtype, tolerance)
