"""Where a test runs: on the reference or the compiled kernels of the CPU, on the emulated GPU, or on a GPU.

Tests that take the fixture `place` make their tensors with `put` and look at numbers with `host`.
"""

from contextlib import contextmanager, nullcontext
from contextvars import ContextVar

import numpy as np

import minigrad as mg
from minigrad.gradcheck.cases import outcome

PLACES = {"cpu": ("reference", "cpu"), "emulated": ("emulated",), "cuda": ("cuda",)}  # --device: places
_device: ContextVar = ContextVar("device", default="cpu")


def prepare(device):
    """Make the device known; why it can't be used, or None."""
    if device != "emulated":
        return None
    import emulator

    if not emulator.missing():
        emulator.register()
    return emulator.missing()


@contextmanager
def running_on(place):
    """Within this block `put` and ops use this place."""
    on_cpu = place in PLACES["cpu"]
    token = _device.set("cpu" if on_cpu else place)
    try:
        with mg.use_kernels(place) if on_cpu else nullcontext():
            yield place
    finally:
        _device.reset(token)


def here():
    """The device of the place."""
    return mg.device.get_device(_device.get())


def put(array):
    """The array on the device of the place."""
    return here().asarray(array)


def host(array):
    """The array, or what is in the tensor, as a NumPy array."""
    return mg.device.CPU.asarray(array.data if isinstance(array, mg.Tensor) else array)


def everything(case, dtype=np.float64, run=None):
    """Output and gradients of a case, in the place of the test."""
    return outcome(run or case.run, case.tensors(dtype, device=here()))
