"""Matrices: products that refuse other shapes, triangles, diagonals; and tensors turned in a circle."""

from ..tensor import op
from .arithmetic import matmul, mul
from .checks import is_whole
from .reduction import normalised
from .shape import reshape


def of_axes(name, **tensors):
    """ValueError unless each tensor has so many axes: name=(tensor, number)."""
    for what, (x, ndim) in tensors.items():
        if x.ndim != ndim:
            kind = {1: "a vector", 2: "a matrix", 3: "a batch of matrices"}[ndim]
            raise ValueError(f"{name}: {what} must be {kind}, of {ndim} axes; got shape {x.shape}")


def mm(a, b):
    """The product of two matrices: (N, M) (M, P) -> (N, P). See ops.matmul."""
    of_axes("mm", a=(a, 2), b=(b, 2))
    return matmul(a, b)


def bmm(a, b):
    """The products of matrices, pair by pair: (B, N, M) (B, M, P) -> (B, N, P). See ops.matmul."""
    of_axes("bmm", a=(a, 3), b=(b, 3))
    if a.shape[0] != b.shape[0]:
        raise ValueError(f"bmm: a and b must have as many matrices; got shapes {a.shape} and {b.shape}")
    return matmul(a, b)


def mv(a, b):
    """The product of a matrix and a vector: (N, M) (M,) -> (N,). See ops.matmul."""
    of_axes("mv", a=(a, 2), b=(b, 1))
    return matmul(a, b)


def dot(a, b):
    """The product of two vectors of one length, a number: the sum of a_i b_i. See ops.matmul."""
    of_axes("dot", a=(a, 1), b=(b, 1))
    return matmul(a, b)


def outer(a, b):
    """Each of a's numbers times each of b's: (N,) (M,) -> (N, M). See ops.mul."""
    of_axes("outer", a=(a, 1), b=(b, 1))
    return mul(reshape(a, shape=(-1, 1)), b)


@op
def tril(ctx, x, *, diagonal=0):
    """y = x on and below a diagonal of its last two axes (0: the main one, 1: the one above it), else 0

    dx = dy there, else 0.   x (..., N, M)
    """
    return triangle(ctx, "tril", x, diagonal)


@op
def triu(ctx, x, *, diagonal=0):
    """y = x on and above a diagonal of its last two axes (0: the main one, 1: the one above it), else 0

    dx = dy there, else 0.   x (..., N, M)
    """
    return triangle(ctx, "triu", x, diagonal)


def triangle(ctx, name, x, diagonal):
    """tril or triu of x, and a backward pass that takes the same of dy."""
    if x.ndim < 2 or not is_whole(diagonal, -1 << 40):
        raise ValueError(f"{name}: x must be (..., N, M) and diagonal an int; got x {x.shape}, diagonal {diagonal!r}")
    cut = getattr(ctx.xp, name)

    def backward(dy):
        return (cut(dy, diagonal),)

    return cut(x, diagonal), backward


@op
def diag(ctx, x, *, diagonal=0):
    """y = the diagonal of a matrix, or the matrix with the vector x on its diagonal, else 0;   dx = dy at its place

    x (N, M) -> y (L,)   or   x (L,) -> y (N, N)   diagonal: 0 is the main one, 1 the one above it
    """
    if x.ndim not in (1, 2) or not is_whole(diagonal, -1 << 40):
        raise ValueError(f"diag: x must be a vector or a matrix, diagonal an int; got x {x.shape}, {diagonal!r}")
    xp, shape = ctx.xp, x.shape
    y = xp.diag(x, diagonal).copy()

    def backward(dy):
        if len(shape) == 1:
            return (xp.diag(dy, diagonal).copy(),)
        dx, i = xp.zeros(shape, dy.dtype), xp.arange(len(dy))
        dx[i + max(-diagonal, 0), i + max(diagonal, 0)] = dy
        return (dx,)

    return y, backward


@op
def roll(ctx, x, *, shifts, dims=None):
    """y_i = x_(i - shift) along each axis of dims (None: all numbers in a row);   dx_i = dy_(i + shift)

    What leaves at one end comes in at the other. shifts: an int, or one for each of dims.
    """
    shifts = tuple(shifts) if isinstance(shifts, tuple | list) else (shifts,)
    axes, xp = None if dims is None else normalised("roll", dims, x.ndim), ctx.xp
    if len(shifts) != (1 if axes is None else len(axes)) or not all(is_whole(s, -1 << 40) for s in shifts):
        raise ValueError(f"roll: shifts must be ints, one for each of dims {dims}; got {shifts}")
    there, back = (shifts[0], -shifts[0]) if axes is None else (shifts, tuple(-s for s in shifts))

    def backward(dy):
        return (xp.roll(dy, back, axes),)

    return xp.roll(x, there, axes), backward
