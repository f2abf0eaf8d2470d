"""norm - ReLU - conv on the device, against the reference in float64."""

import numpy as np
import pytest
from cuda_cases import BFLOAT16, TOLERANCE, in_slice, needs_device, normal, to_device

from kernels import cuda, reference

pytestmark = needs_device


def arguments(dtype):
    """dy, x, gamma, beta, mean, var, eps, w; dy is zero where rounding decides on which side of ReLU x is."""
    x, w, dy = (normal(shape, dtype, i) for i, shape in enumerate([(2, 3, 5, 12), (6, 1, 1, 12), (2, 3, 5, 6)]))
    gamma, beta = 1 + normal((12,), np.dtype("f4"), 3) / 4, normal((12,), np.dtype("f4"), 4)
    mean, var = (a.astype("f4") for a in reference.channel_mean_var(x.astype("f8")))
    z = reference.batch_norm_apply(x.astype("f8"), gamma, beta, mean, var, 1e-3)
    x[np.abs(z) < 0.02] = 3
    return dy, x, gamma, beta, mean, var, 1e-3, w


def near(actual, expected, dtype):
    error = np.abs(actual.get().astype("f8") - expected).max()
    assert error <= 8 * TOLERANCE[dtype.name] * np.abs(expected).max()


@pytest.mark.parametrize("dtype", [np.dtype("f4"), BFLOAT16], ids=str)
@pytest.mark.parametrize("added", ["nothing", "to an array", "to a slice", "to every second channel"])
def test_backward(dtype, added):
    dy, *rest = arguments(dtype)
    expected = reference.norm_relu_conv_backward(
        *(a.astype("f8") if hasattr(a, "astype") else a for a in (dy, None, *rest))
    )
    before = normal(rest[0].shape, dtype, 9)
    room = {
        "nothing": None,
        "to an array": to_device(before),
        "to a slice": in_slice(before, 4, 4)[0],
        "to every second channel": to_device(np.repeat(before, 2, -1))[..., ::2],
    }[added]
    results = cuda.norm_relu_conv_backward(*to_device([dy, None, *rest]), add_to=room)
    assert room is None or results[0] is room
    wanted = expected[0] if room is None else expected[0] + before.astype("f8")
    for actual, each in zip(results, (wanted, *expected[1:]), strict=True):
        near(actual, each, dtype)
