"""Tensor's methods under torch's names and argument orders, beside the operators: each is an op or a composition.

Each is also a function of the package: x.softmax(1) is minigrad.softmax(x, 1).
"""

from ..device import CPU
from ..precision import is_floating_point
from ..tensor import Tensor
from . import activation, arrangement, elementwise, exact, matrices, ordering, reduction, shape, stepwise
from . import statistics as numbers
from .by_position import by_position
from .parts import PARTS
from .queries import QUERIES
from .reduction import normalised


def view(x, *sizes):
    """The same numbers in another shape (sizes, or one tuple; one size may be -1). A copy only where it has to be."""
    return shape.reshape(x, shape=one_tuple(sizes))


def one_tuple(sizes):
    """f(2, 3) and f((2, 3)) alike."""
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else sizes


def expand(x, *sizes):
    """x stretched along its axes of length 1, and along new ones in front (-1: as it is)."""
    return arrangement.expand(x, shape=one_tuple(sizes))


def repeat(x, *repeats):
    """x beside itself so many times along each axis; new axes come first."""
    return arrangement.repeat(x, repeats=one_tuple(repeats))


def flip(x, *dims):
    """x in reverse order along these axes."""
    return arrangement.flip(x, dims=one_tuple(dims))


def min(x, dim=None, keepdim=False):
    """The smallest of all numbers; with dim, an axis, (values, indices): the smallest along it and where they are."""
    several = dim is None or isinstance(dim, tuple | list)
    if is_floating_point(x.dtype):
        values = -reduction.max(-x, dim=dim, keepdim=keepdim)
    else:
        axes = normalised("min", dim, x.ndim)
        values = Tensor(x.device.xp.asarray(x.data.min(axes, keepdims=keepdim)))
    return values if several else ordering.Ordered(values, ordering.argmin(x, dim=dim, keepdim=keepdim))


def amin(x, dim=(), keepdim=False):
    """The smallest number over an axis, several (a tuple) or all (an empty one); equal ones share the gradient."""
    return min(x, (dim,) if isinstance(dim, int) else dim, keepdim)


def var(x, dim=None, *, correction=1, keepdim=False, unbiased=True):
    """The variance over dim, divided by n - correction (n with unbiased=False). See ops.var."""
    return numbers.var(x, dim=dim, correction=correction if unbiased else 0, keepdim=keepdim)


def std(x, dim=None, *, correction=1, keepdim=False, unbiased=True):
    """The standard deviation over dim: the square root of var."""
    return numbers.std(x, dim=dim, correction=correction if unbiased else 0, keepdim=keepdim)


def trace(x):
    """The sum of a matrix's main diagonal."""
    matrices.of_axes("trace", x=(x, 2))
    return reduction.sum(matrices.diag(x))


def roll(x, shifts, dims=None):
    """x turned in a circle along axes: what leaves at one end comes in at the other. See ops.roll."""
    return matrices.roll(x, shifts=shifts, dims=dims)


def split(x, split_size_or_sections, dim=0):
    """Pieces along an axis: of one size, or of these sizes (a list)."""
    return arrangement.split(x, sizes=split_size_or_sections, dim=dim)


def dim(x):
    """How many axes."""
    return x.ndim


def numel(x):
    """How many numbers."""
    return x.data.size


def tolist(x):
    """The numbers as nested lists of Python's."""
    return CPU.asarray(x.data).tolist()


def contiguous(x):
    """x itself: kernels take every layout."""
    return x


def expand_as(x, other):
    """x stretched to the shape of another tensor."""
    return expand(x, other.shape)


def view_as(x, other):
    """x in the shape of another tensor."""
    return view(x, other.shape)


BY_POSITION = {  # Tensor's name: the op
    **dict(abs=elementwise.abs, sin=elementwise.sin, cos=elementwise.cos, pow=elementwise.pow),
    **dict(clamp=elementwise.clamp, clip=elementwise.clamp, masked_fill=elementwise.masked_fill),
    **dict(maximum=elementwise.maximum, minimum=elementwise.minimum, relu=activation.relu),
    **dict(sigmoid=activation.sigmoid, tanh=activation.tanh, softmax=activation.softmax),
    **dict(log_softmax=activation.log_softmax, prod=numbers.prod, norm=numbers.norm, cumsum=numbers.cumsum),
    **dict(logsumexp=numbers.logsumexp, gather=ordering.gather, sort=ordering.sort, topk=ordering.topk),
    **dict(argsort=ordering.argsort, argmax=ordering.argmax, argmin=ordering.argmin, clone=arrangement.clone),
    **dict(squeeze=arrangement.squeeze, unsqueeze=arrangement.unsqueeze, unflatten=arrangement.unflatten),
    **dict(chunk=arrangement.chunk, unbind=arrangement.unbind, tril=matrices.tril, triu=matrices.triu),
    **dict(log1p=exact.log1p, expm1=exact.expm1, log2=exact.log2, log10=exact.log10, rsqrt=exact.rsqrt),
    **dict(reciprocal=exact.reciprocal, floor=stepwise.floor, ceil=stepwise.ceil, trunc=stepwise.trunc),
    **dict(round=stepwise.round, sign=stepwise.sign, remainder=stepwise.remainder, diag=matrices.diag),
    **dict(floor_divide=stepwise.floor_divide),
}
VERBS = {
    **{name: by_position(op) for name, op in BY_POSITION.items()},
    **dict(view=view, expand=expand, repeat=repeat, flip=flip, min=min, var=var, std=std, split=split, dim=dim),
    **dict(numel=numel, tolist=tolist, contiguous=contiguous, expand_as=expand_as, view_as=view_as),
    **dict(reshape_as=view_as, amin=amin, trace=trace, roll=roll),
    **dict(mm=matrices.mm, bmm=matrices.bmm, mv=matrices.mv, dot=matrices.dot, outer=matrices.outer),
    **QUERIES,
    **PARTS,
}
