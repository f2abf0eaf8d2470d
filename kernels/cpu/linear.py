"""The fully-connected layer: the sums of a 1x1 convolution in which each row is a pixel, so its engine does them.

With few rows, as in VGG's classifier, the weights w (K, C) are by far the largest matrix, and moving them takes longer
than the arithmetic. So no pass moves them more than once. The engine packs its second factor and takes the first as it
lies in memory; therefore the forward pass computes y^T = w x^T (a single row goes past the engine), and the weight
gradient writes dw = dy^T x in place.
For the input gradient dx = dy w the engine would have to pack w; up to FEW rows, pieces of w are streamed instead.

(NumPy's BLAS is no slower by itself. But after a product its threads wait some 20 ms for the next one by yielding their
cores over and over, and take from the kernels that follow up to a third of their speed.)
"""

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..recording import address, also, contiguous, copied, empty, zeros
from .convolution.gather import gather
from .convolution.pack import filters_of
from .layout import LINE, deliver, odd_lines, round_up, with_contiguous_channels
from .llvm import INT, INT32, at, emit_fma, for_vectors, load, prefetch, splat, store, unpacked, variable, vector
from .rows import Rows
from .runtime import get_num_threads, parallel, serial
from .tasks import share

FEW = 32  # rows up to which streaming is faster (measured)
PIECE = 512  # columns of w at a time: four rows' pieces are 8 kB of float32
FOUR = (0, 0, 0, 0)
SUMS = 4  # vectors: so many additions are under way at a time


def as_rows(a):
    """(..., C) -> (rows, C)"""
    return a.reshape(math.prod(a.shape[:-1]), a.shape[-1])


def product(a, b, transposed=False):
    """a b^T, or a b if transposed: the rows of a for pixels, b for the weights."""
    c = empty((len(a), b.shape[1] if transposed else len(b)), a.dtype)
    if c.size == 0 or a.size == 0:
        return np.zeros_like(c)
    rows, filters = with_contiguous_channels(a), filters_of(b[:, None, None, :], [(0, 0)], 1, transposed)
    gather(rows[None, :, None, :], c[None, :, None, :], [(0, 0)], filters, None, False, (1, 1))
    return c


@intrinsic
def add_rows(typingctx, rows, zero, weights, x, count, y, ahead):
    """y += the sum of weights[r] x[r] over len(rows) Rows x of `count` elements.

    weights, y: addresses; `zero` shows the type. From the address `ahead` on, as much is fetched into the cache.
    """

    def codegen(context, b, signature, args):
        _, zero, weights, (x, x_step), count, y, ahead = *args[:3], *unpacked(b, args[3:4]), *args[4:]
        numbers = [ir.Constant(INT, r) for r in range(signature.args[0].count)]
        scalars = [load(b, at(b, weights, r, zero.type), zero.type, 1) for r in numbers]
        sources = [b.add(x, b.mul(x_step, r)) for r in numbers]
        for c, lanes in for_vectors(b, count):
            kind = vector(zero.type, lanes)
            prefetch(b, at(b, ahead, c, zero.type), write=False)
            target = at(b, y, c, zero.type)
            total = load(b, target, kind, 1)
            for scalar, source in zip(scalars, sources):
                total = emit_fma(b, splat(b, scalar, lanes), load(b, at(b, source, c, zero.type), kind, 1), total)
            store(b, total, target, 1)
        return context.get_dummy_value()

    return types.void(rows, zero, types.int64, x, *[types.int64] * 3), codegen


@serial
def stream_piece(part, zero, item, size, dy, w, dx, piece):
    """dx (N, C) += dy w: pieces of four rows of w meet all rows of dx, while the next four are on their way.

    size: N, K, C; dy, w: addresses; dx: address and bytes from row to row
    """
    n, k, columns = size
    w_step, c = columns * item, part * piece
    count = min(piece, columns - c)
    for row in range(0, k - 3, 4):
        source = w + row * w_step + c * item
        for i in range(n):
            weights, target = dy + (i * k + row) * item, dx[0] + i * dx[1] + c * item
            ahead = source + (4 + i % 4) * w_step
            add_rows(FOUR, zero, weights, Rows(source, w_step), count, target, ahead)
    for row in range(k - k % 4, k):
        source = w + row * w_step + c * item
        for i in range(n):
            weights, target = dy + (i * k + row) * item, dx[0] + i * dx[1] + c * item
            add_rows(FOUR[:1], zero, weights, Rows(source, w_step), count, target, source)


