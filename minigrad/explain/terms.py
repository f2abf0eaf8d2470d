"""One number of a gradient, taken apart: the products that sum to it.

For each op that used a tensor, the gradient of one element of it is a sum of terms factor * dy, one for each output
element that it had a part in. `dissect` lists them:

    conv2d, linear    dw: x dy          dx: w dy          db: 1 dy
    batch norm        dgamma: xhat dy   dbeta: 1 dy       dx: dy[m] / dx[i] for all values m of the channel, times dy[m]
    max pool          dx: 1 dy for each window in which the pixel won, 0 dy for each in which it lost
    average pools     dx: 1/area dy for each window that holds the pixel

Where a ReLU is part of the op, dy is what is left of it behind the ReLU. Any other op gives one term: what it sent.
"""

from typing import NamedTuple

import numpy as np

from kernels import reference
from kernels.reference.norm import through_relu
from kernels.reference.pool import adaptive_windows, window_areas

from ..device import get_device


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

    @property
    def product(self):
        return self.factor * self.dy


def part(op, dy, dy_at, name, factor, factor_at=None, window=None):
    """A Part. factor: an array that factor_at points into, or without factor_at a number or one number for each row."""
    dy_at = np.asarray(dy_at, np.int64).reshape(len(dy_at), dy.ndim)
    dys = dy[tuple(dy_at.T)].astype(np.float64)
    if factor_at is None:
        return Part(op, name, np.broadcast_to(np.float64(factor), dys.shape), None, dys, dy_at, None, dy, window)
    factors = factor[tuple(factor_at.T)].astype(np.float64)
    return Part(op, name, factors, factor_at, dys, dy_at, factor, dy, window)


def dissect(node, which, dy, dx, index):
    """The Part that a node's backward pass, given dy, adds to element `index` of the gradient of its input `which`."""
    host = get_device("cpu").asarray
    saved = {name: host(v) if hasattr(v, "strides") else v for name, v in node.saved.items()}
    kind = node.name.removesuffix("_relu")
    if kind not in DISSECTORS:
        return part(node.name, host(dx), [index], "", 1.0)
    return DISSECTORS[kind](node.name, saved, which, host(dy), index)


def grid(*axes):
    """All combinations of the positions along several axes: (M, number of axes)."""
    if not axes:
        return np.zeros((1, 0), np.int64)
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))


def convolution(op, saved, which, dy, index):
    """conv2d: of x (N, H, W, C), w (K, R, S, C/groups) and b (K,)."""
    mask, (stride, padding, dilation, groups) = saved["mask"], saved["settings"]
    dy = dy if mask is None else reference.relu_backward(dy, mask)
    window = saved["w_shape"][1:3], stride, padding, dilation
    if which == 2:
        return part(op, dy, grid(*map(np.arange, dy.shape[:3]), index), "1", 1.0)
    take = of_weight if which == 1 else of_input
    return take(op, saved, dy, index, window, groups)


def of_weight(op, saved, dy, index, window, groups):
    """dw[k,r,s,c] = sum over n, p, q of dy[n,p,q,k] x[n,i,j,c]: the taps in the padding are left out, where x is 0."""
    k, *tap, c = index
    _, stride, padding, dilation = window
    x, (n, p_size, q_size, filters) = saved["x"], dy.shape
    at = grid(range(n), range(p_size), range(q_size))
    ij = at[:, 1:] * stride + np.array(tap) * dilation - padding
    inside = ((ij >= 0) & (ij < x.shape[1:3])).all(1)
    at, ij, one = at[inside], ij[inside], np.ones((inside.sum(), 1), np.int64)
    c += k // (filters // groups) * saved["w_shape"][3]
    return part(op, dy, np.hstack((at, k * one)), "x", x, np.hstack((at[:, :1], ij, c * one)), window)


def of_input(op, saved, dy, index, window, groups):
    """dx[n,i,j,c] = sum over the p, q, r, s that lead to i, j, and over k, of dy[n,p,q,k] w[k,r,s,c]."""
    n, *ij, c = index
    size, _, _, _ = window
    filters, depth = saved["w_shape"][0] // groups, saved["w_shape"][3]
    group, c = divmod(c, depth)
    at = grid(range(group * filters, (group + 1) * filters), range(size[0]), range(size[1]))
    pq, there = positions(ij, at[:, 1:], window, dy.shape[1:3])
    at, one = at[there], np.ones((there.sum(), 1), np.int64)
    return part(op, dy, np.hstack((n * one, pq[there], at[:, :1])), "w", saved["w"], np.hstack((at, c * one)), window)


def positions(ij, taps, window, counts):
    """The windows whose tap (r, s) lies on pixel ij: (p, q) for each tap, and whether there is one."""
    _, stride, padding, dilation = window
    offset = np.array(ij) + padding - taps * dilation
    pq = offset // stride
    return pq, ((offset % stride == 0) & (pq >= 0) & (pq < counts)).all(1)


