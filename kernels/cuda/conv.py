"""Convolution on the GPU: implicit matrix products on tensor cores (16-bit types, and float32 where TF32 is allowed) or
by plain multiply-add (float32, float64). The kernels are in src/conv_gather.cu and src/conv_weight.cu.

The input gradient is a forward pass over dy, with the weights packed so that the filters' axis is the one summed over;
with a stride, one for each phase: the input pixels i, i + stride, ... are reached by the same taps.
"""

import itertools

import numpy as np

from ..reference.arrays import array_module
from ..shapes import window_counts
from . import blas
from .bias import add_bias
from .loader import Kernel
from .precision import tf32_allowed
from .rows import AMPERE, capability, compute_type, deliver, element_grid, multiprocessors, result

CHUNK = 8  # bytes that every copy has at least
CHUNKS = ("16", "8")
TENSOR = (("float", "__half", "__nv_bfloat16"), ("true",), ("128", "64"), ("128", "64"), CHUNKS)
PLAIN = (("float", "double"), ("false",), ("64",), ("64",), CHUNKS)
TYPES = (("float", "double", "__half", "__nv_bfloat16"),)
GATHER = Kernel("conv_gather.cu", "conv_gather", *TENSOR)
GATHER_PLAIN = Kernel("conv_gather.cu", "conv_gather", *PLAIN)
WEIGHT = Kernel("conv_weight.cu", "conv_weight", *TENSOR)
WEIGHT_PLAIN = Kernel("conv_weight.cu", "conv_weight", *PLAIN)
GATHER_SUM = Kernel("conv_gather.cu", "conv_gather_sum", *TYPES)
WEIGHT_SUM = Kernel("conv_weight.cu", "conv_weight_sum", ("float", "double"))
PACK = Kernel("conv_gather.cu", "conv_pack", *TYPES)

LONGS = ("x_image", "x_row", "x_pixel", "y_image", "y_row", "y_pixel")
INTS = (
    "images", "rows", "columns", "height", "width", "stride_rows", "stride_columns",
    "tap_rows", "tap_columns", "first_row", "first_column", "step_row", "step_column",
    "depth", "channels", "groups", "splits", "steps_per_split", "relu", "pairs",
)  # fmt: skip
GEOMETRY = np.dtype([(name, np.int64) for name in LONGS] + [(name, np.int32) for name in INTS], align=True)

THREADS, STAGES, STEP_BYTES = 256, 3, 64  # as in gemm.cuh
LEAST_STEPS = 8  # of a split's sum: fewer are not worth a block's start
BLOCKS_WANTED = 2  # for each multiprocessor: while one waits, the other multiplies


def tensor_cores(xp, dtype):
    return dtype.itemsize == 2 or (dtype == np.float32 and tf32_allowed() and capability(xp) >= AMPERE)


# ---------------------------------------------------------------------------- layouts
def aligned_to(n, *arrays):
    """Whether each pixel of each (..., C) starts at a multiple of n bytes."""
    return all(a.data.ptr % n == 0 and all(s % n == 0 for s in a.strides[:-1]) for a in arrays)


