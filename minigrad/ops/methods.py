"""What makes tensors compute: the operators and methods of Tensor, each an op. tensor.py knows none of them.

The tables at the end attach them. NumPy's own functions on tensors are in numpy_functions.py.
"""

import functools
import operator
from typing import NamedTuple

import numpy as np

from ..autograd import recording
from ..precision import is_floating_point
from ..tensor import Tensor, common_device, lift
from . import arithmetic, elementwise, ordering, reduction, shape, stepwise
from .checks import axis
from .named import ONE_LINE
from .verbs import VERBS


class Extreme(NamedTuple):
    """What max over one axis returns: the largest numbers (differentiable) and their places along the axis."""

    values: Tensor
    indices: Tensor


# Operators


def swapped(operation):
    """other (op) tensor"""
    return lambda self, other: operation(other, self)


def in_place(operation):
    """tensor (op)= other: the numbers change in their place, where no graph depends on it.

    RuntimeError for a leaf that requires a gradient, unless within no_grad(). What an op made, and what meets such a
    tensor, is not written: the name then stands for a new tensor.
    """

    def update(self, other):
        if recording.get() and (self.node is not None or getattr(other, "node", None) is not None):
            if self.node is not None and self.is_leaf:
                raise RuntimeError("writing in place into a leaf that requires a gradient; use no_grad()")
            return operation(self, other)
        return overwritten(self, operation(self, other))

    return update


def written(name, operation):
    """tensor.name(...): as in_place, but with RuntimeError where a graph depends on it: no name is bound anew."""

    def method(self, *args, **settings):
        return overwritten(self, operation(self, *args, **settings))

    method.__doc__ = f"{name[:-1]}, written in the tensor's place. RuntimeError where a graph depends on it."
    return method


def overwritten(self, y):
    """self, with the numbers of y in the place of its own. ValueError, TypeError where it can't hold them."""
    if y.shape != self.shape:
        raise ValueError(f"writing in place: the result has shape {y.shape}, the tensor {self.shape}")
    if is_floating_point(y.dtype) and not is_floating_point(self.dtype):
        raise TypeError(f"writing in place: the result is {y.dtype}, which a tensor of {self.dtype} does not hold")
    self[...] = y
    return self


def compared(compare):
    """tensor (compare) other, element by element: a tensor of booleans, without a gradient."""

    def result(self, other):
        if not isinstance(other, Tensor | np.generic | int | float) and not hasattr(other, "strides"):
            return NotImplemented
        if isinstance(other, np.generic):
            other = other.item()
        if isinstance(other, int | float) and not is_floating_point(self.dtype):
            return Tensor(self.device.xp.asarray(compare(self.data, other)))
        other = other if isinstance(other, Tensor) else lift("compare", other, self)
        common_device("compare", (self, other))
        return Tensor(self.device.xp.asarray(compare(self.data, other.data)))

    return result


def power(self, exponent):
    """x^n for a number n, or for a number of its own for each element (a tensor, an array)."""
    if isinstance(exponent, Tensor | np.ndarray):
        return elementwise.pow(self, exponent)
    return arithmetic.power(self, exponent=exponent)


def getitem(self, index):
    """The numbers at an index: whole numbers, slices, arrays or tensors of them, and tuples of these."""
    plain = tuple(i.data if isinstance(i, Tensor) else i for i in index) if isinstance(index, tuple) else index
    return shape.getitem(self, index=plain.data if isinstance(plain, Tensor) else plain)


# Methods


def named(name, compare):
    """tensor.name(other), a comparison by its name. TypeError for what can't be compared."""

    def method(self, other):
        result = compare(self, other)
        if result is NotImplemented:
            raise TypeError(f"{name}: other must be a tensor, an array or a number; got {type(other).__name__}")
        return result

    method.__doc__ = f"Where is the tensor {name} other (a tensor or a number)? Booleans, without a gradient."
    return method


def sum(self, dim=None, keepdim=False):
    """The sum over an axis, several (a tuple) or all (None)."""
    return reduction.sum(self, dim=dim, keepdim=keepdim)


def mean(self, dim=None, keepdim=False):
    """The mean over an axis, several (a tuple) or all (None)."""
    return reduction.mean(self, dim=dim, keepdim=keepdim)


