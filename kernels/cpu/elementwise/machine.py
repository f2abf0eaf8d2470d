"""A small machine that runs a program of element-wise steps: piece by piece, each piece by all steps.

0.5 * (tanh(0.5 * x) + 1) by NumPy goes over memory four times. Here a thread takes a piece of x so small that it, and
all that is computed of it, stays in the first-level cache; only x is read from memory and only the result is written.
A switch finds a step's word once for 512 elements; a simple step takes a core some 0.4 ns for each of them
(benchmarks/results/elementwise_avx2.md). Nothing is compiled for a new function: one machine, for float32 and for
float64, runs them all.
"""

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ...recording import address, empty
from ..layout import odd_lines
from ..llvm import INT, at, copy_bytes, load, store, vector
from ..product import make_scratch
from ..runtime import parallel, serial
from ..tasks import share
from .words import WORDS

PIECE, LANES = 512, 16  # elements; those of a vector
SHARE = 1 << 15  # elements in a task
NUMBERS = {word: i for i, word in enumerate(WORDS)}


def inputs_of(word):
    """How many numbers a word takes."""
    return WORDS[word].__code__.co_argcount - 1


@intrinsic
def run_word(typingctx, zero, word, x, y, z, target):
    """target[i] = word(x[i], y[i], z[i]) for a piece at these addresses, of the type of `zero`."""

    def codegen(context, b, signature, args):
        _, word, *sources, target = args
        end = b.append_basic_block("end")
        switch = b.switch(word, end)
        for name, number in NUMBERS.items():
            block = b.append_basic_block(name.__name__)
            switch.add_case(ir.Constant(INT, number), block)
            with b.goto_block(block):
                emit_loop(b, WORDS[name], sources[: inputs_of(name)], target, args[0].type)
                b.branch(end)
        b.position_at_end(end)
        return context.get_dummy_value()

    return types.void(zero, *[types.int64] * 5), codegen


def emit_loop(b, word, sources, target, element):
    kind = vector(element, LANES)
    with cgutils.for_range(b, ir.Constant(INT, PIECE // LANES), intp=INT) as loop:
        first = b.mul(loop.index, ir.Constant(INT, LANES))
        values = [load(b, at(b, source, first, element), kind, 1) for source in sources]
        store(b, word(b, *values), at(b, target, first, element), 1)


@serial
def fill_constants(constants, memory, apart):
    """Each constant as a piece; `apart`: elements from piece to piece."""
    for i in range(len(constants)):
        memory[i * apart : i * apart + PIECE] = constants[i]


@serial
def place_of(register, arrays, moved, memory):
    """Where a register's piece begins: in an array, so many bytes on, or in scratch memory (address, bytes of each)."""
    return arrays[register] + moved if register < len(arrays) else memory[0] + register * memory[1]


@serial
def run_steps(steps, arrays, moved, memory, zero):
    for s in range(len(steps)):
        x, y = place_of(steps[s, 1], arrays, moved, memory), place_of(steps[s, 2], arrays, moved, memory)
        z, target = place_of(steps[s, 3], arrays, moved, memory), place_of(steps[s, 4], arrays, moved, memory)
        run_word(zero, steps[s, 0], x, y, z, target)


@serial
def run_task(task, steps, arrays, zero, size, scratch, apart, constants):
    """arrays: addresses of the inputs and of the result. A piece that is not whole is computed in scratch memory.

    apart: bytes from one register's piece to the next one's there
    """
    mine, item, result = scratch[numba.get_thread_id()], constants.itemsize, len(arrays) - 1
    piece, memory = PIECE * item, (np.int64(mine.ctypes.data), apart)
    first_constant, end = len(arrays) * apart, (len(arrays) + len(constants)) * apart
    fill_constants(constants, mine[first_constant:end].view(constants.dtype), apart // item)
    for first in range(task * SHARE, min((task + 1) * SHARE, size), PIECE):
        moved, rest = first * item, (size - first) * item
        if rest >= piece:
            run_steps(steps, arrays, moved, memory, zero)
            continue
        for i in range(result):
            copy_bytes(memory[0] + i * apart, arrays[i] + moved, rest)
        run_steps(steps, arrays[:0], moved, memory, zero)
        copy_bytes(arrays[result] + moved, memory[0] + result * apart, rest)


@parallel
def run_tasks(steps, arrays, zero, size, scratch, apart, constants):
    share(run_task, -(-size // SHARE), (steps, arrays, zero, size, scratch, apart, constants))


def run(program, arrays):
    """The result of a Program (see program.py) for arrays of one shape and type, contiguous."""
    out = empty(arrays[0].shape, arrays[0].dtype)
    places = np.array([*map(address, (*arrays, out))], np.int64)
    apart, constants = odd_lines(PIECE * out.itemsize), np.array(program.constants, out.dtype)
    scratch = make_scratch(program.registers * apart)
    run_tasks(program.steps, places, out.dtype.type(0), out.size, scratch, apart, constants)
    return out
