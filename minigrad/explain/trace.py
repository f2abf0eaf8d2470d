"""What is known of a recorded graph besides its edges: names, modules and values of its nodes.

The graph itself keeps none of these, as a training step has no use for them. Names are those of variables where the
explanation was asked for; modules and leaves are found among the objects that are alive; values are what backward
functions have saved, what is alive, and what follows from these by running an op again. Where the loss is given as a
function, it is run here and every output is kept, so that nothing is left to be found.
"""

import contextlib
import gc
import inspect
import itertools

from ..autograd import Leaf, toposort
from ..context import Context
from ..device import device_of
from ..fusing import written_out
from ..nn import Module, unfused
from ..nn.inspection import tensors_in
from ..tensor import Tensor
from .watch import Places, input_names, watching

AGAIN = 4096  # an op is run again for its value if its inputs have no more numbers than this


class Trace:
    """Nodes of a loss from the loss to the leaves, with what is known of each.

    order    the nodes, in the order of the backward pass
    name     {node: name of the variable, or dotted path of the parameter}
    path     {node: dotted path of the module that ran it, "" if none}
    value    {node: its output array}, for those whose output is known
    inputs   {node: name of each parent}
    fused    the nodes of ops that stand for several (see minigrad/fusing.py)
    known_as {id of an array: (its name, the array)}, of variables and parameters
    """

    def __init__(self, loss, model=None, variables=(), readable=False):
        if readable and not callable(loss):
            raise ValueError(
                "explain: readable=True runs the forward pass with its ops written out, so loss must be a function "
                f"that computes it, as lambda: F.cross_entropy(net(x), labels); got {loss!r:.60}"
            )
        outputs, self.path, loss = recorded(loss, readable) if callable(loss) else ({}, {}, loss)
        if isinstance(loss, tuple | list):
            raise TypeError(
                f"explain: loss must be one tensor; got {len(loss)} outputs: give one of them, or their sum"
            )
        if not isinstance(loss, Tensor) or loss.node is None:
            raise TypeError(f"explain: loss must be a tensor computed from one that requires a gradient; got {loss!r}")
        if loss.size != 1:
            raise ValueError(
                f"explain: loss is not a single number but has shape {loss.shape}; "
                "give one, as loss.sum() or loss.mean()"
            )
        self.loss, self.order = loss, list(toposort(loss.node))
        if used := [node.name for node in self.order if not node.parents and not isinstance(node, Leaf)]:
            raise RuntimeError(
                f"explain: a backward pass has used up this graph (at {used[0]}); run the forward pass again, "
                "or give a function that does, or keep the graph with backward(retain_graph=True)"
            )
        known = set(self.order)
        tensors, modules = alive(known)
        self.name = {t.node: n for n, t in variables if isinstance(t, Tensor) and t.node in known}
        nets = [model] if model is not None else modules
        self.parameters = parameter_names(nets, known)
        self.kinds = {path: type(m).__name__ for net in reversed(nets) for path, m in net.named_modules()}
        self.name.update(self.parameters)
        self.inputs = {node: inputs_of(node) for node in self.order}
        self.fused = {node for node in self.order if getattr(node.fn, "written", None)}
        self.known_as = known_as(variables, self.parameters, tensors)
        self.value = values(self.order, {**tensors, loss.node: loss.data, **outputs}, self.inputs)
        self.path = {**guessed_paths(self.order, self.parameters), **{n: p for n, p in self.path.items() if n in known}}

    def label(self, node):
        """The name of a leaf, or the op's own name."""
        return self.name.get(node, node.name) if isinstance(node, Leaf) else node.name

    def place(self, path):
        """A module's path; where it ends in a number, as in a Sequential, with its class: "4: Linear"."""
        return f"{path}: {self.kinds[path]}" if path.rpartition(".")[2].isdigit() and path in self.kinds else path

    def shape(self, node):
        return self.value[node].shape if node in self.value else None


def recorded(fn, readable=False):
    """({node: output}, {node: module}, loss) of loss = fn(), its ops watched while they run; readable: written out."""
    outputs, paths, places = {}, {}, Places()

    def look(op, inputs, settings, out):
        if out.node is not None:
            outputs[out.node], paths[out.node] = out.data, places.here().module

    with unfused(), written_out() if readable else contextlib.nullcontext(), watching(look):
        return outputs, paths, fn()


