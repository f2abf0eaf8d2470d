"""A mutant: a function with one small change in its backward pass, made in memory."""

import ast
import copy
import types
from contextlib import contextmanager
from typing import NamedTuple

from .mutations import alternatives

SHORT = 12  # characters: a changed piece shorter than that is shown with what stands around it


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
    """All mutants of a Region, each once."""
    seen = set()
    above = {id(child): node for node in ast.walk(region.definition) for child in ast.iter_child_nodes(node)}
    for piece in region.pieces:
        for site in sites(piece, region.definition):
            for other in alternatives(site[-1]):
                mutant = made(region, site, other, around(site[-1], piece, above))
                if mutant is not None and (mutant.line, mutant.before, mutant.after) not in seen:
                    seen.add((mutant.line, mutant.before, mutant.after))
                    yield mutant


def sites(piece, definition):
    """(parent, field, index, node) for the piece and every node inside; index is None where the field is no list."""
    inside = {id(n) for n in ast.walk(piece)}
    for parent in ast.walk(definition):
        for field, value in ast.iter_fields(parent):
            for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if id(node) in inside:
                    yield parent, field, index, node


def around(node, piece, above):
    """The node, or so much of what stands around it that a reader sees what is meant (of 1:3, dy.shape[1:3])."""
    while len(source_of(node)) < SHORT and node is not piece and isinstance(above[id(node)], ast.expr | ast.Slice):
        node = above[id(node)]
    return node


def made(region, site, other, context):
    """The Mutant with `other` at the site; None if it would not be such a function any more."""
    parent, field, index, _ = site
    memo = {}
    definition = copy.deepcopy(region.definition, memo)
    definition.decorator_list = []
    other = copy.deepcopy(other)
    put(memo[id(parent)], field, index, other)
    after = other if context is site[-1] else memo[id(context)]
    code = code_of(region.function, definition)
    return code and Mutant(region.function, getattr(context, "lineno", 0), source_of(context), source_of(after), code)


def put(parent, field, index, node):
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


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


def source_of(node):
    """The node as source on one line."""
    text = ast.unparse(ast.fix_missing_locations(copy.deepcopy(node)))
    return " ".join(text.split())
