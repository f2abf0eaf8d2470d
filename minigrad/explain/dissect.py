"""One number of a gradient, taken apart: the products that sum to it.

For each op that used a tensor, the gradient of one element of it is a sum of terms factor * dy, one for each output
element that it had a part in. `dissect` lists them:

    conv2d, linear    dw: x dy          dx: w dy          db: 1 dy
    batch norm        dgamma: xhat dy   dbeta: 1 dy       dx: dy[m] / dx[i] for all values m of the channel, times dy[m]
    max pool          dx: 1 dy for each window in which the pixel won, 0 dy for each in which it lost
    average pools     dx: 1/area dy for each window that holds the pixel

Where a ReLU is part of the op, dy is what is left of it behind the ReLU. Any other op gives one term: what it sent.
"""

import inspect
from typing import NamedTuple

import numpy as np

from kernels import reference
from kernels.reference.norm import through_relu
from kernels.reference.pool import adaptive_windows, window_areas

from .. import ops
from ..device import get_device
from ..ops.checks import pair
from .arrays import summary


class Part(NamedTuple):
    """The terms of one op, as columns of M rows.

    op             its name
    factor_name    what dy is multiplied by: "x", "w", "1", ...; "" where the op was not taken apart
    factor, dy     (M,) float64
    factor_at      (M, axes) where the factor stands in factor_array; None where it is not in an array
    dy_at          (M, axes) where dy stands in dy_array
    window         of a convolution or a pool: (size, stride, padding, dilation), pairs; else None
    """

    op: str
    factor_name: str
    factor: np.ndarray
    factor_at: np.ndarray | None
    dy: np.ndarray
    dy_at: np.ndarray
    factor_array: np.ndarray | None
    dy_array: np.ndarray
    window: tuple | None = None

    def __repr__(self):
        return summary(self, self._fields)

    @property
    def product(self):
        return self.factor * self.dy


def part(op, dy, dy_at, name, factor, factor_at=None, window=None):
    """A Part. factor: an array that factor_at points into, or without factor_at a number or one number for each row."""
    dy_at = np.asarray(dy_at, np.int64).reshape(len(dy_at), dy.ndim)
    dys = np.reshape(dy[tuple(dy_at.T)], len(dy_at)).astype(np.float64)  # of a number without axes: one row
    if factor_at is None:
        return Part(op, name, np.broadcast_to(np.float64(factor), dys.shape), None, dys, dy_at, None, dy, window)
    factors = factor[tuple(factor_at.T)].astype(np.float64)
    return Part(op, name, factors, factor_at, dys, dy_at, factor, dy, window)


class Used(NamedTuple):
    """One input of an op, and what the op's dissector may look at. Names are those of the op's own arguments.

    op         the op's name
    which      the place of the input among the op's inputs
    shape      the input's shape
    dy         the gradient that reached the op's output, behind the ReLU that may be part of the op
    saved      {name: array} that the op keeps for its backward pass, as in its row of the op table (`saves`)
    settings   {name: value} of all keyword arguments, those left out at their defaults
    """

    op: str
    which: int
    shape: tuple
    dy: np.ndarray
    saved: dict
    settings: dict


def dissect(node, which, dy, dx, index):
    """The Part that a node's backward pass, given dy, adds to element `index` of the gradient of its input `which`.

    dy, dx: arrays, the gradient that reached the node and the one that it sent to that input; index: a tuple of ints.
    An op without a dissector gives one term, what it sent.
    """
    host = get_device("cpu").asarray
    if node.fn not in DISSECTORS:
        return part(node.name, host(dx), [index], "", 1.0)
    saved = {name: host(v) for name, v in node.saved.items() if hasattr(v, "strides")}
    take_apart, behind_relu = DISSECTORS[node.fn]
    used = Used(node.name, which, dx.shape, host(dy), saved, settings_of(node))
    return take_apart(used._replace(dy=behind_relu(used)), index)


def settings_of(node):
    """{name: value} of the keyword arguments of the op, those left out at their defaults."""
    parameters = inspect.signature(node.fn).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY} | node.settings


def grid(*axes):
    """All combinations of the positions along several axes: (M, number of axes)."""
    if not axes:
        return np.zeros((1, 0), np.int64)
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))


