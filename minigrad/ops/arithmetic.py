"""Elementwise arithmetic with broadcasting, and the matrix product."""

import numpy as np

from kernels.reference.arrays import exact_sum

from ..precision import floated, products, promoted, sums
from ..tensor import op


def unbroadcast(dy, shape):
    """Sum dy over the axes along which an input of this shape was stretched."""
    if dy.shape == shape:
        return dy
    lead = dy.ndim - len(shape)
    stretched = (i for i, n in enumerate(shape, lead) if n == 1 != dy.shape[i])
    return exact_sum(dy, (*range(lead), *stretched)).reshape(shape)


@op(types=promoted)
def add(ctx, a, b):
    """y = a + b,   da = dy,   db = dy   (each summed over its broadcast axes)"""
    a_shape, b_shape = a.shape, b.shape

    def backward(dy):
        return unbroadcast(dy, a_shape), unbroadcast(dy, b_shape)

    return a + b, backward


@op(types=promoted)
def sub(ctx, a, b):
    """y = a - b,   da = dy,   db = -dy"""
    a_shape, b_shape = a.shape, b.shape

    def backward(dy):
        return unbroadcast(dy, a_shape), -unbroadcast(dy, b_shape)

    return a - b, backward


@op(types=promoted)
def mul(ctx, a, b):
    """y = a b,   da = dy b,   db = dy a"""
    need_a, need_b = ctx.needs

    def backward(dy):
        da = unbroadcast(dy * b, a.shape) if need_a else None
        db = unbroadcast(dy * a, b.shape) if need_b else None
        return da, db

    return a * b, backward


@op(autocast=sums, types=floated)
def div(ctx, a, b):
    """y = a / b,   da = dy / b,   db = -dy a / b^2"""
    need_a, need_b = ctx.needs

    def backward(dy):
        da = unbroadcast(dy / b, a.shape) if need_a else None
        db = unbroadcast(-dy * a / (b * b), b.shape) if need_b else None
        return da, db

    return a / b, backward


@op
def neg(ctx, x):
    """y = -x,   dx = -dy"""

    def backward(dy):
        return (-dy,)

    return -x, backward


@op(autocast=sums)
def power(ctx, x, *, exponent):
    """y = x^n for a number n,   dx = dy n x^(n-1)"""
    if not isinstance(exponent, int | float):
        raise TypeError(f"power: the exponent must be a number; got {type(exponent).__name__}")
    if x.dtype.kind in "iub" and (exponent < 0 or isinstance(exponent, float)):
        x = x.astype(np.float32)

    def backward(dy):
        return (dy * (exponent * x ** (exponent - 1)),) if exponent else (dy * 0,)

    return x**exponent, backward


@op(autocast=sums, types=floated)
def exp(ctx, x):
    """y = e^x,   dx = dy y"""
    y = ctx.each(ctx.xp.exp, x)

    def backward(dy):
        return (dy * y,)

    return y, backward


@op(autocast=sums, types=floated)
def log(ctx, x):
    """y = ln x,   dx = dy / x"""

    def backward(dy):
        return (dy / x,)

    return ctx.each(ctx.xp.log, x), backward


@op(autocast=sums, types=floated)
def sqrt(ctx, x):
    """y = sqrt x,   dx = dy / (2 y)"""
    y = ctx.each(ctx.xp.sqrt, x)

    def backward(dy):
        return (dy / (2 * y),)

    return y, backward


@op(autocast=products, types=promoted)
def matmul(ctx, a, b):
    """y = a b   a (..., M, K)   b (..., K, N)   ->   y (..., M, N);   da = dy b^T,   db = a^T dy

    Leading axes broadcast. A vector stands for one row on the left, for one column on the right.
    """
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-min(2, b.ndim)]:
        raise ValueError(f"matmul: the last axis of a must equal the last but one of b; a {a.shape}, b {b.shape}")
    a_shape, b_shape, (need_a, need_b), dtype = a.shape, b.shape, ctx.needs, ctx.xp.result_type(a, b)
    y = (a @ b).astype(dtype, copy=False)  # NumPy's product of bfloat16 is float32
    a = a[None, :] if a.ndim == 1 else a
    b = b[:, None] if b.ndim == 1 else b
    matrix_shape = (*y.shape[: y.ndim - (len(b_shape) > 1)], *((1,) * (len(a_shape) == 1)), b.shape[-1])

    def backward(dy):
        dy = dy.reshape(matrix_shape)
        da = unbroadcast(dy @ b.swapaxes(-1, -2), a.shape).reshape(a_shape) if need_a else None
        db = unbroadcast(a.swapaxes(-1, -2) @ dy, b.shape).reshape(b_shape) if need_b else None
        return tuple(None if d is None else d.astype(dtype, copy=False) for d in (da, db))

    return y, backward
