"""Hypothesis strategies for tests of one's own ops: shapes of all sizes, tensors to check a gradient at.

from hypothesis import given
from minigrad.gradcheck.strategies import tensors

@given(tensors())
def test_square(x):
    assert gradcheck(square, x)
"""

import numpy as np
from hypothesis import strategies as st

from ..tensor import Tensor
from .inputs import normal


def shapes(min_dims=1, max_dims=4, min_side=1, max_side=5):
    """Tuples of min_dims to max_dims sizes from min_side to max_side; a failing one shrinks to few and small ones."""
    return st.lists(st.integers(min_side, max_side), min_size=min_dims, max_size=max_dims).map(tuple)


@st.composite
def tensors(draw, shape=None, make=normal):
    """float64 tensors that require a gradient. shape: a tuple or a strategy of tuples (default: shapes()).

    make(rng, shape, dtype): how the numbers are drawn, see minigrad.gradcheck.inputs; e.g. `distinct` where a tie would
    have no gradient, `off_zero` where there is a kink at 0.
    """
    size = draw(shapes() if shape is None else shape if isinstance(shape, st.SearchStrategy) else st.just(shape))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    return Tensor(make(rng, size, np.float64), requires_grad=True)