def linear(op, saved, which, dy, index):
    """linear: dx[m,c] = sum dy[m,k] w[k,c] over k; dw[k,c] = sum of dy[m,k] x[m,c] over m; db[k] = sum of dy[m,k]."""
    dy = dy if saved["mask"] is None else reference.relu_backward(dy, saved["mask"])
    if which == 0:
        k = np.arange(dy.shape[-1])[:, None]
        row = np.broadcast_to(np.array(index[:-1], np.int64), (len(k), dy.ndim - 1))
        return part(op, dy, np.hstack((row, k)), "w", saved["w"], np.hstack((k, np.full_like(k, index[-1]))))
    rows = grid(*map(np.arange, dy.shape[:-1]))
    at = np.hstack((rows, np.full((len(rows), 1), index[0])))
    if which == 2:
        return part(op, dy, at, "1", 1.0)
    return part(op, dy, at, "x", saved["x"], np.hstack((rows, np.full((len(rows), 1), index[1]))))


def batch_norm(op, saved, which, dy, index):
    """batch_norm, of the batch's or of running statistics. x (..., C), gamma (C,), beta (C,)."""
    x, gamma, mean, var = (np.float64(saved[name]) for name in ("x", "gamma", "mean", "var"))
    if saved["relu"]:
        dy = through_relu(dy, saved["x"], saved["gamma"], saved["beta"], saved["mean"], saved["var"], saved["eps"])
    rstd = 1 / np.sqrt(var + saved["eps"])
    xhat, c = (x - mean) * rstd, index[-1]
    at = np.hstack((rows := grid(*map(np.arange, x.shape[:-1])), np.full((len(rows), 1), c)))
    if which == 2:
        return part(op, dy, at, "1", 1.0)
    if which == 1:
        return part(op, dy, at, "xhat", xhat, at)
    own, column = (at == index).all(1).astype(np.float64), xhat[..., c].reshape(-1)
    through_statistics = (1 + column * xhat[index]) / len(at)  # of mean and variance, which depend on every value
    trained = "apply" not in saved["backward_kernel"].__name__
    slope = gamma[c] * rstd[c] * (own - through_statistics * trained)
    return part(op, dy, at if trained else at[own > 0], "dy/dx", slope if trained else slope[own > 0])


def max_pool(op, saved, which, dy, index):
    """max_pool2d: the windows that hold the pixel, with factor 1 where it was the largest."""
    window = tuple(saved[name] for name in ("size", "stride", "padding", "dilation"))
    taps = grid(range(window[0][0]), range(window[0][1]))
    pq, there = positions(index[1:3], taps, window, dy.shape[1:3])
    at = [(index[0], *each, index[3]) for each in pq[there]]
    tap = (taps[:, 0] * window[0][1] + taps[:, 1])[there]
    won = [saved["winner"][each] == number for each, number in zip(at, tap)]
    return part(op, dy, at, "is the largest", np.array(won, np.float64), window=window)


def avg_pool(op, saved, which, dy, index):
    """avg_pool2d: the windows that hold the pixel, each with its share."""
    size, stride, padding = (saved[name] for name in ("size", "stride", "padding"))
    hw, counts, window = saved["x_shape"][1:3], dy.shape[1:3], (size, stride, padding, (1, 1))
    area = window_areas(np, hw, size, stride, padding, counts, saved["count_include_pad"])[..., 0]
    pq, there = positions(index[1:3], grid(range(size[0]), range(size[1])), window, counts)
    at = [(index[0], *each, index[3]) for each in pq[there]]
    return part(op, dy, at, "1/area", 1 / area[tuple(pq[there].T)], window=window)


def adaptive_avg_pool(op, saved, which, dy, index):
    """adaptive_avg_pool2d: likewise; windows may overlap and differ in size."""
    (_, i, j, _), (_, h, w, _) = index, saved["x_shape"]
    down = [(p, s.stop - s.start) for p, s in enumerate(adaptive_windows(h, dy.shape[1])) if s.start <= i < s.stop]
    across = [(q, s.stop - s.start) for q, s in enumerate(adaptive_windows(w, dy.shape[2])) if s.start <= j < s.stop]
    both = [(p, q, a * b) for p, a in down for q, b in across]
    return part(op, dy, [(index[0], p, q, index[3]) for p, q, _ in both], "1/area", [1 / a for _, _, a in both])


DISSECTORS = {
    "conv2d": convolution,
    "linear": linear,
    "batch_norm": batch_norm,
    "max_pool2d": max_pool,
    "avg_pool2d": avg_pool,
    "adaptive_avg_pool2d": adaptive_avg_pool,
}
