"""The tile: a small matrix product that lives in the processor's registers. All fast convolutions stand on it.

A core can start two vector FMAs (a = a + b c, here on 8 floats) each cycle, but a naive product of matrices loads two
operands for each of them, and the load units fall behind. Register blocking turns that around. Hold a whole tile of
the result in registers, and per step k load one column of A and one row of B: their outer product updates every
element of the tile.

                          B[k]   | b b b b b b b b | b b b b b b b b |     2 vectors loaded
                                 +-----------------+-----------------+
        A[0, k] --broadcast-->   |   C[0, 0:8]     |   C[0, 8:16]    |
        A[1, k] --broadcast-->   |   C[1, 0:8]     |   C[1, 8:16]    |
           :                     |       :         |       :         |     6 x 2 registers of sums
        A[5, k] --broadcast-->   |   C[5, 0:8]     |   C[5, 8:16]    |
                                 +-----------------+-----------------+

12 FMAs now cost 8 loads instead of 24, and the sums touch memory once at the very end. (Goto and van de Geijn, "Anatomy
of high-performance matrix multiplication", 2008; Van Zee and van de Geijn, "BLIS", 2015.)

To make this product a convolution, the rows of A need no common stride: each row is an output pixel, given by the
address of the first input that it reads, and the sum runs over the taps of the filter, given by their offsets:

    C[r, lane] = base + sum over t < taps, k < depth of A[row[r] + tap[t] + k step] * B[t depth + k, lane]

Numba can't promise to keep C in registers, so the loop is written in LLVM's language through numba.extending.intrinsic.
Addresses and steps are in bytes. The size of the tile and the type of its elements come in as the *type* of a Tile, so
that one function here serves every processor, and compiled code can be cached on disk.
"""

import functools
from typing import NamedTuple

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .llvm import INT, INT32, copy_fixed, emit_fma, load, pointer, prefetch, splat, step_by, store, unpacked

PORTION = 384  # steps of the sum in one go, so that a panel of B stays in the first-level cache
UNROLL = 4  # steps of k in one turn of the inner loop


@functools.cache
def vector_registers():
    """(bytes of a vector register, number of them) on this processor."""
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 64, 32
    if features.get("avx2"):
        return 32, 16
    return 16, 16 if features.get("sse2") else 32


TILES = {(64, 32): (14, 2), (32, 16): (6, 2), (16, 16): (6, 2), (16, 32): (6, 4)}


def tile_shape():
    """(rows, vectors) of the tile that fills this processor's registers and leaves some for A and B."""
    return TILES[vector_registers()]


def tile_types(dtype, low=-np.inf):
    """The Tile of this processor for elements of a type, as a plain tuple: Numba sees its size as a type."""
    rows, vectors = tile_shape()
    return (0,) * rows, (0,) * vectors, np.dtype(dtype).type(low)


def tile_width(dtype):
    """How many columns the tile has: 16 floats, say, or 8 doubles."""
    return tile_shape()[1] * vector_registers()[0] // np.dtype(dtype).itemsize


