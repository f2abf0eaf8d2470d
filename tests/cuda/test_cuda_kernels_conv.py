"""The convolution kernels on the emulated device, against the reference in float64, at odd sizes."""

import numpy as np
import pytest
from cuda_cases import (
    BFLOAT16,
    agrees,
    as_double,
    close,
    in_any_order,
    in_slice,
    needs_device,
    normal,
    same_bits_in,
    to_device,
)

from kernels import cuda, reference
from kernels.cuda import conv
from kernels.cuda.precision import allow_tf32
from kernels.cuda.rows import compute_type
from kernels.shapes import window_counts

pytestmark = [needs_device, pytest.mark.long]

# x (N, H, W, C), filters, window, stride, padding, dilation, groups
CASES = {
    "one pixel": ((1, 1, 1, 1), 1, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    "stem": ((2, 11, 9, 3), 5, (7, 7), (2, 2), (3, 3), (1, 1), 1),
    "3x3": ((2, 5, 7, 17), 33, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "3x3, stride 2": ((1, 9, 6, 12), 20, (3, 3), (2, 2), (1, 1), (1, 1), 1),
    "1x1": ((2, 5, 3, 40), 70, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    "1x1, stride 2": ((2, 5, 4, 8), 6, (1, 1), (2, 2), (0, 0), (1, 1), 1),
    "groups, dilation": ((1, 8, 9, 6), 9, (3, 2), (2, 1), (1, 0), (1, 2), 3),
    "window as large as the image": ((3, 4, 4, 8), 10, (4, 4), (1, 1), (0, 0), (1, 1), 1),
    "wide stride": ((1, 13, 8, 2), 4, (2, 2), (4, 3), (0, 0), (1, 1), 1),
}  # fmt: skip
TENSOR = [np.dtype("f2"), BFLOAT16, np.dtype("f4")]  # what the tensor cores multiply; float32 as TF32
PLAIN = [np.dtype("f4"), np.dtype("f8")]


def arguments(case, dtype):
    """x, w, b, dy and the settings."""
    x_shape, k, size, stride, padding, dilation, groups = CASES[case]
    w_shape, hw = (k, *size, x_shape[3] // groups), window_counts(x_shape[1:3], size, stride, padding, dilation)
    shapes = x_shape, w_shape, (k,), (x_shape[0], *hw, k)
    return *(normal(shape, dtype, seed) for seed, shape in enumerate(shapes)), (stride, padding, dilation, groups)


def check_three_passes(case, dtype, tolerance):
    x, w, b, dy, settings = arguments(case, dtype)
    agrees("conv2d_forward", x, w, b, *settings, dtype=dtype, tolerance=tolerance)
    agrees("conv2d_backward_input", dy, w, x.shape, *settings, dtype=dtype, tolerance=tolerance)
    agrees("conv2d_backward_weight", dy, x, w.shape, *settings, dtype=compute_type(dtype), tolerance=tolerance)


@pytest.mark.parametrize("dtype", PLAIN, ids=str)
@pytest.mark.parametrize("case", CASES)
def test_multiply_add(case, dtype):
    check_three_passes(case, dtype, 2)


@pytest.mark.parametrize("dtype", TENSOR, ids=str)
@pytest.mark.parametrize("case", CASES)
def test_tensor_cores(case, dtype):
    """TF32 keeps 10 bits of each factor: an error of 2^-11 in it."""
    with allow_tf32():
        check_three_passes(case, dtype, 500 if dtype == np.float32 else 1)


@in_any_order
@pytest.mark.parametrize("case", ["3x3", "groups, dilation"])
def test_any_order_of_threads_gives_the_same_bits(case, order):
    x, w, b, dy, settings = (to_device(a) if isinstance(a, np.ndarray) else a for a in arguments(case, BFLOAT16))

    def results():
        y = cuda.conv2d_forward(x, w, b, *settings, True)
        dx = cuda.conv2d_backward_input(dy, w, x.shape, *settings)
        return y, dx, cuda.conv2d_backward_weight(dy, x, w.shape, *settings)

    same_bits_in(order, results)


@pytest.mark.parametrize("dtype", TENSOR, ids=str)
@pytest.mark.parametrize("tile", [(128, 128), (128, 64), (64, 128)])
def test_every_tile(monkeypatch, tile, dtype):
    """Two tiles along each axis, the second one not full."""
    monkeypatch.setattr(conv, "tile_for", lambda *args: tile)
    x, dy = normal((1, 10, 14, 24), dtype, 1), normal((1, 10, 14, 136), dtype, 2)
    w, settings = normal((136, 3, 3, 24), dtype, 3), ((1, 1), (1, 1), (1, 1), 1)
    tolerance = 500 if dtype == np.float32 else 1
    with allow_tf32():
        agrees("conv2d_forward", x, w, None, *settings, dtype=dtype, tolerance=tolerance)
        agrees("conv2d_backward_weight", dy, x, w.shape, *settings, dtype=compute_type(dtype), tolerance=tolerance)


@pytest.mark.parametrize("dtype", [np.dtype("f4"), BFLOAT16], ids=str)
def test_a_split_sum(dtype):
    """A long sum for few results is split among blocks, and bias and ReLU come after the parts were added."""
    x, w, b = normal((1, 4, 4, 128), dtype, 1), normal((6, 3, 3, 128), dtype, 2), normal((6,), dtype, 3)
    launched = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conv, "multiprocessors", lambda xp: 8)
        patch.setattr(conv, "GATHER_SUM", lambda *a: launched.append(a) or SUM(*a))
        agrees("conv2d_forward", x, w, b, (1, 1), (1, 1), (1, 1), 1, True, dtype=dtype, tolerance=2)
        assert launched
        dy = normal((2, 16, 16, 6), dtype, 4)
        x = normal((2, 16, 16, 8), dtype, 5)
        agrees(
            "conv2d_backward_weight",
            dy,
            x,
            (6, 3, 3, 8),
            (1, 1),
            (1, 1),
            (1, 1),
            1,
            dtype=compute_type(dtype),
            tolerance=2,
        )


SUM = conv.GATHER_SUM


@pytest.mark.parametrize("before", [3, 8])
def test_channel_slices_of_wider_buffers(before):
    """Aligned to a copy or not; what lies beside them is left alone."""
    x, w, _, dy, settings = arguments("3x3, stride 2", np.dtype("f4"))
    views = [in_slice(a, before, 8)[0] for a in (x, dy)]
    out, wide = in_slice(np.zeros_like(dy), before, 8)
    assert cuda.conv2d_forward(views[0], to_device(w), None, *settings, out=out) is out
    close(out, reference.conv2d_forward(*as_double([x, w]), None, *settings), x.dtype, 2)
    assert (wide.get()[..., :before] == 77).all() and (wide.get()[..., before + dy.shape[3] :] == 77).all()
    agrees("conv2d_backward_weight", dy, x, w.shape, *settings, dtype=compute_type(x.dtype), tolerance=2,
           arrays=[*views[::-1], w.shape, *settings])  # fmt: skip
    out, wide = in_slice(np.zeros_like(x), before, 8)
    assert cuda.conv2d_backward_input(views[1], to_device(w), x.shape, *settings, out=out) is out
    close(out, reference.conv2d_backward_input(*as_double([dy, w]), x.shape, *settings), x.dtype, 2)
    assert (wide.get()[..., :before] == 77).all() and (wide.get()[..., before + x.shape[3] :] == 77).all()


def test_empty_batches():
    x, w, _, dy, settings = arguments("3x3", np.dtype("f4"))
    x, dy, w = to_device(x[:0]), to_device(dy[:0]), to_device(w)
    assert cuda.conv2d_forward(x, w, None, *settings).shape == (0, 5, 7, 33)
    assert cuda.conv2d_backward_input(dy, w, x.shape, *settings).shape == x.shape
    assert not cuda.conv2d_backward_weight(dy, x, w.shape, *settings).get().any()


@pytest.mark.parametrize("size", range(1, 6))
@pytest.mark.parametrize("stride", range(1, 5))
def test_the_taps_of_a_phase_are_evenly_spaced(size, stride):
    for dilation in range(1, 4):
        for phase in range(stride):
            taps, (count, first, step) = conv.phase_taps(phase, size, stride, 1, dilation)
            assert count == len(taps)
            for i, r in enumerate(taps):
                assert (first + i * step) * stride == phase + 1 - r * dilation
            assert taps == [r for r in range(size) if (phase + 1 - r * dilation) % stride == 0]


def test_the_weight_gradient_has_large_tiles_and_a_split_sum_and_the_forward_pass_is_split_for_want_of_blocks_alone():
    """A tile as large as the matrix, whatever that leaves of blocks: the sum over all pixels gives enough of them."""
    noted = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conv, "multiprocessors", lambda xp: 20)
        for name in ("WEIGHT", "WEIGHT_SUM", "GATHER", "GATHER_SUM"):
            patch.setattr(conv, name, lambda template, grid, *_, **__: noted.append((template[2:4], grid)))
        x, w = to_device([normal((2, 32, 32, 128), BFLOAT16), normal((128, 3, 3, 128), BFLOAT16)])
        cuda.conv2d_backward_weight(x, x, w.shape, (1, 1), (1, 1), (1, 1), 1)
        assert noted[0] == ((128, 128), (9, 1, 5)) and len(noted) == 2
        cuda.conv2d_forward(x, w, None, (1, 1), (1, 1), (1, 1), 1)
        assert noted[2] == ((128, 64), (32, 1, 1)) and len(noted) == 3
        cuda.conv2d_forward(x[:1, :8], w, None, (1, 1), (1, 1), (1, 1), 1)
        assert noted[3][1] == (8, 1, 4) and len(noted) == 5
