"""A pytest fixture for one's own tests. In conftest.py: `from minigrad.gradcheck.fixture import gradcheck`."""

import zlib

import numpy as np
import pytest

from ..tensor import Tensor
from . import check
from .inputs import normal


@pytest.fixture(name="gradcheck")
def gradcheck(request):
    """minigrad.gradcheck.gradcheck, which also takes shapes for inputs: gradcheck(op, [(2, 3), (3,)], make=positive).

    Inputs and directions are drawn from the test's own name: each test tries other numbers, and the same ones again.
    make(rng, shape, dtype): how numbers are drawn (minigrad.gradcheck.inputs: normal, positive, distinct, off_zero).
    """
    seed = zlib.crc32(request.node.nodeid.encode())

    def run(fn, inputs=(), *, make=normal, **settings):
        rng = np.random.default_rng(seed)
        tensors = [tensor_of(rng, value, make) for value in ([inputs] if isinstance(inputs, Tensor) else inputs)]
        return check.gradcheck(fn, tensors, **{"seed": seed, **settings})

    return run


def tensor_of(rng, value, make):
    """A tensor of this shape that requires a gradient; tensors as they are."""
    return Tensor(make(rng, value, np.float64), requires_grad=True) if isinstance(value, tuple) else value