def alive(nodes):
    """({node: array} of tensors on these nodes, nets) among all objects that are alive; inner modules left out."""
    tensors, modules = {}, []
    for thing in gc.get_objects():
        kind = type(thing)
        if issubclass(kind, Tensor) and thing.node in nodes:
            tensors[thing.node] = thing.data
        elif issubclass(kind, Module):
            modules.append(thing)
    inner = {id(child) for m in modules for _, child in m.named_children()}
    return tensors, [m for m in modules if id(m) not in inner]


def parameter_names(nets, nodes):
    """{node: dotted name} of the nets' parameters among the nodes; later nets' names begin with their class."""
    names, used = {}, 0
    for net in nets:
        own = {p.node: name for name, p in net.named_parameters() if p.node in nodes and p.node not in names}
        prefix = f"{type(net).__name__}." if used and own else ""
        names.update({node: prefix + name for node, name in own.items()})
        used += bool(own)
    return names


def known_as(variables, parameters, tensors):
    """{id of an array: (its name, the array)} of the variables that are tensors, and of parameters."""
    named = [(n, t.data) for n, t in variables if isinstance(t, Tensor)]
    named += [(name, tensors[node]) for node, name in parameters.items() if node in tensors]
    return {id(array): (name, array) for name, array in named}


def variables_of(frame):
    """(name, value) of a frame's variables, local ones last, so that they win; those with a leading _ left out."""
    return [(n, v) for scope in (frame.f_globals, frame.f_locals) for n, v in scope.items() if n[:1] != "_"]


def inputs_of(node):
    if isinstance(node, Leaf) or node.fn is None or not is_op(node.fn):
        return tuple(f"input {i}" for i in range(len(node.parents)))
    return input_names(node.fn, len(node.parents))


def is_op(fn):
    return next(iter(inspect.signature(fn).parameters), "") == "ctx"


def values(order, known, inputs):
    """known {node: array}, and what can be said of the other nodes' outputs."""
    for node in order:
        saved = node.saved
        for name, parent in zip(inputs[node], node.parents):
            if parent is not None and is_array(saved.get(name)):
                known.setdefault(parent, saved[name])
        if "y" in saved and "y" not in inputs[node] and is_array(saved["y"]):
            known.setdefault(node, saved["y"])
    for node in reversed(order):
        if node not in known and (y := run_again(node, known, inputs[node])) is not None:
            known[node] = y
    return known


def is_array(value):
    return hasattr(value, "strides")


def run_again(node, known, names):
    """The output of a small op whose inputs are all known, else None. Ops that write into a setting are left alone."""
    if isinstance(node, Leaf) or node.fn is None or not is_op(node.fn):
        return None
    arrays = [known.get(p) if p is not None else node.saved.get(n) for n, p in zip(names, node.parents)]
    if not all(map(is_array, arrays)) or sum(a.size for a in arrays) > AGAIN or list(tensors_in(node.settings)):
        return None
    device = device_of(arrays[0])
    y, _ = node.fn(Context(device, (False,) * len(arrays)), *arrays, **node.settings)
    return device.xp.asarray(y)


def guessed_paths(order, parameters):
    """{node: module}: where a node's own parameters are; for others a guess from the nearest ones before and after.

    A join with one user belongs with that user (the concat at the start of a dense layer), an op with several users
    with what comes before it (a dropout at the end of one), and any other to what both sides have in common.
    """
    own = {node: common([parameters[p].rpartition(".")[0] for p in node.parents if p in parameters]) for node in order}
    users = {node: [] for node in order}
    for node in order:
        for parent in dict.fromkeys(p for p in node.parents if p is not None):
            users[parent].append(node)
    before, after, paths = {}, {}, {node: parameters[node].rpartition(".")[0] for node in parameters}
    for node in order:
        after[node] = own[node] or common([after[u] for u in users[node] if after[u]])
    for node in reversed(order):
        known = [before[p] for p in node.parents if before.get(p)]
        before[node] = own[node] or common(known)
        paths.setdefault(node, own[node] or between(before[node], after[node], len(known), len(users[node])))
    return paths


def between(before, after, inputs, users):
    """The module of an op without parameters, from those around it."""
    if not (before and after):
        return ""
    if inputs > 1 and users == 1:
        return after.rpartition(".")[0]
    return before.rpartition(".")[0] if users > 1 else common([before, after])


def common(paths):
    """The longest common part of dotted paths: a.b of a.b.c and a.b.d."""
    levels = zip(*(p.split(".") for p in paths))
    return ".".join(level[0] for level in itertools.takewhile(lambda level: len(set(level)) == 1, levels))
