"""Looking on while ops run: which op, called by which module, from which line; and backward passes that leave no trace.

`watching(look)` calls look(fn, inputs, settings, output) after every op. The module is found from the stack: an op
runs inside its layer's forward, that inside its parent's, and so on to the net, which knows all their names.
"""

import inspect
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ..autograd import toposort, watcher
from ..guards import argument_names
from ..nn import Module

PACKAGE = str(Path(__file__).parents[1])


@contextmanager
def watching(look):
    """Within this block look(fn, inputs, settings, output) is called after each op."""
    token = watcher.set(look)
    try:
        yield
    finally:
        watcher.reset(token)


class Place(NamedTuple):
    """Where an op was called: dotted path of the module in its net ("" if in none), and "file.py:line"."""

    module: str = ""
    line: str = ""


class Places:
    """Finds the Place of the op that is running. Names of modules are looked up once for each net."""

    def __init__(self):
        self.names = {}

    def here(self):
        """The Place of the op whose watcher calls this."""
        modules, line = [], ""
        frame = sys._getframe(2)
        while frame is not None:
            code = frame.f_code
            if not line and not code.co_filename.startswith((PACKAGE, "<frozen")):
                line = f"{source_name(code.co_filename)}:{frame.f_lineno}"
            own = frame.f_locals.get("self") if code.co_varnames[:1] == ("self",) else None
            if isinstance(own, Module):
                modules.append(own)
            frame = frame.f_back
        return Place(self.path(modules[0], modules[-1]) if modules else "", line)

    def path(self, module, net):
        if id(net) not in self.names:
            self.names[id(net)] = net, {id(m): name for name, m in net.named_modules()}
        return self.names[id(net)][1].get(id(module)) or type(module).__name__


def source_name(path):
    """The name of a file of source; the cells of a notebook, whose files have random names, are called "cell"."""
    return "cell" if "ipykernel" in path else Path(path).name


def input_names(fn, count):
    """What an op calls its inputs: ("x", "w", "b"); of a variable number xs[0], xs[1], ..."""
    parameters = list(inspect.signature(fn).parameters.values())
    names = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
    names = names if parameters[0].name != "ctx" else names[1:]
    return argument_names(names, count)


@contextmanager
def gradients_apart(*tensors):
    """Within this block .grad starts as None in all that these tensors were computed from; then each has its own back.

    The nodes whose .grad was put aside are yielded, in the order of the backward pass.
    """
    nodes = list(dict.fromkeys(n for t in tensors if t.node is not None for n in toposort(t.node)))
    kept = [node.grad for node in nodes]
    for node in nodes:
        node.grad = None
    try:
        yield nodes
    finally:
        for node, grad in zip(nodes, kept):
            node.grad = grad