def max(self, dim=None, keepdim=False):
    """The largest of all numbers; with dim, an axis, (values, indices): the largest along it and where they are.

    The gradient goes to the numbers at the indices, and is shared by all that are the largest without dim.
    """
    if dim is None or isinstance(dim, tuple | list):
        return reduction.max(self, dim=dim, keepdim=keepdim)
    return Extreme(reduction.max(self, dim=dim, keepdim=keepdim), ordering.argmax(self, dim=dim, keepdim=keepdim))


def amax(self, dim=(), keepdim=False):
    """The largest number over an axis, several (a tuple) or all (an empty one); equal ones share the gradient."""
    dim = (dim,) if isinstance(dim, int) else dim
    return reduction.max(self, dim=dim, keepdim=keepdim)


def truth(name):
    def method(self, dim=None, keepdim=False):
        axes = reduction.normalised(name, dim, self.ndim)
        return Tensor(self.device.xp.asarray(getattr(self.data, name)(axes, keepdims=keepdim)))

    method.__doc__ = f"Is {name} element other than 0, over an axis, several (a tuple) or all (None)?"
    return method


def reshape(self, *sizes):
    """The same numbers in another shape (sizes, or one tuple; one size may be -1)."""
    return shape.reshape(self, shape=sizes[0] if len(sizes) == 1 else sizes)


def transpose(self, dim0, dim1):
    """Two axes exchanged, as in torch. (permute takes the whole order.)"""
    order = list(range(self.ndim))
    i, j = (axis("transpose", self, d) for d in (dim0, dim1))
    if order:
        order[i], order[j] = j, i
    return shape.transpose(self, axes=tuple(order))


def permute(self, *dims):
    """The axes in this order (numbers, or one tuple): the result's axis i is axis dims[i]. NumPy's transpose."""
    return shape.transpose(self, axes=dims[0] if len(dims) == 1 and isinstance(dims[0], tuple | list) else dims)


def flatten(self, start_dim=0, end_dim=-1):
    """The axes from start_dim to end_dim as one."""
    first, last = (axis("flatten", self, d) for d in (start_dim, end_dim))
    if first > last:
        raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim} in shape {self.shape}")
    count = functools.reduce(operator.mul, self.shape[first : last + 1], 1)
    return shape.reshape(self, shape=(*self.shape[:first], count, *self.shape[last + 1 :]))


ARITHMETIC = dict(add=arithmetic.add, sub=arithmetic.sub, mul=arithmetic.mul, truediv=arithmetic.div)
COMPARISONS = "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "xor"
OPERATORS = {
    **{f"__{name}__": operation for name, operation in ARITHMETIC.items()},
    **{f"__r{name}__": swapped(operation) for name, operation in ARITHMETIC.items()},
    **{f"__i{name}__": in_place(operation) for name, operation in ARITHMETIC.items()},
    **{f"__{name}__": compared(getattr(operator, f"__{name}__")) for name in COMPARISONS},
    "__matmul__": arithmetic.matmul,
    "__rmatmul__": swapped(arithmetic.matmul),
    "__pow__": power,
    "__rpow__": swapped(elementwise.pow),
    "__floordiv__": stepwise.floor_divide,
    "__rfloordiv__": swapped(stepwise.floor_divide),
    "__mod__": stepwise.remainder,
    "__rmod__": swapped(stepwise.remainder),
    "__abs__": elementwise.abs,
    "__neg__": arithmetic.neg,
    "__invert__": lambda self: Tensor(~self.data),
    "__getitem__": getitem,
}
NAMED = {"div" if name == "truediv" else name: operation for name, operation in ARITHMETIC.items()}
METHODS = {
    **NAMED,
    **{f"{name}_": written(f"{name}_", operation) for name, operation in NAMED.items()},
    **{name: named(name, OPERATORS[f"__{name}__"]) for name in COMPARISONS[:6]},
    **dict(sum=sum, mean=mean, max=max, amax=amax, any=truth("any"), all=truth("all")),
    **dict(reshape=reshape, transpose=transpose, permute=permute, flatten=flatten),
    **dict(exp=arithmetic.exp, log=arithmetic.log, sqrt=arithmetic.sqrt),
    **{f"{name}_": written(f"{name}_", VERBS[name]) for name in "clamp masked_fill relu sigmoid tanh pow".split()},
    "swapaxes": transpose,
    "T": property(lambda self: shape.transpose(self), doc="all axes in reverse order"),
}

for name, function in {**OPERATORS, **METHODS, **ONE_LINE, **VERBS}.items():
    setattr(Tensor, name, function)