@parallel
def stream_rows(zero, item, size, dy, w, dx, piece):
    share(stream_piece, -(-size[2] // piece), (zero, item, size, dy, w, dx, piece))


def stream(dy, w):
    """dy w   (N, C)"""
    (n, k), columns, dy, w = dy.shape, w.shape[1], contiguous(dy), contiguous(w)
    apart = odd_lines(columns * dy.itemsize) // dy.itemsize
    dx = zeros((n, apart), dy.dtype)
    tasks = round_up(max(-(-columns // PIECE), 1), get_num_threads())
    places = address(dy), address(w), (address(dx), dx.strides[0])
    stream_rows(dy.dtype.type(0), dy.itemsize, (n, k, columns), *places, max(-(-columns // tasks), 1))
    return contiguous(dx[:, :columns])


@intrinsic
def dot(typingctx, start, x, y, count):
    """start + the sum of x[i] y[i], where x and y are addresses of `count` elements of the type of `start`.

    In each lane of SUMS vectors a sum of its own; at the end they are joined in halves. What fills no vector is added
    last, one by one.
    """

    def codegen(context, b, signature, args):
        start, x, y, count = args
        kind, lanes = start.type, LINE * 8 // signature.args[0].bitwidth
        sums = [variable(b, splat(b, ir.Constant(kind, 0), lanes)) for _ in range(SUMS)]
        done = add_products(b, sums, lanes, (x, y), ir.Constant(INT, 0), count)
        done = add_products(b, sums[:1], lanes, (x, y), done, count)
        rest = [variable(b, b.fadd(start, sum_of_lanes(b, [b.load(s) for s in sums])))]
        add_products(b, rest, 1, (x, y), done, count)
        return b.load(rest[0])

    return start(start, types.int64, types.int64, types.int64), codegen


def add_products(b, sums, lanes, addresses, done, count):
    """Add x[i] y[i] for i from `done` on, to one sum after the other, as long as all get some; the next i."""
    element = getattr(sums[0].type.pointee, "element", sums[0].type.pointee)
    step = ir.Constant(INT, lanes * len(sums))
    turns = b.udiv(b.sub(count, done), step)
    with cgutils.for_range(b, turns, intp=INT) as loop:
        first = b.add(done, b.mul(loop.index, step))
        for i, total in enumerate(sums):
            places = [at(b, address, b.add(first, ir.Constant(INT, i * lanes)), element) for address in addresses]
            x, y = (load(b, place, vector(element, lanes), 1) for place in places)
            b.store(emit_fma(b, x, y, b.load(total)), total)
    return b.add(done, b.mul(turns, step))


def sum_of_lanes(b, vectors):
    """The sum of all numbers in a power of two vectors: the second half is added to the first, until one is left."""
    while len(vectors) > 1:
        half = len(vectors) // 2
        vectors = [b.fadd(first, second) for first, second in zip(vectors[:half], vectors[half:])]
    (total,) = vectors
    while total.type.count > 1:
        half = total.type.count // 2
        first, second = (
            b.shuffle_vector(total, total, ir.Constant(ir.VectorType(INT32, half), list(range(begin, begin + half))))
            for begin in (0, half)
        )
        total = b.fadd(first, second)
    return b.extract_element(total, ir.Constant(INT32, 0))


@serial
def row_times_row(k, x, w, b, low, y):
    total = dot(b[k], np.int64(x.ctypes.data), np.int64(w.ctypes.data) + k * w.strides[0], len(x))
    y[k] = low if total < low else total


@parallel
def row_times_weights(x, w, b, low, y):
    """y (K,) = max(w x + b, low): as fast as the weights can be read."""
    share(row_times_row, len(w), (x, w, b, low, y))


def single_row(x, w, b, relu):
    """y (1, K): one row leaves most columns of the tile empty, and the weights wait for their turn."""
    y = empty((1, len(w)), x.dtype)
    b = np.zeros_like(y[0]) if b is None else contiguous(b)
    x, w = contiguous(x), contiguous(w)
    row_times_weights(x[0], w, b, x.dtype.type(0 if relu else -np.inf), y[0])
    return y


def many_rows(x, w, b, relu):
    """y (N, K)"""
    y = empty((len(x), len(w)), x.dtype)
    also(finish, y, product(w, x).T, 0 if b is None else b, relu)
    return y


def finish(y, sums, b, relu):
    """y = sums + b, cut off at 0 if relu"""
    np.add(sums, b, out=y)
    if relu:
        np.maximum(y, 0, out=y)


def linear_forward(x, w, b, relu=False, out=None):
    """y (..., K). b may be None. With relu, y = max(y, 0)."""
    rows = as_rows(x)
    y = (single_row if len(rows) == 1 else many_rows)(rows, w, b, relu)
    return deliver(y.reshape(*x.shape[:-1], len(w)), out)


def linear_backward_input(dy, w, out=None):
    """dx = dy w   (..., C)"""
    rows = as_rows(dy)
    dx = stream(rows, w) if len(rows) <= FEW else product(rows, w, transposed=True)
    return deliver(dx.reshape(*dy.shape[:-1], w.shape[1]), out)


def linear_backward_weight(dy, x):
    """dw = dy^T x   (K, C), summed over all rows"""
    return product(copied(as_rows(dy).T), as_rows(x), transposed=True)
