"""What a fused norm - ReLU - conv does to a block of pixels before and after the matrix product.

Each function passes once over a small block of pixels that lies in a cache, in LLVM's language (as the tile does, see
tile.py): sums over the pixels stay in registers, and the multiplications are fused the same way everywhere, so that
backward finds exactly the ReLU mask of the forward pass.

`like` shows the type of the elements. Arrays are Rows, a pixel to a row, and size = (pixels, channels). Terms that
belong to channels, and sums (in float64), are Rows too, a term to a row.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .llvm import DOUBLE, INT, at, emit_fma, for_vectors, load, prefetch, splat, store, unpacked, variable, vector


class Column:
    """A vector of channels, of all pixels of a block."""

    def __init__(self, builder, element, first, lanes):
        self.b, self.element, self.first, self.lanes = builder, element, first, lanes
        self.zero = splat(builder, ir.Constant(element, 0), lanes)

    def load(self, address, element=None):
        element = element or self.element
        return load(self.b, at(self.b, address, self.first, element), vector(element, self.lanes), 1)

    def store(self, value, address):
        store(self.b, value, at(self.b, address, self.first, value.type if self.lanes == 1 else value.type.element), 1)

    def activated(self, x, scale, shift):
        """max(scale x + shift, 0), NaN where that is NaN"""
        z = emit_fma(self.b, x, scale, shift)
        return self.b.select(self.b.fcmp_ordered("<", z, self.zero), self.zero, z)

    def add_to(self, sums, total):
        """Add a variable to sums in float64."""
        total = self.b.load(total)
        wide = total if self.element == DOUBLE else self.b.fpext(total, vector(DOUBLE, self.lanes))
        self.store(self.b.fadd(self.load(sums, DOUBLE), wide), sums)


def columns(builder, element, channels):
    for first, lanes in for_vectors(builder, channels):
        yield Column(builder, element, first, lanes)


def pixels(builder, count, *arrays):
    """The address in each of the Rows of one pixel after the other."""
    with cgutils.for_range(builder, count, intp=INT) as loop:
        yield [builder.add(address, builder.mul(loop.index, step)) for address, step in arrays]


def term_rows(b, terms, count):
    """The addresses of the first `count` rows."""
    return [b.add(terms[0], b.mul(terms[1], ir.Constant(INT, i))) for i in range(count)]


@intrinsic
def activate(typingctx, like, x, z, size, terms):
    """z = max(scale x + shift, 0). terms: scale, shift"""

    def codegen(context, b, signature, args):
        x, z, (count, channels), terms = unpacked(b, args[1:])
        for column in columns(b, args[0].type, channels):
            scale, shift = map(column.load, term_rows(b, terms, 2))
            for source, target in pixels(b, count, x, z):
                column.store(column.activated(column.load(source), scale, shift), target)
        return context.get_dummy_value()

    return types.void(like, x, z, size, terms), codegen


@intrinsic
def add_through_moments(typingctx, like, g, y, dy, size, terms):
    """dy = g + slope (y - mean) + offset. terms: mean, slope, offset"""

    def codegen(context, b, signature, args):
        g, y, dy, (count, channels), terms = unpacked(b, args[1:])
        for column in columns(b, args[0].type, channels):
            mean, slope, offset = map(column.load, term_rows(b, terms, 3))
            for at_g, at_y, target in pixels(b, count, g, y, dy):
                through = emit_fma(b, slope, b.fsub(column.load(at_y), mean), offset)
                column.store(b.fadd(column.load(at_g), through), target)
        return context.get_dummy_value()

    return types.void(like, g, y, dy, size, terms), codegen


@intrinsic
def copy_and_sum(typingctx, like, source, y, size, pivot, sums):
    """y = source; add to the two rows of sums those of y - pivot and of its square. pivot: an address"""

    def codegen(context, b, signature, args):
        source, y, (count, channels), sums = unpacked(b, (*args[1:4], args[5]))
        for column in columns(b, args[0].type, channels):
            middle, s, q = column.load(args[4]), variable(b, column.zero), variable(b, column.zero)
            for here, there in pixels(b, count, source, y):
                value = column.load(here)
                column.store(value, there)
                away = b.fsub(value, middle)
                b.store(b.fadd(b.load(s), away), s)
                b.store(emit_fma(b, away, away, b.load(q)), q)
            for place, total in zip(term_rows(b, sums, 2), (s, q)):
                column.add_to(place, total)
        return context.get_dummy_value()

    return types.void(like, source, y, size, pivot, sums), codegen


@intrinsic
def through_norm_relu(typingctx, like, dz, x, dx, size, terms, sums, add):
    """dx = scale d with d = dz where scale x + shift > 0; with add, dx += that. terms: scale, shift, mean

    The two rows of sums receive those of d and of d (x - mean).
    """

    def codegen(context, b, signature, args):
        *arrays, (count, channels), terms, sums = unpacked(b, args[1:7])
        add = b.icmp_signed("!=", args[7], ir.Constant(INT, 0))
        for column in columns(b, args[0].type, channels):
            scale, shift, mean = map(column.load, term_rows(b, terms, 3))
            s, q = variable(b, column.zero), variable(b, column.zero)
            for at_dz, at_x, at_dx in pixels(b, count, *arrays):
                value = column.load(at_x)
                cut = b.fcmp_ordered("<=", emit_fma(b, value, scale, shift), column.zero)
                d = b.select(cut, column.zero, column.load(at_dz))
                b.store(b.fadd(b.load(s), d), s)
                b.store(emit_fma(b, d, b.fsub(value, mean), b.load(q)), q)
                column.store(emit_fma(b, scale, d, b.select(add, column.load(at_dx), column.zero)), at_dx)
            for place, total in zip(term_rows(b, sums, 2), (s, q)):
                column.add_to(place, total)
        return context.get_dummy_value()

    return types.void(like, dz, x, dx, size, terms, sums, add), codegen


@intrinsic
def prefetch_pixels(typingctx, like, rows, count):
    """Begin to fetch what will be needed of `count` pixels soon."""

    def codegen(context, b, signature, args):
        _, rows, count = args
        for (place,) in pixels(b, count, *unpacked(b, [rows])):
            prefetch(b, place, write=True)
        return context.get_dummy_value()

    return types.void(like, rows, types.int64), codegen
