"""The memory-bound CPU kernels against the reference in float64: batch norm, ReLU, dropout, concat, optimizers."""

import inspect

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from kernel_cases import (
    CHANNELS,
    DTYPES,
    LAYOUT_NAMES,
    LAYOUTS,
    SHAPES,
    agrees,
    close,
    in_slice,
    laid_out,
    normal,
    quick,
    untouched_around,
)

from kernels import cpu, reference
from kernels.cpu import runtime
from kernels.cpu.rows import pixels

OVERRIDDEN = """
    adam_step adaptive_avg_pool2d_backward adaptive_avg_pool2d_forward add_relu_forward avg_pool2d_backward
    avg_pool2d_forward batch_norm_apply batch_norm_apply_backward batch_norm_backward batch_norm_forward
    channel_mean_var channel_sum concat_forward dropout_forward local_response_norm_backward
    local_response_norm_forward max_pool2d_backward max_pool2d_forward relu_backward relu_forward sgd_step
""".split()


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_signature_is_the_references(name):
    assert getattr(cpu, name) is not getattr(reference, name)
    assert inspect.signature(getattr(cpu, name)) == inspect.signature(getattr(reference, name))


def test_the_memory_of_a_numpy_scalar_is_held():
    flat, step = pixels(np.float32(6))
    junk = [np.array(i + 0.5, np.float32) for i in range(1000)]
    assert flat[0] == 6 and step == 1 and len(junk) == 1000


# ------------------------------------------------------------------------------------- element by element
@given(SHAPES, DTYPES, LAYOUTS, LAYOUTS)
@quick
def test_relu(shape, dtype, layout_a, layout_b):
    a, b = laid_out(normal(shape, dtype, 0), layout_a), laid_out(normal(shape, dtype, 1), layout_b)
    agrees("relu_forward", a, dtype=dtype)
    agrees("relu_backward", a, b, dtype=dtype)
    agrees("add_relu_forward", a, b, dtype=dtype)


@pytest.mark.parametrize("layout", LAYOUT_NAMES)
@pytest.mark.parametrize("shape", [(7,), (4, 3), (2, 3, 4, 5), (1, 1, 1, 6), (3, 1), (5, 2, 1)])
def test_every_layout(shape, layout):
    x = laid_out(normal(shape, "float32", 0), layout)
    agrees("relu_forward", x, dtype="float32")
    agrees("concat_forward", [x, x], dtype="float32")
    spread = np.broadcast_to(x, (2, *shape))
    agrees("add_relu_forward", spread, spread, dtype="float32")


def test_relu_keeps_nan_and_the_gradient_at_zero_is_zero():
    x = np.array([np.nan, -1, 0, 2], "f")
    assert np.array_equal(cpu.relu_forward(x), [np.nan, 0, 0, 2], equal_nan=True)
    assert np.array_equal(cpu.add_relu_forward(x, x), [np.nan, 0, 0, 4], equal_nan=True)
    assert np.array_equal(cpu.relu_backward(np.ones(4, "f"), np.maximum(x, 0)), [0, 0, 0, 1])


@given(SHAPES, DTYPES, LAYOUTS, st.sampled_from([0.0, 0.1, 0.5, 0.999, 1.0]), st.integers(0, 2**64 - 1))
@quick
def test_dropout_drops_what_the_reference_drops(shape, dtype, layout, p, seed):
    x = laid_out(normal(shape, dtype, 0), layout)
    assert np.array_equal(cpu.dropout_forward(x, p, seed), reference.dropout_forward(x, p, seed))


@given(st.lists(st.tuples(CHANNELS, LAYOUTS), min_size=1, max_size=4), DTYPES, st.sampled_from([(), (0,), (3, 2, 5)]))
@quick
def test_concat(parts, dtype, leading):
    xs = [laid_out(normal((*leading, c), dtype, i), layout) for i, (c, layout) in enumerate(parts)]
    assert np.array_equal(cpu.concat_forward(xs), reference.concat_forward(xs))


@pytest.mark.parametrize("call", ["relu_backward", "add_relu_forward"])
def test_shapes_that_differ_are_refused(call):
    with pytest.raises(ValueError, match=r"\(2, 3\), . \(2, 4\)"):
        getattr(cpu, call)(np.zeros((2, 3), "f"), np.zeros((2, 4), "f"))


WRITERS = {
    "relu_forward": lambda k, x, out: k.relu_forward(x, out=out),
    "relu_backward": lambda k, x, out: k.relu_backward(x, -x, out=out),
    "add_relu_forward": lambda k, x, out: k.add_relu_forward(x, x, out=out),
    "dropout_forward": lambda k, x, out: k.dropout_forward(x, 0.5, 7, out=out),
    "concat_forward": lambda k, x, out: k.concat_forward([x[..., :1], x[..., 1:]], out=out),
    "max_pool2d_forward": lambda k, x, out: k.max_pool2d_forward(x, (3, 3), (1, 1), (1, 1), (1, 1), False, out=out)[0],
    "avg_pool2d_forward": lambda k, x, out: k.avg_pool2d_forward(x, (3, 3), (1, 1), (1, 1), False, True, out=out),
    "batch_norm_forward": lambda k, x, out: k.batch_norm_forward(x, x[0, 0, 0], x[0, 0, 1], 1e-5, True, out=out)[0],
    "batch_norm_apply": lambda k, x, out: k.batch_norm_apply(x, *x[0, 0, :3], x[0, 1, 0] ** 2, 1e-5, out=out),
}


