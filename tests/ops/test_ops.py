"""What holds for every op: the kernels agree, the fused equal the plain, nothing extra is kept; see test_gradients."""

import numpy as np
import pytest
from op_table import CASES
from places import everything, here, host, put, running_on

from minigrad import Tensor, ops
from minigrad.explain.watch import watching
from minigrad.fusing import written_out

IDS = dict(ids=str)


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-11), (np.float32, 2e-5)])
@pytest.mark.parametrize("case", CASES, **IDS)
def test_compiled_kernels_agree_with_the_reference(case, dtype, tolerance, fast_place):
    fast = everything(case, dtype)
    with running_on("reference"):
        expected = everything(case, dtype)
    for a, b in zip(fast, expected):
        assert a.dtype == b.dtype == dtype and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1, np.abs(b).max(initial=0)))


FUSED = [c for c in CASES if getattr(c.op, "written", None)]


@pytest.mark.parametrize("case", FUSED, **IDS)
def test_a_fused_op_equals_what_it_is_written_as(case, place):
    fused, seen = everything(case), []
    with written_out(), watching(lambda op, *rest: seen.append(op)):
        written = everything(case)
    assert len(seen) > 1 and not any(op.written for op in seen)
    for a, b in zip(fused, written):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_which_ops_are_fused():
    names = {c.op.__name__ for c in FUSED}
    assert names == {"add_relu", "batch_norm_relu", "conv2d_relu", "dense_block", "linear_relu"}


def test_the_slope_at_a_kink(place):
    """Where the slopes to the left and to the right differ, dx takes the left one, as in torch."""
    x = Tensor(put(np.zeros((4, 2))), requires_grad=True)
    ones, zeros = Tensor(put(np.ones(2))), Tensor(put(np.zeros(2)))
    normal = dict(running_mean=zeros, running_var=ones, training=False)
    for op, slope in [
        (ops.relu, 0),
        (lambda x: ops.leaky_relu(x, negative_slope=0.25), 0.25),
        (lambda x: ops.add_relu(x, zeros + x.data * 0), 0),
        (lambda x: ops.batch_norm_relu(x, ones, zeros, **normal), 0),
    ]:
        x.grad = None
        op(x).sum().backward()
        np.testing.assert_array_equal(host(x.grad), np.full((4, 2), slope))


@pytest.mark.parametrize("case", CASES, **IDS)
def test_keeps_only_what_it_says(case, place):
    node = case.run(case.tensors(device=here())).node
    assert {name for name, array in node.saved_arrays if array.ndim} == set(case.saves.split())


@pytest.mark.parametrize("case", CASES, **IDS)
def test_repeats_bit_for_bit(case, fast_place):
    for a, b in zip(everything(case, np.float32), everything(case, np.float32)):
        np.testing.assert_array_equal(a, b)
