"""The linear maps of Winograd's F(4x4, 3x3): X -> T X T^T on small patches, for many channels, in LLVM's language.

The matrices are those of Lavin and Gray (2016); see winograd.py for what they are for.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..llvm import INT, load, store
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
            total = emit.fma(vector, emit.constant(weight), total)
    return total


def emit_transform(emit, matrix, source, target, finish=lambda vector: vector):
    """matrix X matrix^T for one vector of channels; source and target: (address, row step, column step)."""
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


def transform(matrix):
    """(signature, codegen) of an intrinsic (source, its row and column step, target, its steps, vectors, target step).

    It transforms `vectors` vectors that lie side by side at the source; at the target each pair of vectors that fills
    a tile's width lies `panel step` from the next.
    """

    def codegen(context, builder, signature, args):
        source, s_row, s_column, target, t_row, t_column, count, panel_step = args
        emit = Emitter(builder, ir.FloatType(), 0, tile_shape()[1])
        with cgutils.for_range(builder, count, intp=INT) as loop:
            width = vector_registers()[0]
            panel, inside = (f(loop.index, ir.Constant(INT, emit.vectors)) for f in (builder.udiv, builder.urem))
            within = builder.mul(inside, ir.Constant(INT, width))
            here = builder.add(source, builder.mul(loop.index, ir.Constant(INT, width)))
            there = builder.add(target, builder.add(builder.mul(panel, panel_step), within))
            emit_transform(emit, matrix, (here, s_row, s_column), (there, t_row, t_column))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 8), codegen


@intrinsic
def transform_input(typingctx, source, s_row, s_column, target, t_row, t_column, count, panel_step):
    return transform(INPUT)


@intrinsic
def transform_filter(typingctx, source, s_row, s_column, target, t_row, t_column, count, panel_step):
    return transform(FILTER)


@intrinsic
def transform_gradient(typingctx, source, s_row, s_column, target, t_row, t_column, count, panel_step):
    return transform(transpose(OUTPUT))


@intrinsic
def transform_sums(typingctx, source, s_row, s_column, target, t_row, t_column, count, panel_step):
    return transform(transpose(FILTER))


@intrinsic
def transform_output(typingctx, source, s_row, s_column, target, t_row, t_column, count, bias, low):
    """As the others, and max(y + bias, low) at the end."""

    def codegen(context, builder, signature, args):
        source, s_row, s_column, target, t_row, t_column, count, bias, low = args
        emit = Emitter(builder, ir.FloatType(), 0, 1)
        low = emit.splat(low)
        with cgutils.for_range(builder, count, intp=INT) as loop:
            shift = builder.mul(loop.index, ir.Constant(INT, vector_registers()[0]))
            base = load(builder, builder.add(bias, shift), emit.vec, emit.size)
            places = (builder.add(source, shift), s_row, s_column), (builder.add(target, shift), t_row, t_column)
            emit_transform(emit, OUTPUT, *places, lambda vector: emit.at_least(builder.fadd(vector, base), low))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 8, types.float32), codegen
