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
        return (ctx.each(lambda x, dy: xp.where(x > 0, dy, slope * dy).astype(x.dtype, copy=False), x, dy),)

    def leaky(x):
        return xp.where(x > 0, x, slope * x).astype(x.dtype, copy=False)  # CuPy's where has no bfloat16

    return ctx.each(leaky, x), backward


@op(autocast=sums, types=floated)
def sigmoid(ctx, x):
    """y = 1 / (1 + e^-x),   dx = dy y (1 - y)"""
    xp = ctx.xp
    y = ctx.each(lambda x: 0.5 * (xp.tanh(0.5 * x) + 1), x)  # the same function, without overflow

    def backward(dy):
        return (ctx.each(lambda dy, y: dy * y * (1 - y), dy, y),)

    return y, backward


@op(autocast=sums, types=floated)
def tanh(ctx, x):
    """y = tanh x,   dx = dy (1 - y^2)"""
    y = ctx.each(ctx.xp.tanh, x)

    def backward(dy):
        return (ctx.each(lambda dy, y: dy * (1 - y * y), dy, y),)

    return y, backward


@op(autocast=sums, types=floats)
def softmax(ctx, x, *, dim=-1):
    """y = e^x / sum e^x over one axis (the channels, unless told otherwise),   dx = y (dy - sum dy y)"""
    along, xp = (axis("softmax", x, dim),)[: x.ndim], ctx.xp
    shared = sharing(ctx, along)

    def normalised(x):
        y = xp.exp(x - largest(xp, x, along))
        return y / exact_sum(y, along, True)

    y = shared(normalised, x)

    def backward(dy):
        return (shared(lambda dy, y: y * (dy - exact_sum(dy * y, along, True)), dy, y),)

    return y, backward


@op(autocast=sums, types=floats)
def log_softmax(ctx, x, *, dim=-1):
    """y = x - log sum e^x over one axis (the channels, unless told otherwise),   dx = dy - e^y sum dy"""
    along, xp = (axis("log_softmax", x, dim),)[: x.ndim], ctx.xp
    shared = sharing(ctx, along)

    def normalised(x):
        shifted = x - largest(xp, x, along)
        return shifted - xp.log(exact_sum(xp.exp(shifted), along, True))

    y = shared(normalised, x)

    def backward(dy):
        return (shared(lambda dy, y: dy - xp.exp(y) * exact_sum(dy, along, True), dy, y),)

    return y, backward


def sharing(ctx, along):
    """What calls a function that sums along some axes: in pieces of the first axis, unless it is among those."""
    return (lambda fn, *arrays: fn(*arrays)) if 0 in along else ctx.each_row