def padded_depth(channels, itemsize):
    """As many channels as can be copied in chunks: the same number, or some more."""
    return channels if channels * itemsize % CHUNK == 0 else -(-channels * itemsize // 16) * 16 // itemsize


def with_depth(a, depth, groups=1):
    """a (..., groups * C) as (..., groups * depth), zeros after each group's C. A copy, unless it fits as it is."""
    channels = a.shape[-1] // groups
    if channels == depth and a.strides[-1] == a.itemsize and aligned_to(CHUNK, a):
        return a
    padded = array_module(a).zeros((*a.shape[:-1], groups, depth), a.dtype)
    padded[..., :channels] = a.reshape(*a.shape[:-1], groups, channels)
    return padded.reshape(*a.shape[:-1], groups * depth)


def widest_chunk(bytes_each, *arrays):
    """The widest copy that fits: 16 bytes, or 8. bytes_each: of the channels of a group, in each array."""
    return 16 if all(n % 16 == 0 for n in bytes_each) and aligned_to(16, *arrays) else CHUNK


# ---------------------------------------------------------------------------- plans
def tile_for(rows, columns, least, tensor):
    """(BM, BN): the largest tile that gives at least so many blocks, and is no broader than the matrix."""
    if not tensor:
        return 64, 64
    for tile in (128, 128), (128, 64), (64, 128), (64, 64):
        fits = all(t == 64 or n > 64 for t, n in zip(tile, (rows, columns)))
        if fits and blocks_of(rows, columns, tile) >= least:
            return tile
    return 64, 64


def blocks_of(rows, columns, tile):
    return -(-rows // tile[0]) * -(-columns // tile[1])


def splits_for(xp, blocks, steps, at_most):
    """(splits, steps of each) of a sum of `steps` steps, so that there are blocks enough for the GPU."""
    wanted = min(-(-BLOCKS_WANTED * multiprocessors(xp) // max(blocks, 1)), steps // LEAST_STEPS, at_most)
    each = -(-steps // max(wanted, 1))
    return -(-steps // max(each, 1)), each


def tile_bytes(count, along, itemsize):
    """Bytes of a tile in shared memory: see Along and Across in gemm.cuh."""
    if along:
        return count * (STEP_BYTES + 16)
    return STEP_BYTES // itemsize * (count * itemsize + (16 if itemsize == 2 else 32))


def shared_bytes(tile, along, itemsize):
    return STAGES * sum(tile_bytes(count, along, itemsize) for count in tile)


def make_geometry(x, y, depth, channels, groups, taps, stride, splits, steps_per_split, relu=False, pairs=False):
    """The struct of conv.cuh, in its order. taps: ((count, first, step) along rows, the same along columns)."""
    steps = *x.strides[:3], *(step // y.itemsize for step in y.strides[:3])
    sizes = *y.shape[:3], *x.shape[1:3], *stride, *itertools.chain(*zip(*taps))
    return np.array((*steps, *sizes, depth, channels, groups, splits, steps_per_split, relu, pairs), GEOMETRY)[()]


# ---------------------------------------------------------------------------- the gather: forward and input gradient
def gather(x, w, bias, y, groups, taps, stride, relu=False):
    """Fill y (N, P, Q, K), with contiguous channels, from x and w (groups, K / groups, taps, depth); see conv.cuh."""
    xp, tensor = array_module(x), tensor_cores(array_module(x), x.dtype)
    depth, channels = w.shape[-1], w.shape[1]
    pixels, steps = y.shape[0] * y.shape[1] * y.shape[2], -(-w[0, 0].size * x.itemsize // STEP_BYTES)
    tile = tile_for(pixels, channels, -(-multiprocessors(xp) // groups), tensor)
    blocks = blocks_of(pixels, channels, tile)
    splits, each = splits_for(xp, blocks * groups, steps, 8 if blocks * groups < multiprocessors(xp) else 1)
    pairs = channels % 2 == 0 and aligned_to(2 * y.itemsize, y)
    g = make_geometry(
        x, y, depth, channels, groups, taps, stride, splits=splits, steps_per_split=each, relu=relu, pairs=pairs
    )
    partial = xp.empty((splits, groups, pixels, channels), compute_type(x.dtype)) if splits > 1 else None
    chunk = widest_chunk([depth * x.itemsize], x, w)
    template = x.dtype, tensor, *tile, chunk
    shared = shared_bytes(tile, True, x.itemsize)
    grid = blocks, groups, splits
    kernel = GATHER if tensor else GATHER_PLAIN
    kernel(template, grid, (THREADS,), g, x, w, bias if splits == 1 else None, y, partial, shared=shared)
    if splits > 1:
        GATHER_SUM((x.dtype,), element_grid(partial[0].size), (THREADS,), g, partial, bias, y)
    return y


def forward_taps(size, padding, dilation):
    """(count, first, step) along each axis: tap r reads at p stride - padding + r dilation."""
    return tuple((n, -p, d) for n, p, d in zip(size, padding, dilation))


def is_product(w_shape, stride, padding, groups, *images):
    """Whether all that a 1x1 convolution needs is a product of matrices, and cuBLAS is there to do it."""
    plain = (*w_shape[1:3], *stride, *padding, groups) == (1, 1, 1, 1, 0, 0, 1)
    return plain and blas.available(images[0]) and all(a.flags.c_contiguous for a in images)


def as_matrix(w):
    """(K, 1, 1, C) -> (K, C)"""
    return w.reshape(w.shape[0], w.shape[3])


def conv2d_forward(x, w, b, stride, padding, dilation, groups, relu=False, out=None):
    """y (N, P, Q, K). b may be None. With relu, y = max(y, 0)."""
    k, *size, c = w.shape
    if is_product(w.shape, stride, padding, groups, x):
        product = blas.matmul(blas.as_rows(x), as_matrix(w).T)
        add_bias(product, b, relu)
        return deliver(product.reshape(*x.shape[:3], k), out)
    hw = window_counts(x.shape[1:3], size, stride, padding, dilation)
    y = result_pixels(x, (x.shape[0], *hw, k), out)
    if y.size:
        depth = padded_depth(c, x.itemsize)
        w = array_module(w).ascontiguousarray(with_depth(w, depth)).reshape(groups, k // groups, -1, depth)
        b = None if b is None else array_module(b).ascontiguousarray(b, x.dtype)
        gather(with_depth(x, depth, groups), w, b, y, groups, forward_taps(size, padding, dilation), stride, relu)
    return deliver(y, out)


def result_pixels(like, shape, out):
    """The array to write: `out` where its channels are contiguous, else a fresh one."""
    usable = out is not None and (out.strides[-1] == out.itemsize or out.shape[-1] == 1)
    return result(like, shape, like.dtype, out if usable else None)


def phase_taps(phase, size, stride, padding, dilation):
    """Along one axis, the taps r that reach the inputs phase, phase + stride, ...: (list of r, (count, first, step)).

    Position h = p stride + r dilation - padding. The r with h + padding - r dilation divisible by the stride are evenly
    spaced, and so are the outputs p that they come from, against those of the phase's first pixel.
    """
    reach = [(r, (phase + padding - r * dilation) // stride) for r in range(size)
             if (phase + padding - r * dilation) % stride == 0]  # fmt: skip
    if not reach:
        return [], (0, 0, 0)
    step = reach[1][1] - reach[0][1] if len(reach) > 1 else 0
    return [r for r, _ in reach], (len(reach), reach[0][1], step)


def conv2d_backward_input(dy, w, x_shape, stride, padding, dilation, groups, out=None):
    """dx (N, H, W, C): a forward pass over dy with transposed weights, for each phase of the stride."""
    if is_product(w.shape, stride, padding, groups, dy):
        return deliver(blas.matmul(blas.as_rows(dy), as_matrix(w)).reshape(x_shape), out)
    dx = result_pixels(dy, x_shape, out)
    if not dx.size:
        return deliver(dx, out)
    phases = [range(min(s, n)) for s, n in zip(stride, x_shape[1:3])]
    depth = padded_depth(w.shape[0] // groups, dy.itemsize)
    dy = with_depth(dy, depth, groups)
    for i, j in itertools.product(*phases):
        axes = zip((i, j), w.shape[1:3], stride, padding, dilation)
        (rows, row_taps), (columns, column_taps) = (phase_taps(*axis) for axis in axes)
        part = dx[:, i :: stride[0], j :: stride[1]]
        if not rows or not columns or not dy.size:
            part[...] = 0
            continue
        packed = pack(w, groups, rows, columns, depth)
        gather(dy, packed, None, part, groups, (row_taps, column_taps), (1, 1))
    return deliver(dx, out)


def pack(w, groups, rows, columns, depth):
    """w (K, R, S, C) at the taps rows x columns as (groups, C, taps, depth): K / groups filters, then zeros."""
    xp, (k, height, width, c) = array_module(w), w.shape
    taps, filters = len(rows) * len(columns), k // groups
    fresh = xp.empty if depth == filters else xp.zeros
    packed = fresh((groups, c, taps, depth), w.dtype)
    steps = [axis[1] - axis[0] if len(axis) > 1 else 1 for axis in (rows, columns)]
    grid = -(-filters // 32), -(-c // 32), groups * taps
    PACK(
        (w.dtype,), grid, (32, 8), xp.ascontiguousarray(w), packed, filters, depth, height, width, c,
        len(rows), len(columns), rows[0], columns[0], *steps,
    )  # fmt: skip
    return packed


# ---------------------------------------------------------------------------- the weight gradient
def conv2d_backward_weight(dy, x, w_shape, stride, padding, dilation, groups):
    """dw (K, R, S, C/groups): a matrix product whose sum runs over all output pixels. float32 for 16-bit types."""
    xp, (k, *size, c), dtype = array_module(x), w_shape, compute_type(x.dtype)
    if is_product(w_shape, stride, padding, groups, dy, x):
        return blas.matmul(blas.as_rows(dy).T, blas.as_rows(x), dtype).reshape(w_shape)
    if not dy.size or not x.size:
        return xp.zeros(w_shape, dtype)
    channels, depth = padded_depth(k // groups, x.itemsize), padded_depth(c, x.itemsize)
    dw = xp.empty((groups, channels, *size, depth), dtype)
    dy, x = with_depth(dy, channels, groups), with_depth(x, depth, groups)
    weight_gradient(dy, x, dw, forward_taps(size, padding, dilation), stride)
    return xp.ascontiguousarray(dw[:, : k // groups, ..., :c]).reshape(w_shape)


def weight_gradient(dy, x, dw, taps, stride):
    """Fill dw (groups, channels, R, S, depth) from dy (N, P, Q, groups * channels) and x."""
    xp, tensor = array_module(x), tensor_cores(array_module(x), x.dtype)
    groups, channels, depth = dw.shape[0], dw.shape[1], dw.shape[-1]
    columns, pixels = dw[0, 0].size, dy.shape[0] * dy.shape[1] * dy.shape[2]
    tile = tile_for(channels, columns, 1, tensor)  # blocks enough come from the splits
    steps = -(-pixels * x.itemsize // STEP_BYTES)
    splits, each = splits_for(xp, blocks_of(channels, columns, tile) * groups, steps, at_most=64)
    g = make_geometry(x, dy, depth, channels, groups, taps, stride, splits=splits, steps_per_split=each)
    partial = xp.empty((splits, *dw.shape), dw.dtype) if splits > 1 else None
    chunk = widest_chunk([channels * x.itemsize, depth * x.itemsize], dy, x)
    grid = blocks_of(channels, columns, tile), groups, splits
    shared = shared_bytes(tile, False, x.itemsize)
    kernel = WEIGHT if tensor else WEIGHT_PLAIN
    kernel((x.dtype, tensor, *tile, chunk), grid, (THREADS,), g, dy, x, dw, partial, shared=shared)
    if splits > 1:
        WEIGHT_SUM((dw.dtype,), element_grid(dw.size), (THREADS,), partial, dw, np.int64(dw.size), splits)
