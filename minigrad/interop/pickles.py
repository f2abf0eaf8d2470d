"""A pickle read as data: a small machine for the opcodes that state_dicts are written in. It calls and imports nothing.

A pickle is a program for a stack machine; Python's own reader lets it import any function and call it. Here a name is
only a `Name`, calling one gives a `Call` that notes what was to be called, and what a Call means is decided afterwards
from a short list (torch_files.py). What is not on the list is refused before anything is made of it.
"""

import pickletools
from typing import NamedTuple

from .errors import MAX_TENSORS, WeightsError

MAX_OPCODES = 60 * MAX_TENSORS


class Name(NamedTuple):
    """module.name, as the pickle spells it."""

    module: str
    name: str

    def __str__(self):
        return f"{self.module}.{self.name}"


class Call:
    """A call that the pickle asks for, noted and not made; later parts of the pickle may add items or a state."""

    def __init__(self, name, arguments):
        self.name, self.arguments = name, arguments
        self.items, self.state = {}, None


class Persistent(NamedTuple):
    """A reference to something outside the pickle: torch's storages."""

    key: object


class Machine:
    """Runs one pickle over a file and leaves the file just behind it.

    check(name): called with each Name before it is used; raises WeightsError to refuse it.
    """

    def __init__(self, path, check):
        self.path, self.check = path, check
        self.stack, self.marks, self.memo = [], [], {}

    def run(self, file):
        """The object that the pickle describes: dicts, lists, tuples, numbers, texts, Calls and Persistents."""
        try:
            for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
                if count > MAX_OPCODES:
                    raise WeightsError(f"{self.path}: a pickle of more than {MAX_OPCODES:,} steps")
                self.step(opcode.name, argument)
            return self.stack.pop()
        except (ValueError, IndexError, KeyError, TypeError, AttributeError, RecursionError) as error:
            if isinstance(error, WeightsError):
                raise
            raise WeightsError(f"{self.path}: damaged, or not a torch file ({type(error).__name__}: {error})") from None

    def step(self, opcode, argument):
        if opcode in LITERALS:
            self.stack.append(argument)
        elif opcode in EMPTY:
            self.stack.append(EMPTY[opcode]())
        elif opcode in HANDLERS:
            HANDLERS[opcode](self, argument)
        elif opcode in CONSTANTS:
            self.stack.append(CONSTANTS[opcode])
        elif opcode not in IGNORED:
            raise WeightsError(f"{self.path}: refused: its pickle uses {opcode}, which no plain state_dict needs")

    def pop_mark(self):
        """What lies above the last mark. (Marks are places: to search for one would take longer with every item.)"""
        at = self.marks.pop()
        items, self.stack[at:] = self.stack[at:], []
        return items

    # Opcodes, by their names in pickletools

    def on_mark(self, _):
        self.marks.append(len(self.stack))

    def on_pop(self, _):
        self.stack.pop()

    def on_tuple(self, _):
        self.stack.append(tuple(self.pop_mark()))

    def on_tuple1(self, _):
        self.stack[-1:] = [(self.stack[-1],)]

    def on_tuple2(self, _):
        self.stack[-2:] = [tuple(self.stack[-2:])]

    def on_tuple3(self, _):
        self.stack[-3:] = [tuple(self.stack[-3:])]

    def on_list(self, _):
        self.stack.append(self.pop_mark())

    def on_dict(self, _):
        items = self.pop_mark()
        self.stack.append(dict(pairs(items)))

    def on_append(self, _):
        value = self.stack.pop()
        self.stack[-1].append(value)

    def on_appends(self, _):
        items = self.pop_mark()
        self.stack[-1].extend(items)

    def on_setitem(self, _):
        value, key = self.stack.pop(), self.stack.pop()
        items_of(self.stack[-1]).update(pairs([key, value]))

    def on_setitems(self, _):
        items = self.pop_mark()
        items_of(self.stack[-1]).update(pairs(items))

    def on_put(self, index):
        self.memo[int(index)] = self.stack[-1]

    on_binput = on_long_binput = on_put

    def on_memoize(self, _):
        self.memo[len(self.memo)] = self.stack[-1]

    def on_get(self, index):
        self.stack.append(self.memo[int(index)])

    on_binget = on_long_binget = on_get

    def on_binpersid(self, _):
        self.stack.append(Persistent(self.stack.pop()))

    def on_global(self, argument):
        self.push_name(*argument.split(" ", 1))

    def on_stack_global(self, _):
        name, module = self.stack.pop(), self.stack.pop()
        self.push_name(module, name)

    def push_name(self, module, name):
        if not (isinstance(module, str) and isinstance(name, str)):
            raise WeightsError(f"{self.path}: damaged: its pickle asks for a name that is no text")
        name = Name(module, name)
        self.check(name)
        self.stack.append(name)

    def on_reduce(self, _):
        arguments, called = self.stack.pop(), self.stack.pop()
        if not isinstance(called, Name) or not isinstance(arguments, tuple):
            raise WeightsError(f"{self.path}: refused: its pickle calls something that is not a name")
        self.stack.append(Call(called, arguments))

    on_newobj = on_reduce

    def on_build(self, _):
        state = self.stack.pop()
        if isinstance(self.stack[-1], Call):
            self.stack[-1].state = state


def pairs(items):
    """(key, value) of keys and values in turns. A key that is no text and no number is exchanged for one of its own.

    To look up a tuple, Python visits all that is in it, as often as it is mentioned: a few bytes can keep it busy for
    ever. No weight has such a name.
    """
    return ((key if isinstance(key, PLAIN) else object(), value) for key, value in zip(items[::2], items[1::2]))


def items_of(container):
    """Where SETITEM writes: into a dict, or into the items of a Call (an OrderedDict)."""
    return container.items if isinstance(container, Call) else container


PLAIN = (str, bytes, int, float, type(None))
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_SET": list}
LITERALS = frozenset((
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
))  # fmt: skip
IGNORED = frozenset(("PROTO", "FRAME", "STOP"))
HANDLERS = {name.removeprefix("on_").upper(): f for name, f in vars(Machine).items() if name.startswith("on_")}