class Emitter:
    """Writes one tile product into the function under construction. Names as in the formula above."""

    def __init__(self, builder, element, rows, vectors):
        self.b, self.element, self.rows, self.vectors = builder, element, rows, vectors
        self.size = 4 if element == ir.FloatType() else 8
        self.lanes = vector_registers()[0] // self.size
        self.vec = ir.VectorType(element, self.lanes)
        self.panel = vectors * self.lanes * self.size
        self.name = f"v{self.lanes}f{self.size * 8}"
        self.sums = [[cgutils.alloca_once(builder, self.vec) for _ in range(vectors)] for _ in range(rows)]

    def constant(self, value):
        return ir.Constant(self.vec, [float(value)] * self.lanes)

    def clear(self):
        zero = self.constant(0)
        for row in self.sums:
            for total in row:
                self.b.store(zero, total)

    def outer_product(self, rows, offset, row_of_b):
        """sums += A[:, k] B[k, :] with A's rows at `rows` + offset."""
        size = self.lanes * self.size
        bs = [load(self.b, step_by(self.b, row_of_b, v, size), self.vec, self.size) for v in range(self.vectors)]
        for address, sums in zip(rows, self.sums):
            a = splat(self.b, load(self.b, self.b.add(address, offset), self.element, self.size), self.lanes)
            for b, total in zip(bs, sums):
                self.b.store(emit_fma(self.b, a, b, self.b.load(total)), total)

    def hide(self, value):
        """The same number, but the compiler can't tell. Else it keeps a counter for each address, and spills them."""
        kind = ir.FunctionType(INT, [INT])
        return self.b.asm(kind, "", "=r,0", [value], side_effect=False)

    def accumulate(self, rows, row_of_b, depth, step):
        """sums += A B over one tap: `depth` steps, UNROLL in each turn of the loop, then the rest one by one."""
        b, turns = self.b, self.b.udiv(depth, ir.Constant(INT, UNROLL))
        offset, beside = cgutils.alloca_once(b, INT), cgutils.alloca_once(b, INT)
        b.store(ir.Constant(INT, 0), offset)
        b.store(row_of_b, beside)
        for count, unroll in (turns, UNROLL), (b.urem(depth, ir.Constant(INT, UNROLL)), 1):
            with cgutils.for_range(b, count, intp=INT):
                for u in range(unroll):
                    at = b.load(offset)
                    self.outer_product(rows, at, step_by(b, b.load(beside), u, self.panel))
                    b.store(self.hide(b.add(at, step)), offset)
                b.store(step_by(b, b.load(beside), unroll, self.panel), beside)

    def mask(self, lanes, vector):
        """True for the lanes of this vector that exist."""
        wide = ir.VectorType(INT32, self.lanes)
        numbers = ir.Constant(wide, [vector * self.lanes + i for i in range(self.lanes)])
        return self.b.icmp_signed("<", numbers, splat(self.b, lanes, self.lanes))

    def masked_load(self, address, mask):
        kind = ir.FunctionType(self.vec, [self.vec.as_pointer(), INT32, mask.type, self.vec])
        fn = cgutils.get_or_insert_function(self.b.module, kind, f"llvm.masked.load.{self.name}.p0")
        align, zero = ir.Constant(INT32, self.size), self.constant(0)
        return self.b.call(fn, [pointer(self.b, address, self.vec), align, mask, zero])

    def masked_store(self, value, address, mask):
        kind = ir.FunctionType(ir.VoidType(), [self.vec, self.vec.as_pointer(), INT32, mask.type])
        fn = cgutils.get_or_insert_function(self.b.module, kind, f"llvm.masked.store.{self.name}.p0")
        align = ir.Constant(INT32, self.size)
        self.b.call(fn, [value, pointer(self.b, address, self.vec), align, mask])

    def at_least(self, value, low):
        """max(value, low), and NaN where value is NaN."""
        return self.b.select(self.b.fcmp_ordered(">", low, value), low, value)

    def finish(self, bases, targets, low, lanes):
        """Store max(base + sums, low); only the first `lanes` columns, where the matrix is narrower than the tile."""
        whole = self.b.icmp_signed(">=", lanes, ir.Constant(INT, self.vectors * self.lanes))
        with self.b.if_else(whole, likely=True) as (then, otherwise):
            with then:
                self.finish_lanes(bases, targets, low, [None] * self.vectors)
            with otherwise:
                few = self.b.trunc(lanes, INT32)
                self.finish_lanes(bases, targets, low, [self.mask(few, v) for v in range(self.vectors)])

    def finish_lanes(self, bases, targets, low, masks):
        for base, target, sums in zip(bases, targets, self.sums):
            for v, (mask, total) in enumerate(zip(masks, sums)):
                begin, to = (step_by(self.b, row, v, self.lanes * self.size) for row in (base, target))
                start = load(self.b, begin, self.vec, self.size) if mask is None else self.masked_load(begin, mask)
                value = self.at_least(self.b.fadd(start, self.b.load(total)), low)
                if mask is None:
                    store(self.b, value, to, self.size)
                else:
                    self.masked_store(value, to, mask)

    def multiply(self, low, a, b, taps, c, base, add_to_c):
        """The whole product. a, taps, c: the fields of Left, Taps and Out."""
        add_to_c = self.b.icmp_signed("!=", add_to_c, ir.Constant(INT, 0))
        targets = self.listed(c[0], c[1])
        for target in targets:
            prefetch(self.b, target, write=True)
        self.clear()
        with cgutils.for_range(self.b, taps[1], intp=INT) as loop:
            tap = load(self.b, self.b.add(taps[0], self.b.mul(loop.index, ir.Constant(INT, 8))), INT, 8)
            row_of_b = self.b.mul(loop.index, self.b.mul(taps[2], ir.Constant(INT, self.panel)))
            self.accumulate(self.listed(self.b.add(a[0], tap), a[1]), self.b.add(b, row_of_b), taps[2], a[2])
        bases = [self.b.select(add_to_c, row, base) for row in targets]
        self.finish(bases, targets, splat(self.b, low, self.lanes), c[2])

    def listed(self, address, rows):
        """Where the tile's rows begin, by the numbers at the address `rows`."""
        numbers = (load(self.b, step_by(self.b, rows, r, 8), INT, 8) for r in range(self.rows))
        return [self.b.add(address, number) for number in numbers]


