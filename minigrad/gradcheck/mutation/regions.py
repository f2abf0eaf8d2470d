"""Which pieces of source are an op's backward pass: its inner functions, what those capture, and what they call."""

import ast
import functools
import types
from typing import NamedTuple


class Region(NamedTuple):
    """The pieces (syntax trees) of a function's source that belong to a backward pass."""

    function: types.FunctionType
    definition: ast.FunctionDef
    pieces: tuple


@functools.cache
def parsed(filename):
    with open(filename, encoding="utf-8") as file:
        return ast.parse(file.read())


@functools.cache
def definition_of(function):
    """The syntax tree of a function."""
    code = function.__code__
    for node in ast.walk(parsed(code.co_filename)):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            if code.co_firstlineno in (node.lineno, *(d.lineno for d in node.decorator_list)):
                return node
    raise ValueError(f"{function.__qualname__}: its source is not in {code.co_filename}")


def package_of(function):
    """The packages whose functions belong to this one: its own; minigrad's ops and kernels are one."""
    top = function.__module__.partition(".")[0]
    return ("minigrad", "kernels") if top in ("minigrad", "kernels") else (top,)


def called(function, pieces, kernels):
    """The functions of the same package that these pieces of a function name, kernels (k.conv2d_forward) among them."""
    found = {}
    for node in (n for piece in pieces for n in ast.walk(piece)):
        f = named(function, node, kernels)
        f = getattr(f, "__wrapped__", f)
        if isinstance(f, types.FunctionType) and package_of(f) == package_of(function):
            found[f] = None
    return list(found)


def named(function, node, kernels):
    """What a name or an attribute stands for, as far as the module, the closure and the kernels tell."""
    if isinstance(node, ast.Name):
        return names_of(function).get(node.id)
    if isinstance(node, ast.Attribute):
        owner = names_of(function).get(node.value.id) if isinstance(node.value, ast.Name) else None
        return getattr(owner if isinstance(owner, types.ModuleType) else kernels, node.attr, None)
    return None


@functools.cache
def names_of(function):
    cells = zip(function.__code__.co_freevars, function.__closure__ or ())
    return {**function.__globals__, **{name: cell.cell_contents for name, cell in cells}}


def backward_of(definition):
    """The inner function or lambda that a function returns second, or None: return y, backward."""
    inner = inner_functions(definition)
    for node in ast.walk(definition):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and len(node.value.elts) == 2:
            second = node.value.elts[1]
            if isinstance(second, ast.Lambda) or (isinstance(second, ast.Name) and second.id in inner):
                return second if isinstance(second, ast.Lambda) else inner[second.id]
    return None


def inner_functions(definition):
    return {n.name: n for n in ast.walk(definition) if isinstance(n, ast.FunctionDef) and n is not definition}


def beside(definition, backward):
    """The other inner functions that a backward names, directly or not: slope in dy * slope(x)."""
    inner, found, waiting = inner_functions(definition), [], [backward]
    while waiting:
        names = names_in(waiting.pop())
        new = [f for name, f in inner.items() if name in names and f is not backward and f not in found]
        found += new
        waiting += new
    return found


def captured(definition, backward):
    """What the outer function computes for its backward alone to read: the right sides of those assignments.

    Not those that only put an argument into its usual form (stride = pair(stride)).
    """
    parameters = {a.arg for a in ast.walk(definition.args) if isinstance(a, ast.arg)}
    read = names_in(backward) - parameters
    for node in definition.body:
        if isinstance(node, ast.Assign):
            yield from (v for target, v in pairs(node) if read & names_in(target) and not is_forward(v))


def pairs(assignment):
    """(target, value) of an assignment; of a, b = 1, 2 each on its own."""
    target, value = assignment.targets[0], assignment.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return list(zip(target.elts, value.elts))
    return [(target, value)]


def is_forward(value):
    """Is this a call of a forward pass, as k.conv2d_forward(x, w)?"""
    name = getattr(value, "func", None)
    return getattr(name, "attr", getattr(name, "id", "")).endswith("_forward")


def names_in(tree):
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}


def regions(function, kernels):
    """The Regions behind an op's backward pass. function: fn(ctx, *arrays, **settings), what stands under @op.

    Of the functions that it calls, those named *_forward are left alone: their own values are tested.
    """
    found = {}
    for forward in reached([function], kernels):
        backward = backward_of(definition_of(forward))
        if backward is not None:
            inner = (backward, *beside(definition_of(forward), backward))
            around = tuple(v for f in inner for v in captured(definition_of(forward), f))
            found[forward] = Region(forward, definition_of(forward), (*inner, *around))
            chosen = [f for f in called(forward, around, kernels) if "backward" in f.__name__]
            for helper in reached([*called(forward, inner, kernels), *chosen], kernels):
                found.setdefault(helper, whole(helper))
    return list(found.values())


def whole(function):
    definition = definition_of(function)
    return Region(function, definition, tuple(n for n in definition.body if not is_docstring(n)))


def is_docstring(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def reached(functions, kernels):
    """These functions and all that they call, directly or not, but for forward passes."""
    seen, waiting = {}, list(functions)
    while waiting:
        function = waiting.pop()
        if function not in seen and not function.__name__.endswith("_forward"):
            seen[function] = None
            waiting.extend(called(function, [definition_of(function)], kernels))
    return list(seen)
