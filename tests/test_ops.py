"""What holds for every op: the kernels agree, the fused equal the plain, nothing extra is kept; see test_gradients."""

import numpy as np
import pytest
from op_table import CASES
from places import here, running_on

from minigrad.gradcheck.cases import outcome

IDS = dict(ids=str)


def everything(case, dtype=np.float64, run=None):
    """Output and gradients of a case, in the place of the test."""
    return outcome(run or case.run, case.tensors(dtype, device=here()))


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-11), (np.float32, 2e-5)])
@pytest.mark.parametrize("case", CASES, **IDS)
def test_compiled_kernels_agree_with_the_reference(case, dtype, tolerance, fast_place):
    if dtype == np.float32 and any(v is not None and "running" in k for k, v in case.params.items()):
        pytest.skip("the row's running statistics are float64")
    fast = everything(case, dtype)
    with running_on("reference"):
        expected = everything(case, dtype)
    for a, b in zip(fast, expected):
        assert a.dtype == b.dtype == dtype and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1, np.abs(b).max(initial=0)))


@pytest.mark.parametrize("case", [c for c in CASES if c.plain], **IDS)
def test_fused_equals_plain(case, place):
    for a, b in zip(everything(case), everything(case, run=case.run_plain)):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", CASES, **IDS)
def test_keeps_only_what_it_says(case, place):
    node = case.run(case.tensors(device=here())).node
    assert {name for name, array in node.saved_arrays if array.ndim} == set(case.saves.split())


@pytest.mark.parametrize("case", CASES, **IDS)
def test_repeats_bit_for_bit(case, fast_place):
    for a, b in zip(everything(case, np.float32), everything(case, np.float32)):
        np.testing.assert_array_equal(a, b)