def window_of(size, settings):
    """(size, stride, padding, dilation) of a sliding window, as pairs; the stride is the size where it is None."""
    stride = size if settings["stride"] is None else settings["stride"]
    return tuple(pair("element", "window", n, 0) for n in (size, stride, settings["padding"], settings["dilation"]))


def convolution(used, index):
    """conv2d: of x (N, H, W, C), w (K, R, S, C/groups) and b (K,)."""
    if used.which == 2:
        return part(used.op, used.dy, grid(*map(np.arange, used.dy.shape[:3]), index), "1", 1.0)
    w_shape = used.shape if used.which == 1 else used.saved["w"].shape
    window = window_of(w_shape[1:3], used.settings)
    return (of_weight if used.which == 1 else of_input)(used, index, w_shape, window)


def of_weight(used, index, w_shape, window):
    """dw[k,r,s,c] = sum over n, p, q of dy[n,p,q,k] x[n,i,j,c]: the taps in the padding are left out, where x is 0."""
    k, *tap, c = index
    _, stride, padding, dilation = map(np.array, window)
    x, (n, p_size, q_size, filters) = used.saved["x"], used.dy.shape
    at = grid(range(n), range(p_size), range(q_size))
    ij = at[:, 1:] * stride + np.array(tap) * dilation - padding
    inside = ((ij >= 0) & (ij < x.shape[1:3])).all(1)
    at, ij, one = at[inside], ij[inside], np.ones((inside.sum(), 1), np.int64)
    c += k // (filters // used.settings["groups"]) * w_shape[3]
    return part(used.op, used.dy, np.hstack((at, k * one)), "x", x, np.hstack((at[:, :1], ij, c * one)), window)


def of_input(used, index, w_shape, window):
    """dx[n,i,j,c] = sum over the p, q, r, s that lead to i, j, and over k, of dy[n,p,q,k] w[k,r,s,c]."""
    n, *ij, c = index
    filters, depth = w_shape[0] // used.settings["groups"], w_shape[3]
    group, c = divmod(c, depth)
    at = grid(range(group * filters, (group + 1) * filters), *map(range, w_shape[1:3]))
    pq, there = positions(ij, at[:, 1:], window, used.dy.shape[1:3])
    at, one = at[there], np.ones((there.sum(), 1), np.int64)
    dy_at = np.hstack((n * one, pq[there], at[:, :1]))
    return part(used.op, used.dy, dy_at, "w", used.saved["w"], np.hstack((at, c * one)), window)


def positions(ij, taps, window, counts):
    """The windows whose tap (r, s) lies on pixel ij: (p, q) for each tap, and whether there is one."""
    _, stride, padding, dilation = map(np.array, window)
    offset = np.array(ij) + padding - taps * dilation
    pq = offset // stride
    return pq, ((offset % stride == 0) & (pq >= 0) & (pq < counts)).all(1)


def linear(used, index):
    """linear: dx[m,c] = sum dy[m,k] w[k,c] over k; dw[k,c] = sum of dy[m,k] x[m,c] over m; db[k] = sum of dy[m,k]."""
    op, dy, saved = used.op, used.dy, used.saved
    if used.which == 0:
        k = np.arange(dy.shape[-1])[:, None]
        row = np.broadcast_to(np.array(index[:-1], np.int64), (len(k), dy.ndim - 1))
        return part(op, dy, np.hstack((row, k)), "w", saved["w"], np.hstack((k, np.full_like(k, index[-1]))))
    rows = grid(*map(np.arange, dy.shape[:-1]))
    at = np.hstack((rows, np.full((len(rows), 1), index[0])))
    if used.which == 2:
        return part(op, dy, at, "1", 1.0)
    return part(op, dy, at, "x", saved["x"], np.hstack((rows, np.full((len(rows), 1), index[1]))))


