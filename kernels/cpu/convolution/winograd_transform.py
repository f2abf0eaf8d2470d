"""The linear maps of Winograd's F(4x4, 3x3): X -> T X T^T on small patches, for many channels, in LLVM's language.

The matrices are those of Lavin and Gray (2016); see winograd.py for what they are for.
"""

from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..llvm import INT, emit_fma, load, splat, store, unpacked
from ..tile import Emitter, tile_shape, vector_registers

INPUT = (  # B^T
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
FILTER = (  # G
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
OUTPUT = (  # A^T
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 2, -2, 0),
    (0, 1, 1, 4, 4, 0),
    (0, 1, -1, 8, -8, 1),
)


def transpose(matrix):
    return tuple(zip(*matrix))


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
        columns.append([combine(emit, weights, column) for weights in matrix])
    for i, row in enumerate(zip(*columns)):
        for j, weights in enumerate(matrix):
            store(b, finish(combine(emit, weights, row)), at(target, i, j), emit.size)


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
