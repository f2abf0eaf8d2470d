"""Each op's backward against central differences in float64, on each device's kernels."""

import numpy as np
import pytest
from numeric import along, backward, elementwise
from op_table import CASES


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient_along_a_random_direction(case, place):
    arrays = case.arrays()
    grads, v = backward(case.run, arrays)
    for i, (array, grad) in enumerate(zip(arrays, grads)):
        direction = np.random.default_rng(2 + i).standard_normal(array.shape)
        expected = along(case.run, arrays, i, direction, v)
        assert grad.shape == array.shape and grad.dtype == array.dtype
        assert np.vdot(grad, direction) == pytest.approx(expected, rel=1e-5, abs=1e-6), f"gradient of input {i}"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient_element_by_element(case):
    arrays = case.arrays()
    grads, v = backward(case.run, arrays)
    for i, array in enumerate(arrays):
        if array.size <= 120:
            np.testing.assert_allclose(grads[i], elementwise(case.run, arrays, i, v), rtol=1e-5, atol=1e-6)
