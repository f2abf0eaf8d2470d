"""The normalisation kernels on the emulated device, against the reference in float64, at odd sizes."""

import numpy as np
import pytest
from cuda_cases import (
    DTYPES,
    TOLERANCE,
    agrees,
    as_double,
    in_any_order,
    in_slice,
    needs_device,
    normal,
    same_bits_in,
    to_device,
    xp,
)

from kernels import cuda, reference
from kernels.cuda.rows import compute_type

pytestmark = [needs_device, pytest.mark.long]
SHAPES = [(2, 1), (7, 3), (2, 5, 3, 17), (1, 3, 3, 64), (90, 40), (3, 300)]


def near(actual, expected, dtype, tolerance=4.0):
    """Within the tolerance of dtype, whatever the type of the result (statistics of 16-bit types are float32)."""
    assert actual.shape == expected.shape
    error = np.abs(actual.get().astype(np.float64) - expected).max(initial=0)
    assert error <= tolerance * TOLERANCE[dtype.name] * max(np.abs(expected).max(initial=0), 1.0)


def arguments(shape, dtype):
    """x with a mean far from 0 in some channels, dy, gamma, beta, mean, var; the last four as the device has them."""
    c, wide = shape[-1], np.dtype("f8" if dtype == np.float64 else "f4")
    x = normal(shape, dtype, 1) + np.arange(c).astype(dtype) % 3
    gamma, beta = 1 + normal((c,), wide, 3) / 4, normal((c,), wide, 4)
    mean, var = reference.channel_mean_var(as_double(x))
    return x, normal(shape, dtype, 2), gamma, beta, mean.astype(wide), var.astype(wide)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward(shape, dtype):
    x, _, gamma, beta, *_ = arguments(shape, dtype)
    for relu in (False, True):
        results = cuda.batch_norm_forward(*to_device([x, gamma, beta]), 1e-3, relu)
        for actual, expected in zip(results, reference.batch_norm_forward(*as_double([x, gamma, beta]), 1e-3, relu)):
            near(actual, expected, dtype)
        assert results[0].dtype == dtype and results[1].dtype == gamma.dtype


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["batch_norm_backward", "batch_norm_apply_backward"])
def test_backward(name, shape, dtype):
    x, dy, *rest = arguments(shape, dtype)
    near_zero = np.abs(reference.batch_norm_apply(*as_double([x, *rest]), 1e-3)) < 0.02
    dy[near_zero] = 0  # rounding decides there on which side of ReLU x is
    for relu in (False, True):
        results = getattr(cuda, name)(*to_device([dy, x, *rest]), 1e-3, relu)
        expected = getattr(reference, name)(*as_double([dy, x, *rest]), 1e-3, relu)
        for actual, wanted in zip(results, expected, strict=True):
            near(actual, wanted, dtype)


@pytest.mark.parametrize("before", [3, 8])
def test_channel_slices_of_wider_buffers(before):
    x, dy, *rest = arguments((4, 3, 12), np.dtype("f4"))
    x_view, dy_view = (in_slice(a, before, 4)[0] for a in (x, dy))
    out, wide = in_slice(np.zeros_like(x), before, 4)
    assert cuda.batch_norm_apply(x_view, *to_device(rest), 1e-3, True, out=out) is out
    near(out, reference.batch_norm_apply(*as_double([x, *rest]), 1e-3, True), x.dtype)
    assert (wide.get()[..., :before] == 77).all() and (wide.get()[..., before + 12 :] == 77).all()
    for actual, expected in zip(
        cuda.batch_norm_backward(dy_view, x_view, *to_device(rest), 1e-3),
        reference.batch_norm_backward(*as_double([dy, x, *rest]), 1e-3),
    ):
        near(actual, expected, x.dtype)


def test_a_mean_far_from_zero_cancels_nothing():
    x = (normal((400, 5), np.dtype("f8"), 1) + 1000).astype("f4")
    mean, var = cuda.channel_mean_var(to_device(x))
    expected = reference.channel_mean_var(as_double(x))
    np.testing.assert_allclose(mean.get(), expected[0], rtol=1e-7)
    np.testing.assert_allclose(var.get(), expected[1], rtol=1e-5)


