"""Activations: one function of each element, and softmax over an axis."""

from kernels.reference.arrays import exact_sum

from ..precision import floated, floats, sums
from ..tensor import op
from .checks import axis
from .reduction import largest


@op(types=floats, kernels_only=True)
def relu(ctx, x):
    """y = max(x, 0),   dx = dy where y > 0, else 0"""
    k = ctx.kernels
    y = k.relu_forward(x)

    def backward(dy):
        return (k.relu_backward(dy, y),)

    return y, backward


@op(types=floats)
def leaky_relu(ctx, x, *, negative_slope=0.01):
    """y = x where x > 0, else slope x,   dx = dy or slope dy likewise   (Maas et al. 2013)"""
    xp, slope = ctx.xp, x.dtype.type(negative_slope)

    def backward(dy):
        return (xp.where(x > 0, dy, slope * dy).astype(x.dtype, copy=False),)

    return xp.where(x > 0, x, slope * x).astype(x.dtype, copy=False), backward  # CuPy's where has no bfloat16


@op(autocast=sums, types=floated)
def sigmoid(ctx, x):
    """y = 1 / (1 + e^-x),   dx = dy y (1 - y)"""
    y = 0.5 * (ctx.xp.tanh(0.5 * x) + 1)  # the same function, without overflow

    def backward(dy):
        return (dy * y * (1 - y),)

    return y, backward


@op(autocast=sums, types=floated)
def tanh(ctx, x):
    """y = tanh x,   dx = dy (1 - y^2)"""
    y = ctx.xp.tanh(x)

    def backward(dy):
        return (dy * (1 - y * y),)

    return y, backward


@op(autocast=sums, types=floats)
def softmax(ctx, x, *, dim=-1):
    """y = e^x / sum e^x over one axis (the channels, unless told otherwise),   dx = y (dy - sum dy y)"""
    along = (axis("softmax", x, dim),)[: x.ndim]
    y = ctx.xp.exp(x - largest(ctx.xp, x, along))
    y /= exact_sum(y, along, True)

    def backward(dy):
        return (y * (dy - exact_sum(dy * y, along, True)),)

    return y, backward


@op(autocast=sums, types=floats)
def log_softmax(ctx, x, *, dim=-1):
    """y = x - log sum e^x over one axis (the channels, unless told otherwise),   dx = dy - e^y sum dy"""
    along, xp = (axis("log_softmax", x, dim),)[: x.ndim], ctx.xp
    shifted = x - largest(xp, x, along)
    y = shifted - xp.log(exact_sum(xp.exp(shifted), along, True))

    def backward(dy):
        return (dy - xp.exp(y) * exact_sum(dy, along, True),)

    return y, backward
