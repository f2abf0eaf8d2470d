"""The loop that the threads share: the one form of all kernels.

    @serial
    def double_row(r, x, y): ...                      a task

    @parallel
    def double_rows(x, y):                            a kernel
        share(double_row, len(x), (x, y))

Numba has such a loop (prange), but it compiles the body three times over, each time with everything that it calls.
Here the body is compiled once, as any other function, and what the threads call is a few instructions around it.
"""

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .llvm import INT, variable

BYTES = ir.IntType(8).as_pointer()
TURN = ir.FunctionType(ir.VoidType(), [BYTES.as_pointer(), INT.as_pointer(), INT.as_pointer(), BYTES])
COUNT, THREADS, FAILED, VALUES = range(4)  # fields of what the threads get


def field(b, work, index):
    """The address of a field."""
    return b.gep(work, [ir.Constant(ir.IntType(32), i) for i in (0, index)])


def emit_turn(context, module, task, kinds, work_kind):
    """The function that each thread calls once, with its number: it runs the thread's share of the tasks, in order."""
    turn = ir.Function(module, TURN, module.get_unique_name("turn"))
    turn.linkage = "internal"
    turn.attributes.add("noinline")
    b = ir.IRBuilder(turn.append_basic_block())
    thread, work = b.ptrtoint(b.load(turn.args[0]), INT), b.bitcast(turn.args[3], work_kind.as_pointer())
    count, threads, values = (b.load(field(b, work, i)) for i in (COUNT, THREADS, VALUES))
    begin, end = (b.sdiv(b.mul(count, each), threads) for each in (thread, b.add(thread, ir.Constant(INT, 1))))
    with cgutils.for_range_slice(b, begin, end, ir.Constant(INT, 1), INT) as (index, _):
        given = [index, *cgutils.unpack_tuple(b, values)]
        status, _ = context.call_conv.call_function(b, task, types.none, kinds, given, attrs=("alwaysinline",))
        with cgutils.if_unlikely(b, status.is_error):
            b.store(ir.Constant(INT, 1), field(b, work, FAILED))
    b.ret_void()
    return turn


def emit_work(b, work_kind, count, threads, values):
    """The address of the fields, filled."""
    work = cgutils.alloca_once(b, work_kind)
    for index, value in (COUNT, count), (THREADS, threads), (FAILED, ir.Constant(INT, 0)), (VALUES, values):
        b.store(value, field(b, work, index))
    return work


def emit_call(b, turn, work, needed, all_threads):
    """One thread calls it at once. More are Numba's, which get the address first + i step: here first is 0, step 1."""
    first, step = variable(b, ir.Constant(BYTES, None)), variable(b, ir.Constant(INT, 1))
    data, turns, zero, one = b.bitcast(work, BYTES), variable(b, needed), ir.Constant(INT, 0), ir.Constant(INT, 1)
    with cgutils.if_likely(b, b.icmp_signed(">", needed, one)):
        kind = ir.FunctionType(ir.VoidType(), [BYTES] * 5 + [INT] * 3)
        call = cgutils.get_or_insert_function(b.module, kind, "numba_parallel_for")
        addresses = [b.bitcast(each, BYTES) for each in (turn, first, turns, step, data)]
        b.call(call, [*addresses, zero, one, all_threads])
    with cgutils.if_unlikely(b, b.icmp_signed("==", needed, one)):
        b.call(turn, [first, turns, step, data])


@intrinsic
def share(typingctx, task, count, values):
    """Call task(i, *values) for each i < count; threads share the calls in equal parts. MemoryError if one fails."""
    kinds = types.int64, *values.types
    task.get_call_type(typingctx, kinds, {})  # compiles it

    def codegen(context, b, signature, args):
        compiled = task.dispatcher.overloads[kinds]
        context.active_code_library.add_linking_library(compiled.library)
        function = context.declare_function(b.module, compiled.fndesc)
        work_kind = ir.LiteralStructType([INT, INT, INT, args[2].type])
        turn = emit_turn(context, b.module, function, kinds, work_kind)
        all_threads = b.call(cgutils.get_or_insert_function(b.module, ir.FunctionType(INT, []), "get_num_threads"), [])
        needed = b.select(b.icmp_signed("<", args[1], all_threads), args[1], all_threads)
        work = emit_work(b, work_kind, args[1], needed, args[2])
        emit_call(b, turn, work, needed, all_threads)
        with cgutils.if_unlikely(b, b.icmp_signed("!=", b.load(field(b, work, FAILED)), ir.Constant(INT, 0))):
            context.call_conv.return_user_exc(b, MemoryError, ("a kernel's task failed",))
        return context.get_dummy_value()

    return types.void(task, types.int64, values), codegen


if numba.config.DISABLE_JIT:  # for the coverage tool

    def share(task, count, values):
        for i in range(count):
            task(i, *values)