def test_values_that_are_not_finite():
    x = normal((40, 3), np.dtype("f4"))
    x[0, 0], x[7, 1] = np.inf, np.nan
    y, mean, var = cuda.batch_norm_forward(to_device(x), *to_device([np.ones(3, "f"), np.zeros(3, "f")]), 1e-5)
    assert (
        not np.isfinite(var.get()[:2]).any()
        and mean.get()[0] == np.inf
        and np.isnan(mean.get()[1])
        and np.isfinite(y.get()[:, 2]).all()
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_channel_sum(dtype):
    for shape in SHAPES:
        x = normal(shape, dtype, 1)
        agrees("channel_sum", x, dtype=compute_type(dtype), tolerance=4)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", [1, 4, 5, 9])
def test_local_response_norm(size, dtype):
    x, dy = normal((2, 3, 7), dtype, 1), normal((2, 3, 7), dtype, 2)
    agrees("local_response_norm_forward", x, size, 0.5, 0.75, 2.0, dtype=dtype, tolerance=2)
    d = reference.local_response_norm_forward(x, size, 0.5, 0.75, 2.0)[1].astype(dtype)
    agrees("local_response_norm_backward", dy, x, d, size, 0.5, 0.75, dtype=dtype, tolerance=4)


@in_any_order
def test_any_order_of_threads_gives_the_same_bits(order):
    x, dy, *rest = to_device(arguments((9, 11, 40), np.dtype("f4")))
    same_bits_in(order, lambda: (*cuda.channel_mean_var(x), *cuda.batch_norm_backward(dy, x, *rest, 1e-3, True)))


def test_no_pixels():
    x = to_device(np.zeros((0, 4, 3), "f"))
    ones = to_device(np.ones(3, "f"))
    assert cuda.batch_norm_apply(x, ones, ones, ones, ones, 1e-5).shape == (0, 4, 3)
    dx, dgamma, dbeta = cuda.batch_norm_backward(x, x, ones, ones, ones, ones, 1e-5)
    assert dx.shape == (0, 4, 3) and not dgamma.get().any() and not dbeta.get().any()
    assert not cuda.channel_sum(x).get().any()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_gradient_through_the_moments(shape, dtype):
    x, g, slope, offset, mean, _ = arguments(shape, dtype)
    expected = reference.through_moments(*as_double([g, x, mean, slope, offset]))
    near(cuda.through_moments(*to_device([g, x, mean, slope, offset])), expected, dtype)
    out, wide = in_slice(np.zeros_like(x))
    assert cuda.through_moments(*to_device([g, x, mean, slope, offset]), out=out) is out
    near(out, expected, dtype)
    assert (wide[..., -5:].get() == 77).all() and (wide[..., :3].get() == 77).all()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("size", [1, 300])
def test_lines(dtype, size):
    vectors = [np.abs(normal((size,), np.dtype(dtype), seed)) + 0.5 for seed in range(6)]
    for given in (vectors[:4], vectors):
        settings = (1e-3, 20.0, *given[4:])
        results = cuda.moments_line(*to_device(given[:4]), *to_device(settings))
        for actual, wanted in zip(results, reference.moments_line(*as_double(given[:4]), *as_double(settings))):
            near(actual, wanted, np.dtype(dtype))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("size", [1, 300])
def test_running_statistics(dtype, size):
    vectors = [np.abs(normal((size,), np.dtype(dtype), seed)) + 0.5 for seed in range(4)]
    for share in (0.1, xp.asarray(np.array([0.1]))):
        there, host = to_device(vectors[:4]), as_double(vectors[:4])
        cuda.move_statistics(*there, share, 20.0)
        reference.move_statistics(*host, 0.1, 20.0)
        for actual, wanted in zip(there, host):
            near(actual, wanted, np.dtype(dtype))


def norms_of(sizes, dtype="f4"):
    """(running mean, running variance, mean, variance) of a norm for each number of channels."""
    return [[np.abs(normal((size,), np.dtype(dtype), size + i)) + 0.5 for i in range(4)] for size in sizes]


def test_running_statistics_of_many_norms_move_together():
    norms = [*norms_of(range(1, 70)), *norms_of([700], "f8"), *norms_of([301])]
    there, host = to_device(norms), as_double(norms)
    with cuda.moving_together():
        for vectors in (*there, there[0]):  # the first norm is used twice
            cuda.move_statistics(*vectors, 0.1, 20.0)
    for vectors in (*host, host[0]):
        reference.move_statistics(*vectors, 0.1, 20.0)
    for vectors, expected in zip(there, host):
        for actual, wanted in zip(vectors, expected):
            near(actual, wanted, actual.dtype)


def test_running_statistics_stay_after_an_error():
    vectors = to_device(norms_of([5])[0])
    before = [v.get().copy() for v in vectors]
    with pytest.raises(ZeroDivisionError), cuda.moving_together():
        cuda.move_statistics(*vectors, 0.1, 20.0)
        raise ZeroDivisionError
    assert all((v.get() == b).all() for v, b in zip(vectors, before))


def test_more_columns_of_blocks_than_the_source_counts():
    x = normal((3, 32 * 1024 + 1), np.dtype("f4"))
    for _ in range(2):
        agrees("channel_mean_var", x, dtype=x.dtype)


def test_counts_of_blocks_are_zero_again():
    """Each launch finds its last block, though launches before it had other grids."""
    for rows in (900, 5, 70, 900):
        agrees("channel_mean_var", normal((rows, 24), np.dtype("f4"), rows), dtype=np.dtype("f4"), tolerance=4)
