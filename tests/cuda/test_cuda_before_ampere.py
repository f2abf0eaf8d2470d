"""What GPUs before Ampere run in place of asynchronous copies and newer tensor cores, on the emulated device."""

import numpy as np
import pytest
import test_cuda_kernels_conv as conv_cases
from cuda_cases import BFLOAT16, needs_emulator, thread_order
from emulator import ORDERS

from kernels.cuda import blas, conv, loader, rows
from kernels.cuda.precision import allow_tf32

pytestmark = [needs_emulator, pytest.mark.long]


@pytest.fixture(autouse=True)
def plain_path(monkeypatch):
    monkeypatch.setattr(loader, "OPTIONS", (*loader.OPTIONS, "-DBEFORE_AMPERE"))
    loader.compiled.cache_clear()
    yield
    loader.compiled.cache_clear()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", [np.dtype("f2"), BFLOAT16, np.dtype("f4")], ids=str)
def test_products_of_fragments_that_lanes_hand_each_other(dtype, order):
    with allow_tf32(), thread_order(order):
        conv_cases.check_three_passes("3x3", dtype, 2 if dtype.itemsize == 2 else 500)


def test_copies_without_haste():
    conv_cases.check_three_passes("groups, dilation", np.dtype("f4"), 2)
    conv_cases.check_three_passes("stem", np.dtype("f8"), 2)


def test_turing_multiplies_float32_as_such_and_leaves_bfloat16_to_our_kernels(monkeypatch):
    """Its tensor cores have no TF32, and cuBLAS no bfloat16 for it."""
    with allow_tf32():
        assert conv.tensor_cores(np, np.dtype("f4"))
        for module in (conv, blas):
            monkeypatch.setattr(module, "capability", lambda xp: 75)
        assert not conv.tensor_cores(np, np.dtype("f4")) and conv.tensor_cores(np, np.dtype("f2"))
        conv_cases.check_three_passes("3x3", np.dtype("f4"), 2)  # no digits are lost


def test_the_capability_is_that_of_the_current_gpu(monkeypatch):
    import emulator

    assert rows.capability(emulator) == rows.NEWEST
    rows.capability_of.cache_clear()
    monkeypatch.setattr(emulator.cuda.Device, "compute_capability", "75", raising=False)
    assert rows.capability(emulator) == 75
    rows.capability_of.cache_clear()