class Tile(NamedTuple):
    """rows, vectors: tuples whose lengths are its size; low: what results are cut off at, of the elements' type."""

    rows: tuple
    vectors: tuple
    low: float


class Left(NamedTuple):
    """A: row r begins at `at` plus the r-th of the int64 numbers at `rows`; from number to number it is a step."""

    at: int
    rows: int
    step: int


class Taps(NamedTuple):
    """The addresses of `count` int64 offsets into A, and how many numbers follow one another at each."""

    at: int
    count: int
    depth: int


class Out(NamedTuple):
    """C: row r begins at `at` plus the r-th of the int64 numbers at `rows`; only its first `lanes` elements count."""

    at: int
    rows: int
    lanes: int


@intrinsic
def multiply_tile(typingctx, tile, a, b, taps, c, base, add_to_c):
    """C = max(base + sum over taps and depth of A B, low) for one tile.

    tile, a, taps, c   Tile, Left, Taps, Out
    b                  the address of B's rows, each as wide as the tile, without gaps
    base               the address of a row added to all rows of C; where add_to_c is not 0, C itself is taken instead
    """
    shape, element = (tile.types[0].count, tile.types[1].count), tile.types[2]

    def codegen(context, builder, signature, args):
        (_, _, low), a, taps, c = unpacked(builder, (args[0], args[1], args[3], args[4]))
        emit = Emitter(builder, context.get_value_type(element), *shape)
        emit.multiply(low, a, args[2], taps, c, args[5], args[6])
        return context.get_dummy_value()

    return types.void(tile, a, types.int64, taps, c, types.int64, types.int64), codegen


@intrinsic
def copy_tile_height(typingctx, tile, target, source):
    """Copy as many elements as the tile has rows."""

    def codegen(context, builder, signature, args):
        copy_fixed(builder, tile.types[0].count * tile.types[2].bitwidth // 8, *args[1:])
        return context.get_dummy_value()

    return types.void(tile, types.int64, types.int64), codegen


@intrinsic
def copy_tile_width(typingctx, tile, target, source):
    """Copy as many elements as the tile has columns."""

    def codegen(context, builder, signature, args):
        copy_fixed(builder, tile.types[1].count * vector_registers()[0], *args[1:])
        return context.get_dummy_value()

    return types.void(tile, types.int64, types.int64), codegen
