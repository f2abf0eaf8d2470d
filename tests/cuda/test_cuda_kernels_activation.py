"""The element-wise CUDA kernels on the emulated device, in every layout, type and order of threads."""

import numpy as np
import pytest
from cuda_cases import DTYPES, agrees, in_any_order, in_slice, needs_device, normal, thread_order, to_device, xp

from kernels import cuda, reference

pytestmark = [needs_device, pytest.mark.long]
CALLS = {"relu_forward": 1, "relu_backward": 2, "add_relu_forward": 2}
SHAPES = [(), (0, 3), (1,), (7, 5), (2, 3, 4, 8), (5, 1), (1030,)]


def inputs(name, shape, dtype):
    return [normal(shape, dtype, seed) for seed in range(CALLS[name])]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", CALLS)
def test_agrees_with_the_reference(name, dtype):
    for shape in SHAPES:
        agrees(name, *inputs(name, shape, dtype), dtype=dtype)


@in_any_order
@pytest.mark.parametrize("name", CALLS)
def test_channel_slices_of_wider_buffers(name, order):
    """Slices that start at a multiple of 16 bytes, and those that don't; what lies beside them is left alone."""
    for before, after, channels in [(4, 8, 8), (3, 5, 9), (8, 4, 6)]:
        arrays = inputs(name, (3, 2, channels), np.float32)
        views = [in_slice(a, before, after)[0] for a in arrays]
        out, wide = in_slice(np.zeros_like(arrays[0]), before, after)
        with thread_order(order):
            assert getattr(cuda, name)(*views, out=out) is out
        np.testing.assert_array_equal(out.get(), getattr(reference, name)(*arrays))
        assert (wide.get()[..., :before] == 77).all() and (wide.get()[..., before + channels :] == 77).all()


@pytest.mark.parametrize("name", CALLS)
def test_other_layouts(name):
    arrays = inputs(name, (4, 3, 5), np.float64)
    expected = getattr(reference, name)(*arrays)
    turned = [to_device(a.transpose(2, 1, 0).copy()).transpose(2, 1, 0) for a in arrays]
    out = xp.empty((5, 3, 4)).transpose(2, 1, 0)
    getattr(cuda, name)(*turned, out=out)
    np.testing.assert_array_equal(out.get(), expected)


def test_nan_stays_nan():
    x = to_device(np.array([np.nan, -1, 1], np.float32))
    for y in (cuda.relu_forward(x), cuda.add_relu_forward(x, x)):
        np.testing.assert_array_equal(np.isnan(y.get()), [True, False, False])


def test_arrays_that_do_not_fit():
    x = to_device(normal((2, 3), "f"))
    with pytest.raises(TypeError, match=r"add_relu_forward: arrays of one type expected; got a float32, b float64"):
        cuda.add_relu_forward(x, x.astype("d"))
    with pytest.raises(ValueError, match=r"out: expected float32 \(2, 3\), got float32 \(3, 2\)"):
        cuda.relu_forward(x, out=xp.empty((3, 2), "f"))
