"""A mutant: a function with one small change in its backward pass, made in memory."""

import ast
import copy
import types
from contextlib import contextmanager
from typing import NamedTuple

from .mutations import alternatives


class Mutant(NamedTuple):
    """function with `before` on this line of its file changed to `after`; code is what then runs."""

    function: types.FunctionType
    line: int
    before: str
    after: str
    code: types.CodeType

    def __str__(self):
        return f"{self.function.__name__}: {self.before} -> {self.after}"

    @contextmanager
    def living(self):
        """Within this block the function is the mutant."""
        kept = self.function.__code__
        self.function.__code__ = self.code
        try:
            yield
        finally:
            self.function.__code__ = kept


def mutants(region):
    """All mutants of a Region."""
    for piece in region.pieces:
        for parent, field, index, node in sites(piece, region.definition):
            for other in alternatives(node):
                code = compiled(region, parent, field, index, other)
                if code is not None:
                    yield Mutant(region.function, line_of(node, piece), shown(node), shown(other), code)


def sites(piece, definition):
    """(parent, field, index, node) for the piece and every node inside; index is None where the field is no list."""
    inside = {id(n) for n in ast.walk(piece)}
    for parent in ast.walk(definition):
        for field, value in ast.iter_fields(parent):
            for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if id(node) in inside:
                    yield parent, field, index, node


def compiled(region, parent, field, index, other):
    """The function's code with `other` in that place; None if it is not the code of such a function any more."""
    memo = {}
    definition = copy.deepcopy(region.definition, memo)
    definition.decorator_list = []
    place, other = memo[id(parent)], copy.deepcopy(other)
    if index is None:
        setattr(place, field, other)
    else:
        getattr(place, field)[index] = other
    return code_of(region.function, definition)


def code_of(function, definition):
    """Compile a changed definition of the function; None if it captures other names than the function does."""
    module = ast.fix_missing_locations(ast.Module([enclosed(function, definition)], []))
    code = compile(module, function.__code__.co_filename, "exec")
    code = next(c for c in code_objects(code) if c.co_name == function.__code__.co_name)
    return code if code.co_freevars == function.__code__.co_freevars else None


def enclosed(function, definition):
    """The definition inside one that has the names which the function captures."""
    if not function.__code__.co_freevars:
        return definition
    names = [ast.Assign([ast.Name(n, ast.Store())], ast.Constant(None)) for n in function.__code__.co_freevars]
    empty = ast.arguments([], [], None, [], [], None, [])
    return ast.FunctionDef("enclosing", empty, [*names, definition], [], type_params=[])


def code_objects(code):
    for c in code.co_consts:
        if isinstance(c, types.CodeType):
            yield c
            yield from code_objects(c)


def line_of(node, piece):
    return getattr(node, "lineno", piece.lineno)


def shown(node):
    """The node as source on one line."""
    text = ast.unparse(ast.fix_missing_locations(copy.deepcopy(node)))
    return " ".join(text.split())
