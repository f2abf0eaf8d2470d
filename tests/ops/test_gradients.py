"""Each op's backward against differences of its forward in float64, on each device's kernels."""

import pytest
from op_table import CASES
from places import here

from minigrad.gradcheck.cases import check_each_alone, check_gradients, check_layouts


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients(case, place):
    """Along a random direction; and neither the inputs nor the incoming gradient are written."""
    check_gradients(case, here())


@pytest.mark.parametrize("case", [c for c in CASES if sum(a.size for a in c.arrays()) <= 400], ids=str)
def test_gradients_element_by_element(case):
    check_gradients(case, elementwise=True)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_inputs_that_are_not_contiguous(case, place):
    check_layouts(case, here())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_only_the_gradients_that_are_wanted(case, place):
    check_each_alone(case, here())
