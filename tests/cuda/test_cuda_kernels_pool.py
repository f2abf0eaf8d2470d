"""The pooling kernels on the emulated device, against the reference in float64, at odd sizes."""

import numpy as np
import pytest
from cuda_cases import DTYPES, agrees, in_any_order, in_slice, needs_device, normal, thread_order, to_device

from kernels import cuda, reference
from kernels.shapes import window_counts

pytestmark = [needs_device, pytest.mark.long]

# x, size, stride, padding, dilation, ceil_mode
MAX_CASES = {
    "one pixel": ((1, 1, 1, 1), (1, 1), (1, 1), (0, 0), (1, 1), False),
    "3x3, stride 2": ((2, 7, 6, 3), (3, 3), (2, 2), (1, 1), (1, 1), False),
    "ceil": ((1, 6, 8, 16), (3, 2), (2, 3), (0, 1), (1, 1), True),
    "dilation": ((2, 9, 8, 8), (2, 3), (1, 2), (1, 1), (3, 1), False),
    "gaps": ((1, 8, 8, 5), (2, 2), (3, 4), (0, 0), (1, 1), False),
    "many taps": ((1, 18, 17, 2), (17, 16), (1, 1), (2, 0), (1, 1), False),
}  # fmt: skip
AVG_CASES = {name: (*case[:4], case[5]) for name, case in MAX_CASES.items() if name != "dilation"}


def values(shape, dtype):
    """Few distinct values, so that there are ties."""
    return (normal(shape, np.dtype("f8")) * 2).round().astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", MAX_CASES)
def test_max_pool(case, dtype):
    shape, *settings = MAX_CASES[case]
    x = values(shape, dtype)
    agrees("max_pool2d_forward", x, *settings, dtype=dtype)
    y, winner = reference.max_pool2d_forward(x.astype("f8"), *settings)
    dy = normal(y.shape, dtype, 1)
    agrees("max_pool2d_backward", dy, winner, shape, *settings[:4], dtype=dtype)


def test_nan_wins_and_padding_never_does():
    x = np.full((1, 3, 3, 4), -np.inf, "f")
    x[0, 0, 0], x[0, 1, 2, 1] = -5, np.nan
    settings = (2, 2), (1, 1), (1, 1), (1, 1), False
    results = cuda.max_pool2d_forward(to_device(x), *settings)
    for actual, expected in zip(results, reference.max_pool2d_forward(x, *settings)):
        np.testing.assert_array_equal(actual.get(), expected)


@pytest.mark.parametrize("include_pad", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", AVG_CASES)
def test_avg_pool(case, dtype, include_pad):
    shape, size, stride, padding, ceil_mode = AVG_CASES[case]
    x = normal(shape, dtype)
    agrees("avg_pool2d_forward", x, size, stride, padding, ceil_mode, include_pad, dtype=dtype)
    hw = window_counts(shape[1:3], size, stride, padding, (1, 1), ceil_mode)
    dy = normal((shape[0], *hw, shape[3]), dtype, 1)
    agrees("avg_pool2d_backward", dy, shape, size, stride, padding, include_pad, dtype=dtype, tolerance=2)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("hw, out", [((7, 7), (1, 1)), ((7, 5), (3, 2)), ((2, 3), (5, 7)), ((6, 1), (4, 1))])
def test_adaptive_avg_pool(hw, out, dtype):
    for c in (3, 16):
        shape = (2, *hw, c)
        agrees("adaptive_avg_pool2d_forward", normal(shape, dtype), out, dtype=dtype)
        dy = normal((2, *out, c), dtype, 1)
        agrees("adaptive_avg_pool2d_backward", dy, shape, dtype=dtype, tolerance=2)


@in_any_order
def test_channel_slices_and_thread_order(order):
    x = values((2, 5, 5, 8), np.dtype("f4"))
    view, (out, wide) = in_slice(x)[0], in_slice(np.zeros((2, 2, 2, 8), "f"))
    settings = (3, 3), (2, 2), (0, 0), (1, 1), False
    with thread_order(order):
        assert cuda.max_pool2d_forward(view, *settings, out=out)[0] is out
    np.testing.assert_array_equal(out.get(), reference.max_pool2d_forward(x, *settings)[0])
    assert (wide.get()[..., :3] == 77).all() and (wide.get()[..., 11:] == 77).all()


def test_no_images():
    x = to_device(np.zeros((0, 4, 4, 8), "f"))
    y, winner = cuda.max_pool2d_forward(x, (2, 2), (2, 2), (0, 0), (1, 1), False)
    assert y.shape == winner.shape == (0, 2, 2, 8)
    assert cuda.adaptive_avg_pool2d_backward(y, x.shape).shape == x.shape