@pytest.mark.parametrize("channels", [2, 12, 700])
@pytest.mark.parametrize("call", WRITERS)
def test_out_is_written_and_nothing_around_it(call, channels):
    x = normal((2, 5, 4, channels), "float32", 0)
    expected = WRITERS[call](reference, x.astype("d"), np.ones(x.shape))
    out, wide = in_slice(np.ones_like(x))
    assert WRITERS[call](cpu, x, out) is out
    close(out, expected, "float32", tolerance=10)
    assert untouched_around(wide)


@pytest.mark.parametrize("call", WRITERS)
def test_out_may_have_any_layout(call):
    x = normal((2, 5, 4, 6), "float32", 0)
    out = np.ones((6, 4, 5, 2), "f").T
    assert WRITERS[call](cpu, x, out) is out
    close(out, WRITERS[call](reference, x.astype("d"), np.ones(x.shape)), "float32", tolerance=10)


@pytest.mark.parametrize("call", WRITERS)
@pytest.mark.parametrize("shape, dtype", [((2, 5, 4, 5), "f"), ((2, 5, 3, 6), "f"), ((2, 5, 4, 6), "d")])
def test_an_out_that_does_not_fit_is_refused(call, shape, dtype):
    with pytest.raises((ValueError, TypeError), match=r"out: expected float32 \(2, 5, 4, 6\)|arrays of one type"):
        WRITERS[call](cpu, normal((2, 5, 4, 6), "float32", 0), np.zeros(shape, dtype))


def test_concat_refuses_what_does_not_fit_together():
    for other in (np.zeros((3, 3), "f"), np.zeros((2, 3), "d")):
        with pytest.raises((ValueError, TypeError), match=r"concat_forward: (arrays of one type|shapes do not fit)"):
            cpu.concat_forward([np.zeros((2, 3), "f"), other])


# ------------------------------------------------------------------------------------- batch norm
def norm_case(shape, dtype, layout):
    """dy, x, gamma, beta, mean, var"""
    x, dy = (laid_out(normal(shape, dtype, seed) * 2 + 1, layout) for seed in range(2))
    gamma, beta, mean, var = (normal(shape[-1:], dtype, seed) for seed in range(2, 6))
    return dy, x, gamma, beta, mean, var * var


@given(SHAPES, DTYPES, LAYOUTS, st.booleans())
@quick
def test_batch_norm_forward(shape, dtype, layout, relu):
    assume(np.prod(shape) > 0)
    _, x, gamma, beta, mean, var = norm_case(shape, dtype, layout)
    agrees("channel_sum", x, dtype=dtype, tolerance=10)
    agrees("channel_mean_var", x, dtype=dtype)
    agrees("batch_norm_forward", x, gamma, beta, 1e-3, relu, dtype=dtype, tolerance=10)
    agrees("batch_norm_apply", x, gamma, beta, mean, var, 1e-3, relu, dtype=dtype, tolerance=10)


@given(SHAPES, DTYPES, LAYOUTS)
@quick
def test_batch_norm_backward(shape, dtype, layout):
    args = norm_case(shape, dtype, layout)
    agrees("batch_norm_backward", *args, 1e-3, dtype=dtype, tolerance=20)
    agrees("batch_norm_apply_backward", *args, 1e-3, dtype=dtype, tolerance=20)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("call", ["batch_norm_backward", "batch_norm_apply_backward"])
def test_batch_norm_relu_backward_away_from_the_kink(call, dtype):
    """Outputs are 0.5 away from 0 and more, so that rounding can't flip the mask."""
    dy, x, gamma, beta, mean, var = norm_case((4, 9, 7, 24), dtype, "slice")
    y = reference.batch_norm_apply(x.astype("d"), gamma, beta, mean, var, 1e-3)
    x += (np.sign(y) * np.sign(gamma) / (np.abs(gamma) + 1e-2) * np.sqrt(var + 1e-3)).astype(dtype)
    agrees(call, dy, x, gamma, beta, mean, var, 1e-3, True, dtype=dtype, tolerance=20)


@pytest.mark.parametrize("shape", [(1000, 3), (333, 64), (40, 700)])
def test_batch_norm_backward_masks_exactly_what_the_forward_cut(shape):
    """Outputs crowd around 0, where a multiply-add rounded otherwise than in the forward pass would flip the mask."""
    x = normal(shape, "float32", 0)
    gamma, mean, var = (normal(shape[-1:], "float32", seed) for seed in range(1, 4))
    scale = gamma / np.sqrt(var**2 + np.float64(1e-5))
    target = np.random.default_rng(5).integers(0, len(x), shape[-1])
    beta = (-(x[target, np.arange(shape[-1])] - mean) * scale).astype("f")  # one output of each channel is about 0
    x = np.where(np.arange(len(x))[:, None] % 3, np.nextafter(x[target, np.arange(shape[-1])], x), x)
    args = x, gamma, beta, mean, var**2, 1e-5, True
    y = cpu.batch_norm_apply(*args)
    dx, _, dbeta = cpu.batch_norm_apply_backward(np.ones_like(x), *args)
    assert ((0 < np.abs(y)) & (np.abs(y) < 1e-5)).any()
    assert np.array_equal(y > 0, dx != 0)
    assert np.array_equal(dbeta, (y > 0).sum(0))


