"""The words of LLVM's language that the kernels are written in, where Numba's Python doesn't say enough.

A function here that takes a builder `b` writes a few instructions into the function under construction; it is called
while Numba compiles. An @intrinsic is a word of compiled Python: kernels call it. Addresses and steps are in bytes.
"""

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

INT, INT32, DOUBLE = ir.IntType(64), ir.IntType(32), ir.DoubleType()
WIDTHS = 16, 4, 1  # channels in a vector; what is left over by one width is done by the next


def unpacked(b, tuples):
    """The numbers in each tuple."""
    return [cgutils.unpack_tuple(b, each) for each in tuples]


# ---------------------------------------------------------------------------- memory
def pointer(b, address, kind):
    return b.inttoptr(address, kind.as_pointer())


def load(b, address, kind, align):
    value = b.load(pointer(b, address, kind), typ=kind)
    value.align = align
    return value


def store(b, value, address, align):
    b.store(value, pointer(b, address, value.type)).align = align


def step_by(b, address, count, size):
    """address + count * size for Python ints count and size."""
    return b.add(address, ir.Constant(INT, count * size)) if count else address


def prefetch(b, address, write):
    """Begin to bring a cache line from memory, to be read or written soon."""
    flag = ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer(), flag, flag, flag])
    fn = cgutils.get_or_insert_function(b.module, kind, "llvm.prefetch.p0")
    keep, data = ir.Constant(flag, 3), ir.Constant(flag, 1)
    b.call(fn, [pointer(b, address, ir.IntType(8)), ir.Constant(flag, int(write)), keep, data])


@intrinsic
def copy_bytes(typingctx, target, source, count):
    """Copy `count` bytes between two addresses."""

    def codegen(context, builder, signature, args):
        byte = ir.IntType(8)
        target, source = (pointer(builder, address, byte) for address in args[:2])
        cgutils.raw_memcpy(builder, target, source, args[2], ir.Constant(INT, 1))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


def copy_fixed(builder, count, target, source):
    """A copy whose length is known at compile time becomes a few moves instead of a call."""
    byte = ir.IntType(8)
    target, source = (pointer(builder, address, byte) for address in (target, source))
    cgutils.raw_memcpy(builder, target, source, ir.Constant(INT, count), ir.Constant(INT, 1))


@intrinsic
def zero_bytes(typingctx, target, count):
    """Write `count` zero bytes at an address."""

    def codegen(context, builder, signature, args):
        cgutils.memset(builder, pointer(builder, args[0], ir.IntType(8)), args[1], 0)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


# ---------------------------------------------------------------------------- vectors and numbers
def vector(element, lanes):
    return element if lanes == 1 else ir.VectorType(element, lanes)


def for_vectors(b, channels):
    """For each vector of channels: (the first of them, how many)."""
    done = ir.Constant(INT, 0)
    for lanes in WIDTHS:
        count = b.udiv(b.sub(channels, done), ir.Constant(INT, lanes))
        with cgutils.for_range(b, count, intp=INT) as loop:
            yield b.add(done, b.mul(loop.index, ir.Constant(INT, lanes))), lanes
        done = b.add(done, b.mul(count, ir.Constant(INT, lanes)))


def splat(b, value, lanes):
    """The vector of one value."""
    if lanes == 1:
        return value
    one = b.insert_element(ir.Constant(vector(value.type, lanes), ir.Undefined), value, ir.Constant(INT32, 0))
    return b.shuffle_vector(one, one, ir.Constant(ir.VectorType(INT32, lanes), [0] * lanes))


def emit_fma(b, x, y, z):
    """x y + z of numbers or vectors, rounded once"""
    element = getattr(x.type, "element", x.type)
    name = element.intrinsic_name if element == x.type else f"v{x.type.count}{element.intrinsic_name}"
    kind = ir.FunctionType(x.type, [x.type] * 3)
    return b.call(cgutils.get_or_insert_function(b.module, kind, f"llvm.fma.{name}"), [x, y, z])


@intrinsic
def fma(typingctx, x, y, z):
    """x y + z, rounded once"""

    def codegen(context, b, signature, args):
        return emit_fma(b, *args)

    return x(x, x, x), codegen


if numba.config.DISABLE_JIT:  # for the coverage tool: Python rounds twice

    def fma(x, y, z):
        return x * y + z


def at(b, address, index, kind):
    """The address of element `index` (not in bytes) of an array of `kind`."""
    size = 8 if kind == ir.DoubleType() else 4 if kind == ir.FloatType() else kind.width // 8
    return b.add(address, b.mul(index, ir.Constant(INT, size)))


def variable(b, value):
    """A variable with that value; LLVM will keep it in a register."""
    slot = cgutils.alloca_once(b, value.type)
    b.store(value, slot)
    return slot


def element(context, b, kind, array, index):
    """array[index]"""
    data = context.make_array(kind)(context, b, array).data
    return b.load(cgutils.gep(b, data, index))
