"""A small machine that runs a program of element-wise steps: piece by piece, each piece by all steps.

0.5 * (tanh(0.5 * x) + 1) by NumPy goes over memory four times. Here a thread takes a piece of x so small that it, and
all that is computed of it, stays in the first-level cache; only x is read from memory and only the result is written.
A step costs a few nanoseconds for the switch that finds its word, and a piece has 512 elements. So nothing is compiled
for a new function: one machine, for float32 and for float64, runs them all.
"""

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ...recording import address, empty
from ..llvm import INT, at, for_vectors, load, store, vector
from ..product import make_scratch
from ..runtime import parallel, serial
from ..tasks import share
from .words import WORDS

PIECE = 512  # elements
SHARE = 1 << 15  # elements in a task
NUMBERS = {word: i for i, word in enumerate(WORDS)}


def inputs_of(word):
    """How many numbers a word takes."""
    return WORDS[word].__code__.co_argcount - 1


@intrinsic
def run_word(typingctx, zero, word, x, y, z, target, count):
    """target[i] = word(x[i], y[i], z[i]) for `count` elements at these addresses, of the type of `zero`."""

    def codegen(context, b, signature, args):
        _, word, *sources, target, count = args
        end = b.append_basic_block("end")
        switch = b.switch(word, end)
        for name, number in NUMBERS.items():
            block = b.append_basic_block(name.__name__)
            switch.add_case(ir.Constant(INT, number), block)
            with b.goto_block(block):
                emit_loop(b, WORDS[name], sources[: inputs_of(name)], target, count, args[0].type)
                b.branch(end)
        b.position_at_end(end)
        return context.get_dummy_value()

    return types.void(zero, *[types.int64] * 6), codegen


def emit_loop(b, word, sources, target, count, element):
    for first, lanes in for_vectors(b, count):
        kind = vector(element, lanes)
        values = [load(b, at(b, source, first, element), kind, 1) for source in sources]
        store(b, word(b, *values), at(b, target, first, element), 1)


@serial
def fill_constants(constants, memory):
    """Each constant as a piece, one after the other."""
    for i in range(len(constants)):
        memory[i * PIECE : (i + 1) * PIECE] = constants[i]


@serial
def place_of(register, places, arrays, moved, scratch):
    """Where a register's piece begins: in an array, so many bytes on, or in scratch memory."""
    return places[register] + (moved if register < arrays else scratch)


@serial
def run_task(task, steps, places, arrays, zero, size, scratch, constants):
    """places (registers,): addresses of the arrays, which come first, then offsets in a thread's scratch memory."""
    mine, item = scratch[numba.get_thread_id()], constants.itemsize
    fill_constants(constants, mine[: len(constants) * PIECE * item].view(constants.dtype))
    here = np.int64(mine.ctypes.data)
    for first in range(task * SHARE, min((task + 1) * SHARE, size), PIECE):
        moved, count = first * item, min(PIECE, size - first)
        for s in range(len(steps)):
            x, y, z, target = (
                place_of(steps[s, 1], places, arrays, moved, here), place_of(steps[s, 2], places, arrays, moved, here),
                place_of(steps[s, 3], places, arrays, moved, here), place_of(steps[s, 4], places, arrays, moved, here),
            )  # fmt: skip
            run_word(zero, steps[s, 0], x, y, z, target, count)


@parallel
def run_tasks(steps, places, arrays, zero, size, scratch, constants):
    share(run_task, -(-size // SHARE), (steps, places, arrays, zero, size, scratch, constants))


def run(program, arrays):
    """The result of a Program (see program.py) for arrays of one shape and type, contiguous."""
    out, item = empty(arrays[0].shape, arrays[0].dtype), arrays[0].itemsize
    offsets = np.arange(program.registers - len(arrays) - 1) * PIECE * item
    places = np.array([*map(address, (*arrays, out)), *offsets], np.int64)
    scratch = make_scratch(max(len(offsets), 1) * PIECE * item)
    constants = np.array(program.constants, out.dtype)
    run_tasks(program.steps, places, len(arrays) + 1, out.dtype.type(0), out.size, scratch, constants)
    return out
