"""NumPy's functions on tensors: np.exp(t) is the op, array + t a tensor; what has no op is computed on the numbers.

Where such a result would be a floating-point array that has lost the gradient of a tensor, it is refused.
"""

import numpy as np

from ..autograd import recording
from ..tensor import Tensor
from . import activation, arithmetic, elementwise, exact, stepwise

OPS = {
    **{np.add: arithmetic.add, np.subtract: arithmetic.sub, np.multiply: arithmetic.mul, np.divide: arithmetic.div},
    **{np.matmul: arithmetic.matmul, np.negative: arithmetic.neg, np.exp: arithmetic.exp, np.log: arithmetic.log},
    **{np.sqrt: arithmetic.sqrt, np.sin: elementwise.sin, np.cos: elementwise.cos, np.absolute: elementwise.abs},
    **{np.power: elementwise.pow, np.maximum: elementwise.maximum, np.minimum: elementwise.minimum},
    **{np.tanh: activation.tanh, np.log1p: exact.log1p, np.expm1: exact.expm1, np.log2: exact.log2},
    **{np.log10: exact.log10, np.reciprocal: exact.reciprocal, np.floor: stepwise.floor, np.ceil: stepwise.ceil},
    **{np.trunc: stepwise.trunc, np.sign: stepwise.sign, np.remainder: stepwise.remainder},
    **{np.floor_divide: stepwise.floor_divide},
}
# the comparison that a tensor on the right makes
REFLECTED = dict(equal="eq", not_equal="ne", less="gt", less_equal="ge", greater="lt", greater_equal="le")


def numbers(value):
    """The value with the arrays of tensors in their places, also inside lists, tuples and dicts."""
    if isinstance(value, Tensor):
        return value.numpy()
    if isinstance(value, list | tuple):
        return type(value)(map(numbers, value)) if type(value) in (list, tuple) else value
    return {k: numbers(v) for k, v in value.items()} if isinstance(value, dict) else value


def tensors(value):
    """All tensors in a value."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        yield from (t for v in value for t in tensors(v))
    elif isinstance(value, dict):
        yield from tensors(list(value.values()))


def on_numbers(function, args, settings):
    """function of the numbers alone. TypeError where it would lose a gradient."""
    tracked = recording.get() and any(t.node is not None for t in tensors([*args, settings]))
    if tracked and "out" in settings:
        raise TypeError(f"np.{function.__name__}: a NumPy array can't keep a tensor's gradient; use t.detach()")
    result = function(*numbers(args), **numbers(settings))
    if tracked and getattr(result, "dtype", np.dtype(bool)).kind == "f":
        raise TypeError(f"np.{function.__name__}: NumPy would lose this tensor's gradient; use its ops, or t.detach()")
    return result


def array_ufunc(self, ufunc, method, *inputs, **settings):
    """What NumPy calls for its element-wise functions and operators."""
    if method == "__call__" and not settings:
        if ufunc in OPS:
            return OPS[ufunc](*inputs)
        if ufunc.__name__ in REFLECTED:
            mine = isinstance(inputs[0], Tensor)
            name = ufunc_operator(ufunc) if mine else f"__{REFLECTED[ufunc.__name__]}__"
            return getattr(inputs[0 if mine else 1], name)(inputs[1 if mine else 0])
    if any(True for _ in tensors(settings.get("out", ()))):
        raise TypeError(f"np.{ufunc.__name__}: out must be a NumPy array, not a tensor")
    return on_numbers(ufunc if method == "__call__" else getattr(ufunc, method), inputs, settings)


def ufunc_operator(ufunc):
    """np.less -> __lt__"""
    opposite = REFLECTED[ufunc.__name__]
    return f"__{dict(gt='lt', ge='le', lt='gt', le='ge').get(opposite, opposite)}__"


def array_function(self, function, types, args, settings):
    """What NumPy calls for its other functions: np.mean(t == u)."""
    return on_numbers(function, args, settings)


Tensor.__array_ufunc__ = array_ufunc
Tensor.__array_function__ = array_function
