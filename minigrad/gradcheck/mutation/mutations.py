"""Small changes of a piece of source, each of them a mistake that people make. (DeMillo, Lipton & Sayward 1978.)

A change is a function of one node of the syntax tree; it yields what may stand in the node's place.
"""

import ast
import itertools

OPPOSITE = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
COMPARISONS = {
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
NAMES = {"sum": "mean", "mean": "sum", "maximum": "minimum", "minimum": "maximum", "zeros": "ones", "max": "min"}
SYMMETRIC = ("maximum", "minimum", "max", "min", "swapaxes")  # whose arguments may change places
MOVERS = ("transpose", "swapaxes", "sum", "mean", "reshape", "T")  # what may be left out of a chain: x.sum(0) -> x


def other_operator(node):
    """a + b -> a - b, a * b -> a / b, ..."""
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in OPPOSITE:
        yield changed(node, op=OPPOSITE[type(node.op)]())


def one_side(node):
    """a + b -> a, or b: a term or a factor is dropped; and a @ b -> b @ a."""
    if isinstance(node, ast.BinOp):
        yield from (node.left, node.right)
        if isinstance(node.op, ast.MatMult):
            yield changed(node, left=node.right, right=node.left)
    elif isinstance(node, ast.BoolOp):
        yield from node.values


def without_minus(node):
    """-a -> a, not a -> a."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield node.operand


def other_comparison(node):
    """a > b -> a >= b, a < b; a == b -> a != b."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield from (changed(node, ops=[other()]) for other in COMPARISONS[type(node.ops[0])])


def other_constant(node):
    """n -> n + 1, n - 1; c -> 2 c; True -> False."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield from (ast.Constant(node.value + 1), number(node.value - 1))
    elif isinstance(node, ast.Constant) and isinstance(node.value, float):
        yield ast.Constant(2 * node.value + (node.value == 0))


def other_bounds(node):
    """a : b : c -> a + 1 : b : c, a : b + 1 : c, a : b, ..."""
    if isinstance(node, ast.Slice):
        for field in ("lower", "upper", "step"):
            bound = getattr(node, field)
            if bound is not None:
                yield changed(node, **{field: None})
                yield changed(node, **{field: ast.BinOp(bound, ast.Add(), ast.Constant(1))})


def other_axes(node):
    """f(a, b) -> f(b, a): stride for padding, one axis for another."""
    if isinstance(node, ast.Call | ast.Tuple) and called_name(node) not in SYMMETRIC:
        field = "args" if isinstance(node, ast.Call) else "elts"
        items = getattr(node, field)
        for i, (a, b) in enumerate(itertools.pairwise(items)):
            if ast.dump(a) != ast.dump(b) and not any(isinstance(x, ast.Starred) for x in (a, b)):
                yield changed(node, **{field: [*items[:i], b, a, *items[i + 2 :]]})


def other_function(node):
    """x.sum(0) -> x.mean(0), xp.zeros -> xp.ones; a step of a chain left out: x.transpose(1, 0) -> x."""
    if isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield changed(node, attr=NAMES[node.attr])
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MOVERS:
        yield node.func.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("reversed", "range"):
        shorter = [*node.args[:-1], ast.BinOp(node.args[-1], ast.Sub(), ast.Constant(1))]
        yield node.args[0] if node.func.id == "reversed" else changed(node, args=shorter)


def without_keyword(node):
    """f(x, keepdims=True) -> f(x)."""
    if isinstance(node, ast.Call):
        for i in range(len(node.keywords)):
            yield changed(node, keywords=[*node.keywords[:i], *node.keywords[i + 1 :]])


def one_branch(node):
    """a if c else b -> a, or b. (Not a where b is None: a gradient nobody wants is no mistake, only work.)"""
    if isinstance(node, ast.IfExp):
        yield node.orelse
        if not (isinstance(node.orelse, ast.Constant) and node.orelse.value is None):
            yield node.body
    if isinstance(node, ast.comprehension) and node.ifs:
        yield changed(node, ifs=[])


def other_return(node):
    """return a, b -> None, b; -a, b; a, None; ...: no gradient, or its negative."""
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        items = node.value.elts
        for i, item in enumerate(items):
            for other in (ast.Constant(None), ast.UnaryOp(ast.USub(), item)):
                if not isinstance(item, ast.Starred) and not is_none(item):
                    yield changed(node, value=changed(node.value, elts=[*items[:i], other, *items[i + 1 :]]))


def other_statement(node):
    """x += y -> x = y; a statement without effect on names left out; if, else and for with one branch, one round."""
    if isinstance(node, ast.AugAssign):
        yield from (ast.Assign([node.target], node.value), ast.Pass())
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield ast.Pass()
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        yield ast.Pass()
    elif isinstance(node, ast.If):
        yield from (ast.If(ast.Constant(value), node.body, node.orelse) for value in (True, False))
    elif isinstance(node, ast.For):
        yield changed(node, body=[*node.body, ast.Break()])


CHANGES = (
    other_operator,
    one_side,
    without_minus,
    other_comparison,
    other_constant,
    other_bounds,
    other_axes,
    other_function,
    without_keyword,
    one_branch,
    other_return,
    other_statement,
)


def called_name(node):
    function = getattr(node, "func", None)
    return getattr(function, "attr", getattr(function, "id", None))


def is_none(node):
    return isinstance(node, ast.Constant) and node.value is None


def number(value):
    """A number as the parser would have it: -1 is minus 1."""
    return ast.Constant(value) if value >= 0 else ast.UnaryOp(ast.USub(), ast.Constant(-value))


def changed(node, **fields):
    """A copy of the node with other fields."""
    return type(node)(**{**dict(ast.iter_fields(node)), **fields})


def alternatives(node):
    """Everything that may stand in this node's place."""
    return (other for change in CHANGES for other in change(node))