@pytest.mark.parametrize("offset, bound", [(8, 1e-5), (1000, 1e-2)])
@pytest.mark.parametrize("shape", [(64, 32, 32, 12), (50_000, 64), (900, 2048)])
def test_variance_of_data_far_from_zero(shape, offset, bound):
    x = normal(shape, "float32", 0) + np.float32(offset)
    _, var = cpu.channel_mean_var(x)
    expected = x.astype("d").var(tuple(range(x.ndim - 1)))
    assert np.abs(var / expected - 1).max() < bound


def test_variance_when_the_first_pixels_are_unlike_the_rest():
    x = normal((20_000, 16), "float32", 0) + np.float32(1000)
    x[0] = 0
    expected = x.astype("d").var(0)
    assert np.abs(cpu.channel_mean_var(x)[1] / expected - 1).max() < 1e-3


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_not_finite_shows_in_its_channel_alone(bad):
    x = normal((50, 5), "float32", 0)
    x[0, 2] = bad
    mean, var = cpu.channel_mean_var(x)
    assert list(np.isfinite(mean)) == list(np.isfinite(var)) == [True, True, False, True, True]
    assert not np.isfinite(cpu.channel_sum(x)[2])


def test_empty_batch():
    x, vector = np.empty((0, 4, 4, 3), "f"), np.ones(3, "f")
    y, mean, var = cpu.batch_norm_forward(x, vector, vector, 1e-5)
    assert y.shape == x.shape and not mean.any() and not var.any()
    for dx, dgamma, dbeta in (
        cpu.batch_norm_backward(x, x, vector, vector, vector, vector, 1e-5),
        cpu.batch_norm_apply_backward(x, x, vector, vector, vector, vector, 1e-5),
    ):
        assert dx.shape == x.shape and not dgamma.any() and not dbeta.any()


@pytest.mark.skipif(runtime.numba.config.NUMBA_NUM_THREADS < 2, reason="this machine has one core")
def test_the_number_of_threads_changes_nothing():
    dy, x, gamma, beta, mean, var = norm_case((3, 31, 17, 20), "float32", "contiguous")
    threads, results = runtime.get_num_threads(), []
    for n in (1, 2):
        runtime.set_num_threads(n)
        results.append((*cpu.channel_mean_var(x), *cpu.batch_norm_backward(dy, x, gamma, beta, mean, var, 1e-5, True)))
    runtime.set_num_threads(threads)
    assert all(np.array_equal(a, b) for a, b in zip(*results))


# ------------------------------------------------------------------------------------- optimizers
STATE_SHAPES = st.sampled_from([(0,), (1,), (37,), (3, 5, 7), (5000,)])


def optimizer_case(shape, dtype, layout):
    """w, dw, and two states, of which the second is positive."""
    w, dw, m, v = (normal(shape, dtype, seed) for seed in range(4))
    return [np.asfortranarray(a) if layout == "Fortran" else a for a in (w, dw, m, v * v)]


def steps_agree(call, arrays, written, *args, dtype):
    expected = [a if a is None else a.astype("d") for a in arrays]
    gradient = arrays[1].copy()
    getattr(cpu, call)(*(a if a is None else [a] for a in arrays), *args)
    getattr(reference, call)(*(a if a is None else [a] for a in expected), *args)
    assert np.array_equal(arrays[1], gradient)
    for i in written:
        close(arrays[i], expected[i], dtype)


@given(
    STATE_SHAPES,
    DTYPES,
    st.sampled_from(["C", "Fortran"]),
    st.sampled_from([(0.0, 0.0, False), (0.9, 0.0, False), (0.9, 0.3, False), (0.9, 0.0, True)]),
    st.sampled_from([0.0, 0.01]),
)
@quick
def test_sgd_step(shape, dtype, layout, how, weight_decay):
    momentum, dampening, nesterov = how
    w, dw, v, _ = optimizer_case(shape, dtype, layout)
    written = (0, 2) if momentum else (0,)
    args = 0.1, momentum, dampening, weight_decay, nesterov
    steps_agree("sgd_step", [w, dw, v if momentum else None], written, *args, dtype=dtype)


@given(STATE_SHAPES, DTYPES, st.sampled_from(["C", "Fortran"]), st.integers(1, 5), st.booleans())
@quick
def test_adam_step(shape, dtype, layout, step, decoupled):
    args = step, 1e-2, 0.9, 0.999, 1e-8, 0.05, decoupled
    steps_agree("adam_step", optimizer_case(shape, dtype, layout), (0, 2, 3), *args, dtype=dtype)
