"""What a fused norm - ReLU - conv does to a block of pixels before and after the matrix product.

Each function passes once over a small block of pixels that lies in a cache, in LLVM's language (as the tile does, see
tile.py): sums over the pixels stay in registers, and the multiplications are fused the same way everywhere, so that
backward finds exactly the ReLU mask of the forward pass. Addresses, and the steps from pixel to pixel, are in bytes;
`like` shows the type of the elements.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .llvm import DOUBLE, INT, at, emit_fma, for_vectors, load, prefetch, splat, store, variable, vector


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
    """The address in each (address, step) of one pixel after the other."""
    with cgutils.for_range(builder, count, intp=INT) as loop:
        yield [builder.add(address, builder.mul(loop.index, step)) for address, step in arrays]


@intrinsic
def activate(typingctx, like, x, x_step, z, z_step, count, channels, scale, shift):
    """z = max(scale x + shift, 0)"""

    def codegen(context, b, signature, args):
        like, x, x_step, z, z_step, count, channels, *terms = args
        for column in columns(b, like.type, channels):
            scale, shift = map(column.load, terms)
            for source, target in pixels(b, count, (x, x_step), (z, z_step)):
                column.store(column.activated(column.load(source), scale, shift), target)
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * 8), codegen


@intrinsic
def add_through_moments(typingctx, like, g, g_step, y, y_step, dy, dy_step, count, channels, mean, slope, offset):
    """dy = g + slope (y - mean) + offset"""

    def codegen(context, b, signature, args):
        like, g, g_step, y, y_step, dy, dy_step, count, channels, *terms = args
        for column in columns(b, like.type, channels):
            mean, slope, offset = map(column.load, terms)
            for at_g, at_y, target in pixels(b, count, (g, g_step), (y, y_step), (dy, dy_step)):
                through = emit_fma(b, slope, b.fsub(column.load(at_y), mean), offset)
                column.store(b.fadd(column.load(at_g), through), target)
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * 11), codegen


@intrinsic
def copy_and_sum(typingctx, like, source, source_step, y, y_step, count, channels, pivot, sums, squares):
    """y = source; add to sums and squares (float64) those of y - pivot and of its square."""

    def codegen(context, b, signature, args):
        like, source, source_step, y, y_step, count, channels, pivot, sums, squares = args
        for column in columns(b, like.type, channels):
            middle, s, q = column.load(pivot), variable(b, column.zero), variable(b, column.zero)
            for here, there in pixels(b, count, (source, source_step), (y, y_step)):
                value = column.load(here)
                column.store(value, there)
                away = b.fsub(value, middle)
                b.store(b.fadd(b.load(s), away), s)
                b.store(emit_fma(b, away, away, b.load(q)), q)
            column.add_to(sums, s)
            column.add_to(squares, q)
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * 9), codegen


@intrinsic
def through_norm_relu(
    typingctx, like, dz, dz_step, x, x_step, dx, dx_step, count, channels, scale, shift, mean, sums, products, add
):
    """dx = scale d with d = dz where scale x + shift > 0; with add, dx += that.

    sums and products (float64) receive those of d and of d (x - mean).
    """

    def codegen(context, b, signature, args):
        like, dz, dz_step, x, x_step, dx, dx_step, count, channels, *terms, sums, products, add = args
        add = b.icmp_signed("!=", add, ir.Constant(INT, 0))
        for column in columns(b, like.type, channels):
            scale, shift, mean = map(column.load, terms)
            s, q = variable(b, column.zero), variable(b, column.zero)
            for at_dz, at_x, at_dx in pixels(b, count, (dz, dz_step), (x, x_step), (dx, dx_step)):
                value = column.load(at_x)
                cut = b.fcmp_ordered("<=", emit_fma(b, value, scale, shift), column.zero)
                d = b.select(cut, column.zero, column.load(at_dz))
                b.store(b.fadd(b.load(s), d), s)
                b.store(emit_fma(b, d, b.fsub(value, mean), b.load(q)), q)
                column.store(emit_fma(b, scale, d, b.select(add, column.load(at_dx), column.zero)), at_dx)
            column.add_to(sums, s)
            column.add_to(products, q)
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * 14), codegen


@intrinsic
def prefetch_pixels(typingctx, like, address, step, count):
    """Begin to fetch what will be needed of `count` pixels soon."""

    def codegen(context, b, signature, args):
        _, address, step, count = args
        for (place,) in pixels(b, count, (address, step)):
            prefetch(b, place, write=True)
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * 3), codegen
