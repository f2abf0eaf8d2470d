"""What holds for every op: the kernels agree, the fused equal the plain, no input is written, nothing extra is kept."""

import numpy as np
import pytest
from numeric import backward
from op_table import CASES
from places import host, put, running_on

from minigrad import Tensor
from minigrad.device import device_of

IDS = dict(ids=str)


def everything(case, dtype=np.float64, run=None):
    """Output and gradients of a case, in the place of the test."""
    arrays = case.arrays(dtype)
    y = host((run or case.run)([Tensor(put(a)) for a in arrays]))
    return [y, *backward(run or case.run, arrays)[0]]


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
    node = case.run([Tensor(put(a), requires_grad=True) for a in case.arrays()]).node
    assert {name for name, array in node.saved_arrays if array.ndim} == set(case.saves.split())


@pytest.mark.parametrize("case", CASES, **IDS)
def test_writes_neither_inputs_nor_the_incoming_gradient(case, place):
    arrays = case.arrays()
    tensors = [Tensor(put(a).copy(), requires_grad=True) for a in arrays]
    y = case.run(tensors)
    dy = put(np.ones(y.shape))
    y.backward(dy)
    assert (host(dy) == 1).all()
    for t, a in zip(tensors, arrays):
        np.testing.assert_array_equal(host(t), a)


@pytest.mark.parametrize("case", CASES, **IDS)
def test_repeats_bit_for_bit(case, fast_place):
    for a, b in zip(everything(case, np.float32), everything(case, np.float32)):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("case", CASES, **IDS)
def test_takes_inputs_that_are_not_contiguous(case, place):
    """Every second element of a wider array, and a transposed one, give what a contiguous copy gives."""
    arrays = case.arrays()
    expected = everything(case)
    for layout in (strided, fortran):
        tensors = [Tensor(layout(put(a)), requires_grad=True) for a in arrays]
        y = case.run(tensors)
        y.backward(np.random.default_rng(1).standard_normal(y.shape))
        for a, b in zip([y, *(t.grad for t in tensors)], expected):
            np.testing.assert_allclose(host(a), b, rtol=1e-12, atol=1e-12)


def strided(a):
    if not a.ndim:
        return a
    wide = device_of(a).xp.full((*a.shape[:-1], 2 * a.shape[-1]), np.nan, a.dtype)
    wide[..., ::2] = a
    return wide[..., ::2]


def fortran(a):
    return a.T.copy().T


@pytest.mark.parametrize("case", CASES, **IDS)
def test_only_the_gradients_that_are_wanted(case, place):
    """With one input at a time requiring its gradient, that gradient is the same."""
    arrays = case.arrays()
    together = everything(case)[1:]
    for i in range(len(arrays)):
        tensors = [Tensor(put(a), requires_grad=i == j) for j, a in enumerate(arrays)]
        y = case.run(tensors)
        y.backward(np.random.default_rng(1).standard_normal(y.shape))
        np.testing.assert_allclose(host(tensors[i].grad), together[i], rtol=1e-12, atol=1e-12)
