"""Mistakes planted into backward passes: by a change of the source, or of what the backward returns."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial, wraps
from typing import NamedTuple

import numpy as np

from kernels.reference import activation, conv, linear, norm, pool
from minigrad import Tensor, op, ops, tensor
from minigrad.gradcheck.mutation.mutants import Mutant, code_of


class Planted(NamedTuple):
    """A wrong backward: fn(*inputs) while `function` has one text in its source replaced by another (if any)."""

    kind: str  # what gradcheck should call it
    input: str  # the input whose gradient is wrong
    fn: Callable
    inputs: tuple
    function: Callable | None = None
    text: str = ""
    other: str = ""

    def __str__(self):
        return f"{self.kind}-{getattr(self.fn, 'func', self.fn).__name__}-{self.input}"

    def living(self):
        return nullcontext() if self.function is None else edited(self.function, self.text, self.other).living()


def edited(function, text, other):
    """The function with the last occurrence of a text in its source replaced, as a Mutant."""
    function = getattr(function, "__wrapped__", function)
    head, found, tail = textwrap.dedent(inspect.getsource(function)).rpartition(text)
    assert found, f"{function.__name__} does not hold {text!r}"
    definition = ast.parse(head + other + tail).body[0]
    definition.decorator_list = []
    return Mutant(function, 0, text, other, code_of(function, definition))


def returning(op_, change):
    """The op with a backward that returns change(dy, gradients) in place of the gradients."""
    fn = op_.__wrapped__

    @wraps(fn)
    def wrong(ctx, *inputs, **settings):
        y, backward = fn(ctx, *inputs, **settings)
        return y, lambda dy: change(dy, backward(dy))

    return op(wrong)


def inputs(*shapes, seed=3):
    rng = np.random.default_rng(seed)
    return tuple(Tensor(rng.standard_normal(s), requires_grad=True) for s in shapes)


def positive(*shapes):
    return tuple(Tensor(np.abs(t.data) + 0.5, requires_grad=True) for t in inputs(*shapes))


IMAGE, FILTER, BIAS = (3, 6, 5, 4), (2, 3, 3, 4), (2,)
CONV = inputs(IMAGE, FILTER, BIAS)
padded = partial(ops.conv2d, padding=1)
LINEAR = inputs((5, 3), (3, 3), (3,))
NORM = inputs((5, 2, 2, 3), (3,), (3,))
JOINED = inputs((2, 2, 3, 1), (2, 2, 3, 2))
WINDOWS = inputs((2, 6, 5, 3))
frozen_norm = partial(
    ops.batch_norm, training=False, running_mean=tensor(np.zeros(3)), running_var=tensor(np.full(3, 2.0))
)
avg_pool = partial(ops.avg_pool2d, kernel_size=3, stride=2, padding=1)


def negated(i):
    return lambda dy, dxs: (*dxs[:i], -dxs[i], *dxs[i + 1 :])


def scaled(i, c):
    return lambda dy, dxs: (*dxs[:i], dxs[i] * c, *dxs[i + 1 :])


def of_ones(op_):
    """The op whose backward forgets dy: what it returns is for dy = 1."""
    fn = op_.__wrapped__

    @wraps(fn)
    def wrong(ctx, *inputs, **settings):
        y, backward = fn(ctx, *inputs, **settings)
        return y, lambda dy: backward(np.ones_like(dy))

    return op(wrong)


def exchanged(i, j):
    def change(dy, dxs):
        dxs = list(dxs)
        dxs[i], dxs[j] = dxs[j], dxs[i]
        return tuple(dxs)

    return change


@op
def twice_used(ctx, x):
    """y = x e^x"""
    return x * np.exp(x), lambda dy: (dy * np.exp(x),)


@op
def residual(ctx, x, w):
    """y = x + x w"""
    return x + x @ w, lambda dy: (dy @ w.T, x.T @ dy)


@op
def polynomial(ctx, x):
    """y = x^3 + x^2"""
    return x**3 + x**2, lambda dy: (dy * 3 * x**2,)


@op
def scale_by(ctx, x, s):
    """y = x s, with one s for each image"""
    return x * s, lambda dy: (dy * s, dy * x)


@op
def outer_sum(ctx, a, b):
    """y[i, j] = a[i] + b[j]"""
    return a[:, None] + b, lambda dy: (dy.sum(1), dy)


SQUARE = inputs((3, 3))
ADDED = inputs((4, 3), (3,))

MISTAKES_OF_KIND = {
    "sign": [
        ("b", ops.sub, ADDED, ops.sub, "-unbroadcast(dy, b_shape)", "unbroadcast(dy, b_shape)"),
        ("w", returning(ops.conv2d, negated(1)), CONV),
        ("gamma", returning(ops.batch_norm, negated(1)), NORM),
        ("b", ops.div, positive((4, 3), (3,)), ops.div, "-dy * a", "dy * a"),
        ("x", partial(returning(ops.max_pool2d, negated(0)), kernel_size=2), WINDOWS),
    ],
    "constant factor": [
        ("x", ops.sqrt, positive((4, 3)), ops.sqrt, "dy / (2 * y)", "dy / y"),
        ("x", partial(ops.mean, dim=0), SQUARE, ops.mean, "dy / dy.dtype.type(count)", "dy"),
        ("b", returning(ops.conv2d, scaled(2, 1 / 3)), CONV),
        ("b", ops.linear, LINEAR, norm.channel_sum, "exact_sum(", "exact_mean("),
        ("x", avg_pool, WINDOWS, pool.avg_pool2d_backward, "dy / area.astype(dy.dtype)", "dy / 4.5"),
        ("x", partial(ops.power, exponent=3), SQUARE, ops.power, "dy * (exponent * x", "dy * (x"),
    ],
    "missing sum over the batch": [
        ("b", ops.linear, LINEAR, norm.channel_sum, "exact_sum(x, batch_axes(x))", "x[0]"),
        ("w", ops.linear, LINEAR, linear.linear_backward_weight,
         "rows(dy).T @ rows(x)", "rows(dy)[:1].T @ rows(x)[:1]"),
        ("w", ops.linear, LINEAR, linear.linear_backward_weight,
         "rows(dy).T @ rows(x)", "rows(dy)[:, :, None] * rows(x)[:, None]"),
        ("w", padded, CONV, conv.conv2d_backward_weight,
         "pad_hw(x, padding), split_groups(dy, groups)", "pad_hw(x[:1], padding), split_groups(dy[:1], groups)"),
        ("beta", ops.batch_norm, NORM, norm.batch_norm_apply_backward,
         "dgamma, channel_sum(dy)", "dgamma, channel_sum(dy[:1])"),
    ],
    "transpose": [
        ("w", ops.linear, LINEAR, linear.linear_backward_weight, "rows(dy).T @ rows(x)", "rows(x).T @ rows(dy)"),
        ("x", ops.linear, LINEAR, linear.linear_backward_input, "@ w)", "@ w.T)"),
        ("x", ops.transpose, SQUARE, ops.transpose, "dy.transpose(inverse)", "dy"),
        ("x", partial(ops.transpose, axes=(1, 2, 0)), inputs((2, 3, 4)), ops.transpose,
         "dy.transpose(inverse)", "dy.reshape(x.shape)"),
        ("a", ops.matmul, inputs((4, 3), (3, 3)), ops.matmul, "dy @ b.swapaxes(-1, -2)", "dy @ b"),
        ("w", padded, CONV, conv.conv2d_backward_weight, "dw[:, r, s]", "dw[:, s, r]"),
    ],
    "not reduced over a broadcast axis": [
        ("b", ops.add, ADDED, ops.add, "unbroadcast(dy, b_shape)", "dy"),
        ("b", ops.mul, ADDED, ops.mul, "unbroadcast(dy * a, b.shape)", "dy * a"),
        ("b", padded, CONV, norm.channel_sum, "exact_sum(x, batch_axes(x))", "x"),
        ("beta", ops.batch_norm, NORM, norm.batch_norm_apply_backward, "dgamma, channel_sum(dy)", "dgamma, dy"),
        ("b", outer_sum, inputs((4,), (3,))),
        ("s", scale_by, inputs((4, 2, 3), (4, 1, 1))),
    ],
    "shift": [
        ("x", padded, CONV, conv.conv2d_backward_input, "dx[:, ph : ph + h, pw : pw + wd]", "dx[:, 0:h, 0:wd]"),
        ("x", partial(ops.conv2d, stride=2, padding=1), CONV, conv.conv2d_backward_input,
         "pw : pw + wd", "pw + 1 : pw + wd + 1"),
        ("w", padded, CONV, conv.conv2d_backward_weight,
         "pad_hw(x, padding)", "pad_hw(x, (padding[0] + 1, padding[1]))"),
        ("x", partial(ops.max_pool2d, kernel_size=3, stride=2, padding=1), WINDOWS, pool.max_pool2d_backward,
         "canvas[:, padding[0] : padding[0] + x_shape[1]", "canvas[:, 0 : x_shape[1]"),
        ("x", avg_pool, WINDOWS, pool.avg_pool2d_backward,
         "padding[1] : padding[1] + x_shape[2]]", "0 : x_shape[2]]"),
        ("x", partial(ops.pad, pads=((2, 0), (1, 1))), inputs((4, 5)), ops.pad,
         "dy[inner]", "dy[tuple(slice(s.start - 1, s.stop - 1) for s in inner)]"),
        ("xs[1]", ops.concat, inputs((2, 3), (2, 4)), ops.concat,
         "dy[s] for s in slices", "dy[s] for s in [slices[0], (slice(None), slice(2, 6))]"),
    ],
    "forgotten chain factor": [
        ("x", ops.exp, SQUARE, ops.exp, "dy * y", "y"),
        ("w", of_ones(ops.conv2d), CONV),
        ("x", of_ones(ops.relu), SQUARE),
        ("x", partial(of_ones(ops.max_pool2d), kernel_size=2), WINDOWS),
        ("gamma", of_ones(ops.batch_norm), NORM),
        ("xs[0]", of_ones(ops.concat), JOINED),
    ],
    "missing term": [
        ("x", ops.batch_norm, NORM, norm.batch_norm_backward,
         "(dbeta + (x - mean) * (rstd * dgamma))", "((x - mean) * (rstd * dgamma))"),
        ("x", ops.batch_norm, NORM, norm.batch_norm_backward, "(dbeta + (x - mean) * (rstd * dgamma))", "dbeta"),
        ("x", ops.softmax, SQUARE, ops.softmax, "dy - exact_sum(dy * y, along, True)", "dy"),
        ("x", ops.log_softmax, SQUARE, ops.log_softmax, "dy - xp.exp(y) * exact_sum(dy, along, True)", "dy"),
        ("x", partial(ops.local_response_norm, size=3, alpha=0.5), inputs((2, 2, 2, 6)),
         norm.local_response_norm_backward,
         "dy * d**-beta - (2 * alpha * beta / size) * x * through_d", "dy * d**-beta"),
        ("x", twice_used, SQUARE),
        ("x", residual, inputs((4, 3), (3, 3))),
        ("x", polynomial, SQUARE),
        ("x", partial(ops.getitem, index=np.array([0, 2, 2])), inputs((3, 4)), ops.getitem,
         "xp.add.at(dx, index, dy)", "dx[index] = dy"),
    ],
    "swapped": [
        ("a", returning(ops.mul, exchanged(0, 1)), inputs((3, 4), (3, 4))),
        ("gamma", returning(ops.batch_norm, exchanged(1, 2)), NORM),
        ("a", returning(ops.matmul, exchanged(0, 1)), inputs((3, 3), (3, 3))),
        ("xs[0]", returning(ops.concat, exchanged(0, 1)), inputs((2, 3), (2, 3))),
        ("x", returning(ops.linear, exchanged(0, 1)), inputs((3, 3), (3, 3))),
    ],
    "mask": [
        ("x", ops.relu, SQUARE, activation.relu_backward, "dy * (y > 0)", "dy"),
        ("x", ops.relu, SQUARE, activation.relu_backward, "(y > 0)", "(y <= 0)"),
        ("a", ops.add_relu, inputs((3, 4), (3, 4)), activation.relu_backward, "dy * (y > 0)", "dy"),
        ("x", partial(ops.leaky_relu, negative_slope=0.0), SQUARE, ops.leaky_relu,
         "x > 0, dy, slope * dy", "x > 0, dy, dy"),
        ("x", partial(ops.max_pool2d, kernel_size=2), WINDOWS, pool.max_pool2d_backward,
         "dy * (winner == i)", "dy"),
    ],
    "missing factor": [
        ("a", ops.mul, inputs((4, 3), (4, 3)), ops.mul, "dy * b", "dy"),
        ("x", ops.sigmoid, SQUARE, ops.sigmoid, "dy * y * (1 - y)", "dy * y"),
        ("x", ops.tanh, SQUARE, ops.tanh, "dy * (1 - y * y)", "dy"),
        ("x", ops.log, positive((4, 3)), ops.log, "dy / x", "dy"),
        ("x", frozen_norm, NORM, norm.batch_norm_apply_backward, "dy * (gamma * rstd)", "dy * rstd"),
    ],
    "reversed": [
        ("x", padded, CONV, conv.conv2d_backward_input, "by_group[:, :, r, s]", "by_group[:, :, -1 - r, -1 - s]"),
        ("w", padded, CONV, conv.conv2d_backward_weight, "dw[:, r, s]", "dw[:, -1 - r, -1 - s]"),
    ],
    "no gradient": [
        ("w", returning(ops.linear, lambda dy, dxs: (dxs[0], None, dxs[2])), LINEAR),
        ("x", returning(ops.conv2d, scaled(0, 0)), CONV),
    ],
}  # fmt: skip

MISTAKES = [Planted(kind, *row) for kind, rows in MISTAKES_OF_KIND.items() for row in rows]
