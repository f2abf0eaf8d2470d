"""What pooling does with one pixel: all its taps are visited while the result stays in vector registers.

In Numba alone, y = x if x > y else y over an array of channels goes through memory for each tap, and where LLVM sees
that y keeps its old value it stores under a mask, which some processors do very slowly. So these loops are written
in LLVM's language (as the tile of the convolutions is, see tile.py). Addresses are in bytes.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..llvm import INT, INT32, at, element, emit_fma, for_vectors, load, splat, store, unpacked, variable, vector


@intrinsic
def first_largest(typingctx, low, number, taps, numbers, targets, size):
    """y = the largest of all taps, or low; winner = the number of the first tap that has it. NaN is the largest.

    taps: addresses of pixels (int64), numbers: theirs in the window (int32). targets: addresses of y and winner; size:
    (taps, channels). low and number show types.
    """

    def codegen(context, b, signature, args):
        low, number, taps, numbers = args[:4]
        (y, winner), (count, channels) = unpacked(b, args[4:])
        for c, lanes in for_vectors(b, channels):
            best, best_number = variable(b, splat(b, low, lanes)), variable(b, splat(b, ir.Constant(INT32, 0), lanes))
            with cgutils.for_range(b, count, intp=INT) as loop:
                tap = element(context, b, signature.args[2], taps, loop.index)
                this_number = splat(b, element(context, b, signature.args[3], numbers, loop.index), lanes)
                x, most = load(b, at(b, tap, c, low.type), vector(low.type, lanes), 1), b.load(best)
                better = b.and_(b.fcmp_unordered(">", x, most), b.fcmp_ordered("ord", most, most))
                b.store(b.select(better, x, most), best)
                b.store(b.select(better, this_number, b.load(best_number)), best_number)
            store(b, b.load(best), at(b, y, c, low.type), 1)
            found = b.load(best_number)
            narrow = found if number.type == INT32 else b.trunc(found, vector(number.type, lanes))
            store(b, narrow, at(b, winner, c, number.type), 1)
        return context.get_dummy_value()

    return types.void(low, number, taps, numbers, targets, size), codegen


@intrinsic
def sum_where_won(typingctx, zero, number, dys, winners, numbers, count, dx, channels):
    """dx = the sum over `count` taps of dy where the winner is the tap's number, else zero.

    dys, winners: addresses of pixels of dy and of winner (int64). zero and number show their types.
    """

    def codegen(context, b, signature, args):
        zero, number, *tables, count, dx, channels = args
        kinds = signature.args[2:5]
        for c, lanes in for_vectors(b, channels):
            nothing = splat(b, zero, lanes)
            total = variable(b, nothing)
            with cgutils.for_range(b, count, intp=INT) as loop:
                dy, winner, this = (element(context, b, *entry, loop.index) for entry in zip(kinds, tables))
                this = this if number.type == INT32 else b.trunc(this, number.type)
                won = load(b, at(b, winner, c, number.type), vector(number.type, lanes), 1)
                value = load(b, at(b, dy, c, zero.type), vector(zero.type, lanes), 1)
                gain = b.select(b.icmp_signed("==", won, splat(b, this, lanes)), value, nothing)
                b.store(b.fadd(b.load(total), gain), total)
            store(b, b.load(total), at(b, dx, c, zero.type), 1)
        return context.get_dummy_value()

    return types.void(zero, number, dys, winners, numbers, count, dx, channels), codegen


@intrinsic
def weighted_sum(typingctx, zero, x, weights, y, size, add):
    """y = the sum of weights[k] x[k] over Rows x; with add, y += that. size: (rows, channels); zero shows the type."""

    def codegen(context, b, signature, args):
        zero, _, weights, y, _, add = args
        (x, x_step), (count, channels) = unpacked(b, (args[1], args[4]))
        for c, lanes in for_vectors(b, channels):
            here = at(b, y, c, zero.type)
            kept = load(b, here, vector(zero.type, lanes), 1)
            total = variable(b, b.select(add, kept, splat(b, zero, lanes)))
            with cgutils.for_range(b, count, intp=INT) as loop:
                weight = splat(b, element(context, b, signature.args[2], weights, loop.index), lanes)
                pixel = b.add(x, b.mul(loop.index, x_step))
                value = load(b, at(b, pixel, c, zero.type), vector(zero.type, lanes), 1)
                b.store(emit_fma(b, weight, value, b.load(total)), total)
            store(b, b.load(total), here, 1)
        return context.get_dummy_value()

    return types.void(zero, x, weights, y, size, add), codegen
