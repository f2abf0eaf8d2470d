"""The linear maps of Winograd's F(4x4, 3x3): X -> T X T^T on small patches, for many channels, in LLVM's language.

Toom's and Cook's matrices for the points p where polynomials are sampled (see winograd.py for what they are for):

    A^T[i, p] = p^i      G[p, j] = p^j / product of (p - q) over q != p      B^T[p] = coefficients of that product in x

Lavin and Gray's points (2016) are 0, 1, -1, 2, -2 and infinity. With 0, sqrt(1/2), -sqrt(1/2), sqrt(2), -sqrt(2) and
infinity the constants stay closer to 1, and so do the sums whose differences the result is: the largest error is a
quarter, the mean one half (tests/kernels/test_winograd.py).
"""

import math
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..llvm import INT, emit_fma, load, splat, store, unpacked
from ..tile import Emitter, tile_shape, vector_registers

NEAR, FAR = 0.5**0.5, 2**0.5
POINTS = (0, NEAR, -NEAR, FAR, -FAR)  # and infinity


def product_without(points, left_out):
    """The coefficients, lowest first, of the product of x - q over all q but one."""
    total = [1]
    for q in points:
        if q is not left_out:
            total = [low - q * high for low, high in zip([0, *total], [*total, 0])]
    return total


def matrix_of(rows):
    return tuple(tuple(float(np.float32(w)) for w in row) for row in rows)


def transpose(matrix):
    return tuple(zip(*matrix))


def evaluations(size, points=POINTS):
    """A row for each point: 1, p, p^2, ...; at infinity the last coefficient counts alone."""
    return [[p**i for i in range(size)] for p in points] + [[0] * (size - 1) + [1]]


def divisor(p, points=POINTS):
    """What the product of p - q over the other points q is."""
    return math.prod(p - q for q in points if q is not p)


INPUT = matrix_of([[*product_without(POINTS, p), 0] for p in POINTS] + [product_without(POINTS, None)])  # B^T, 6x6
FILTER = matrix_of(
    [[w / divisor(p) for w in row] for p, row in zip(POINTS, evaluations(3))] + evaluations(3)[-1:]  # G, 6x3
)
OUTPUT = transpose(matrix_of(evaluations(4)))  # A^T, 4x6


def alike(rows):
    """Pairs of indices of rows whose numbers differ in signs alone: those of points p and -p."""
    sizes = [tuple(map(abs, row)) for row in rows]
    return [(i, sizes.index(size, i + 1)) for i, size in enumerate(sizes) if size in sizes[i + 1 :]]


def combine(emit, weights, vectors):
    """The sum of weight * vector, with as few instructions as it takes."""
    b, total = emit.b, None
    terms = sorted(((w, v) for w, v in zip(weights, vectors) if w), key=lambda term: abs(term[0]) != 1)
    for weight, vector in terms:
        if total is None:
            total = vector if weight == 1 else b.fmul(vector, emit.constant(weight))
        elif abs(weight) == 1:
            total = b.fadd(total, vector) if weight == 1 else b.fsub(total, vector)
        else:
            total = emit_fma(b, vector, emit.constant(weight), total)
    return total


def emit_product(emit, matrix, vectors):
    """matrix times a column of vectors; what the points p and -p share is computed once."""
    b, vectors, rows = emit.b, list(vectors), [list(row) for row in matrix]
    for i, j in alike(transpose(matrix)):
        vectors[i], vectors[j] = b.fadd(vectors[i], vectors[j]), b.fsub(vectors[i], vectors[j])
        for row in rows:
            row[i], row[j] = (row[i], 0) if row[i] == row[j] else (0, row[i])
    found = [None] * len(rows)
    for i, j in alike(rows):
        even = combine(emit, [w if w == other else 0 for w, other in zip(rows[i], rows[j])], vectors)
        odd = combine(emit, [w if w != other else 0 for w, other in zip(rows[i], rows[j])], vectors)
        found[i], found[j] = b.fadd(even, odd), b.fsub(even, odd)
    return [combine(emit, row, vectors) if done is None else done for row, done in zip(rows, found)]


class Grid(NamedTuple):
    """A small matrix of pixels: the address of the first, and the bytes from row to row and from column to column."""

    at: int
    row: int
    column: int


def emit_transform(emit, matrix, source, target, finish=lambda vector: vector):
    """matrix X matrix^T for one vector of channels; source and target: fields of Grids."""
    b, size = emit.b, len(matrix[0])

    def at(place, i, j):
        address, row, column = place
        return b.add(address, b.add(b.mul(row, ir.Constant(INT, i)), b.mul(column, ir.Constant(INT, j))))

    columns = []
    for j in range(size):
        column = [load(b, at(source, i, j), emit.vec, emit.size) for i in range(size)]
        columns.append(emit_product(emit, matrix, column))
    for i, row in enumerate(zip(*columns)):
        for j, value in enumerate(emit_product(emit, matrix, row)):
            store(b, finish(value), at(target, i, j), emit.size)


def transform(matrix, source, target):
    """(signature, codegen) of an intrinsic (source, target, vectors, panel step) for Grids of such types.

    It transforms `vectors` vectors that lie side by side at the source; at the target each pair of vectors that fills
    a tile's width lies `panel step` from the next.
    """

    def codegen(context, b, signature, args):
        (source, *s_steps), (target, *t_steps) = unpacked(b, args[:2])
        emit = Emitter(b, ir.FloatType(), 0, tile_shape()[1])
        with cgutils.for_range(b, args[2], intp=INT) as loop:
            width = ir.Constant(INT, vector_registers()[0])
            panel, inside = (f(loop.index, ir.Constant(INT, emit.vectors)) for f in (b.udiv, b.urem))
            there = b.add(target, b.add(b.mul(panel, args[3]), b.mul(inside, width)))
            emit_transform(emit, matrix, (b.add(source, b.mul(loop.index, width)), *s_steps), (there, *t_steps))
        return context.get_dummy_value()

    return types.void(source, target, types.int64, types.int64), codegen


@intrinsic
def transform_input(typingctx, source, target, vectors, panel_step):
    return transform(INPUT, source, target)


@intrinsic
def transform_filter(typingctx, source, target, vectors, panel_step):
    return transform(FILTER, source, target)


@intrinsic
def transform_gradient(typingctx, source, target, vectors, panel_step):
    return transform(transpose(OUTPUT), source, target)


@intrinsic
def transform_sums(typingctx, source, target, vectors, panel_step):
    return transform(transpose(FILTER), source, target)


@intrinsic
def transform_output(typingctx, source, target, vectors, bias, low):
    """As the others, but side by side at the target too, and max(y + bias, low) at the end."""

    def codegen(context, b, signature, args):
        (source, *s_steps), (target, *t_steps) = unpacked(b, args[:2])
        emit = Emitter(b, ir.FloatType(), 0, 1)
        low = splat(b, args[4], emit.lanes)
        with cgutils.for_range(b, args[2], intp=INT) as loop:
            shift = b.mul(loop.index, ir.Constant(INT, vector_registers()[0]))
            base = load(b, b.add(args[3], shift), emit.vec, emit.size)
            grids = (b.add(source, shift), *s_steps), (b.add(target, shift), *t_steps)
            emit_transform(emit, OUTPUT, *grids, lambda vector: emit.at_least(b.fadd(vector, base), low))
        return context.get_dummy_value()

    return types.void(source, target, types.int64, types.int64, types.float32), codegen
