"""What all test files share."""

import importlib.util

import pytest

import minigrad as mg

KERNELS = ("reference", "cpu")


@pytest.fixture(params=KERNELS)
def kernels(request):
    """Run the test once on the reference kernels and once on the compiled ones."""
    with mg.use_kernels(request.param):
        yield request.param


def needs_torch():
    """Mark for tests that compare with PyTorch, which is no dependency of minigrad."""
    return pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch, the peer, is not installed")
