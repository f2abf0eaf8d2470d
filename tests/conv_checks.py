"""Every pass of a convolution by the CPU's kernels beside the reference in float64, in slices of wider arrays."""

import numpy as np

from kernels import cpu, reference

TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}
CANARY = 12345.0


def close(result, expected, dtype, tolerance=None):
    """Largest error within the tolerance of the largest value."""
    assert result.dtype == dtype and result.shape == expected.shape
    scale = max(np.abs(expected).max(initial=0), 1e-30)
    assert np.abs(result - expected).max(initial=0) <= (tolerance or TOLERANCE[dtype]) * scale


def normal(rng, shape, dtype):
    return rng.standard_normal(shape).astype(dtype)


def in_slice(a, before, after):
    """The same values as a channel slice of a wider buffer."""
    wide = np.full((*a.shape[:-1], before + a.shape[-1] + after), CANARY, a.dtype)
    view = wide[..., before : before + a.shape[-1]]
    view[...] = a
    return view, wide


def untouched_around(wide, before, channels):
    return (wide[..., :before] == CANARY).all() and (wide[..., before + channels :] == CANARY).all()


def check_all_passes(case, dtype, seed=0, tolerance=None):
    x_shape, w_shape, *how = case
    rng = np.random.default_rng(seed)
    x, w, b = (normal(rng, shape, dtype) for shape in (x_shape, w_shape, w_shape[:1]))
    x, x_wide = in_slice(x, seed % 3, seed % 2)
    exact = reference.conv2d_forward(x.astype("d"), w.astype("d"), b.astype("d"), *how)
    dy, dy_wide = in_slice(normal(rng, exact.shape, dtype), seed % 2, seed % 3)
    inputs = [a.copy() for a in (x_wide, w, b, dy_wide)]

    y = cpu.conv2d_forward(x, w, b, *how)
    dx = cpu.conv2d_backward_input(dy, w, x_shape, *how)
    dw = cpu.conv2d_backward_weight(dy, x, w_shape, *how)

    close(y, exact, dtype, tolerance)
    close(dx, reference.conv2d_backward_input(dy.astype("d"), w.astype("d"), x_shape, *how), dtype, tolerance)
    close(dw, reference.conv2d_backward_weight(dy.astype("d"), x.astype("d"), w_shape, *how), dtype, tolerance)
    assert all(np.array_equal(a, old) for a, old in zip((x_wide, w, b, dy_wide), inputs))