def batch_norm(used, index):
    """batch_norm, of the batch's or of running statistics. x (..., C), gamma (C,), beta (C,)."""
    x, gamma, mean, var = (np.float64(used.saved[name]) for name in ("x", "gamma", "mean", "var"))
    rstd, c, training = 1 / np.sqrt(var + used.settings["eps"]), index[-1], used.settings["training"]
    xhat = (x - mean) * rstd
    at = np.hstack((rows := grid(*map(np.arange, x.shape[:-1])), np.full((len(rows), 1), c)))
    if used.which == 2:
        return part(used.op, used.dy, at, "1", 1.0)
    if used.which == 1:
        return part(used.op, used.dy, at, "xhat", xhat, at)
    own, column = (at == index).all(1).astype(np.float64), xhat[..., c].reshape(-1)
    through_statistics = (1 + column * xhat[index]) / len(at)  # of mean and variance, which depend on every value
    slope = gamma[c] * rstd[c] * (own - through_statistics * training)
    kept = np.ones(len(at), bool) if training else own > 0
    return part(used.op, used.dy, at[kept], "dy/dx", slope[kept])


def max_pool(used, index):
    """max_pool2d: the windows that hold the pixel, with factor 1 where it was the largest."""
    window = window_of(used.settings["kernel_size"], used.settings)
    taps = grid(*map(range, window[0]))
    pq, there = positions(index[1:3], taps, window, used.dy.shape[1:3])
    at = [(index[0], *each, index[3]) for each in pq[there]]
    tap = (taps[:, 0] * window[0][1] + taps[:, 1])[there]
    won = [used.saved["winner"][each] == number for each, number in zip(at, tap)]
    return part(used.op, used.dy, at, "is the largest", np.array(won, np.float64), window=window)


def avg_pool(used, index):
    """avg_pool2d: the windows that hold the pixel, each with its share."""
    window = size, stride, padding, _ = window_of(used.settings["kernel_size"], used.settings | {"dilation": 1})
    hw, counts = used.shape[1:3], used.dy.shape[1:3]
    area = window_areas(np, hw, size, stride, padding, counts, used.settings["count_include_pad"])[..., 0]
    pq, there = positions(index[1:3], grid(*map(range, size)), window, counts)
    at = [(index[0], *each, index[3]) for each in pq[there]]
    return part(used.op, used.dy, at, "1/area", 1 / area[tuple(pq[there].T)], window=window)


def adaptive_avg_pool(used, index):
    """adaptive_avg_pool2d: likewise; windows may overlap and differ in size."""
    (n, i, j, c), (_, h, w, _), (_, p_size, q_size, _) = index, used.shape, used.dy.shape
    down = [(p, s.stop - s.start) for p, s in enumerate(adaptive_windows(h, p_size)) if s.start <= i < s.stop]
    across = [(q, s.stop - s.start) for q, s in enumerate(adaptive_windows(w, q_size)) if s.start <= j < s.stop]
    both = [(p, q, a * b) for p, a in down for q, b in across]
    return part(used.op, used.dy, [(n, p, q, c) for p, q, _ in both], "1/area", [1 / a for _, _, a in both])


def no_relu(used):
    """dy as it is: the op has no ReLU at its end."""
    return used.dy


def relu_of_output(used):
    """dy where the output, which the op has kept as its mask, is larger than 0."""
    return reference.relu_backward(used.dy, used.saved["mask"])


def relu_of_norm(used):
    """dy where gamma xhat + beta, computed again from x, is larger than 0."""
    vectors = (used.saved[name] for name in ("x", "gamma", "beta", "mean", "var"))
    return through_relu(used.dy, *vectors, used.settings["eps"])


def written(op):
    """The function fn(ctx, *arrays, **settings) under @op: what a node calls its fn."""
    return op.__wrapped__


# what takes an op apart, and how dy gets behind its ReLU
DISSECTORS = {
    written(ops.conv2d): (convolution, no_relu),
    written(ops.conv2d_relu): (convolution, relu_of_output),
    written(ops.linear): (linear, no_relu),
    written(ops.linear_relu): (linear, relu_of_output),
    written(ops.batch_norm): (batch_norm, no_relu),
    written(ops.batch_norm_relu): (batch_norm, relu_of_norm),
    written(ops.max_pool2d): (max_pool, no_relu),
    written(ops.avg_pool2d): (avg_pool, no_relu),
    written(ops.adaptive_avg_pool2d): (adaptive_avg_pool, no_relu),
}
