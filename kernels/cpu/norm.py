"""Batch normalisation in two passes over memory: one for sums over pixels, one that writes the result.

A row (see rows.py) holds one pixel, or several when C is small, and a *lane* is a position in it: lane i belongs to
channel i % C, and whatever belongs to a channel is repeated for each of its lanes. Rows are read from first to last,
whole: that alone reads memory at full speed. For the sums they are cut into parts of at most 1024 rows. The cut
depends on the shape alone, each part sums in the type of x, and the parts are added in order in float64: the result
is accurate, and the same for any number of threads.
"""

import numpy as np

from ..recording import also, empty, write, written, zeros
from .layout import deliver
from .llvm import fma
from .norm_rows import add_through_moments
from .rows import Rows, pixels, places, result, row, row_views, rows_of
from .runtime import parallel, serial
from .tasks import share

LANES = 512  # a row has about this many: loops over it are long, and its sums still fit the first-level cache
SAMPLES = 16  # pixels from which the pivot is taken


@parallel
def sample_means(x, rows, channels, pivot):
    """pivot (width,): roughly the mean of each lane's channel, from a few pixels evenly spread; 0 if not finite."""
    samples, total = min(rows, SAMPLES), np.zeros(channels)
    for i in range(samples):
        xs = row(x, i * rows // samples, channels)
        for c in range(channels):
            total[c] += xs[c]
    for i in range(len(pivot)):
        mean = total[i % channels] / max(samples, 1)
        pivot[i] = mean if abs(mean) < np.inf else 0.0


@serial
def totals(sums, c):
    """A channel's two sums, of all parts."""
    s, q = 0.0, 0.0
    for part in range(len(sums)):
        s += sums[part, 0, c]
        q += sums[part, 1, c]
    return s, q


@parallel
def join_moments(sums, pivot, count, mean, var):
    """mean and biased var (C,) of `count` pixels, in float64, from what moment_sums gives."""
    for c in range(len(mean)):
        s, q = totals(sums, c)
        offset = s / count
        variance = q / count - offset * offset
        mean[c], var[c] = pivot[c] + offset, 0.0 if variance < 0 else variance


@parallel
def scales_and_shifts(gamma, beta, mean, var, eps, lanes):
    """Normalisation as a multiplication and an addition. lanes: scale, shift and, where there is a third row, mean."""
    for i in range(lanes.shape[1]):
        c = i % len(mean)
        scale = gamma[c] / np.sqrt(var[c] + eps)
        lanes[0, i], lanes[1, i] = scale, beta[c] - mean[c] * scale
        if len(lanes) > 2:
            lanes[2, i] = mean[c]


@parallel
def join_gradients(sums, gamma, var, eps, count, dgamma, dbeta, lanes):
    """dgamma and dbeta (C,) from what gradient_sums gives, and in each lane the slope and the offset of dx."""
    for c in range(len(dgamma)):
        s, q = totals(sums, c)
        root = np.sqrt(var[c] + eps)
        scale, rstd = gamma[c] / root, 1 / root
        q *= rstd
        dgamma[c], dbeta[c] = q, s
        for i in range(c, lanes.shape[1], len(dgamma)):
            lanes[0, i], lanes[1, i] = -scale * rstd * q / count, -scale * s / count


@serial
def fold_lanes(lanes, totals):
    """Add up the lanes of each channel: lanes (width,) -> totals (C,)."""
    totals[:] = 0
    for start in range(0, lanes.size, totals.size):
        for c in range(totals.size):
            totals[c] += lanes[start + c]


@serial
def moment_part(part, x, size, pivot, sums):
    """sums[part] (2, C): the sums of x - pivot and of its square over a part of the rows."""
    parts, (rows, width) = sums.shape[0], size
    s, q = np.zeros(width, pivot.dtype), np.zeros(width, pivot.dtype)
    for r in range(rows * part // parts, rows * (part + 1) // parts):
        xs = row(x, r, width)
        for i in range(xs.size):
            d = xs[i] - pivot[i]
            s[i] += d
            q[i] = fma(d, d, q[i])
    fold_lanes(s, sums[part, 0])
    fold_lanes(q, sums[part, 1])


@parallel
def moment_sums(x, size, pivot, sums):
    share(moment_part, len(sums), (x, size, pivot, sums))


@serial
def gradient_part(part, dy, x, size, terms, floor, sums):
    """sums[part] (2, C): the sums of dy and of dy (x - mean) over a part; dy is 0 where the output was cut off.

    terms: scale, shift and mean
    """
    scale, shift, mean = terms
    parts, (rows, width), zero = sums.shape[0], size, mean.dtype.type(0)
    s, q = np.zeros(width, mean.dtype), np.zeros(width, mean.dtype)
    for r in range(rows * part // parts, rows * (part + 1) // parts):
        dys, xs = row(dy, r, width), row(x, r, width)
        for i in range(xs.size):
            dy_i, z = dys[i], fma(xs[i], scale[i], shift[i])
            d = zero if z <= floor else dy_i
            s[i] += d
            q[i] = fma(d, xs[i] - mean[i], q[i])
    fold_lanes(s, sums[part, 0])
    fold_lanes(q, sums[part, 1])


@parallel
def gradient_sums(dy, x, size, terms, floor, sums):
    share(gradient_part, len(sums), (dy, x, size, terms, floor, sums))


@serial
def scale_row(r, x, y, width, terms, floor):
    """y = max(x scale + shift, floor), NaN where that is NaN. terms: scale and shift"""
    xs, ys, (scale, shift) = row(x, r, width), row(y, r, width), terms
    for i in range(xs.size):
        z = fma(xs[i], scale[i], shift[i])
        ys[i] = floor if z < floor else z


@parallel
def scale_rows(x, y, size, terms, floor):
    share(scale_row, size[0], (x, y, size[1], terms, floor))


@serial
def gradient_row(r, dy, x, dx, width, terms, floor):
    """dx = scale dy + slope (x - mean) + offset, dy as in gradient_part. terms: scale, shift, mean, slope, offset"""
    scale, shift, mean, slope, offset = terms
    dys, xs, dxs, zero = row(dy, r, width), row(x, r, width), row(dx, r, width), mean.dtype.type(0)
    for i in range(xs.size):
        dy_i, z = dys[i], fma(xs[i], scale[i], shift[i])
        d = zero if z <= floor else dy_i
        dxs[i] = fma(scale[i], d, fma(slope[i], xs[i] - mean[i], offset[i]))


@parallel
def gradient_rows(dy, x, dx, size, terms, floor):
    share(gradient_row, size[0], (dy, x, dx, size[1], terms, floor))


def lane_views(*arrays):
    """row_views with rows of whole pixels, about LANES wide if the arrays are contiguous."""
    channels = arrays[0].shape[-1]
    return row_views(*arrays, block=channels * max(1, LANES // max(channels, 1)))


def empty_sums(rows, channels):
    """(parts, 2, C): at most 1024 rows to a part; many parts are a multiple of 64, which divides among threads."""
    parts = (rows + 31) // 32 if rows <= 2048 else 64 * ((rows + 65535) // 65536)
    return empty((parts, 2, channels), np.float64)


def pixel_count(x):
    return max(x.size // max(x.shape[-1], 1), 1)


def moments(x, dtype):
    """Mean and biased variance of each channel, from sums about a pivot near the mean: nothing cancels."""
    channels, views = x.shape[-1], lane_views(x)
    flat, (rows, width) = views
    pivot, sums = empty((width,), x.dtype), empty_sums(rows, channels)
    mean, var = empty((channels,), dtype), empty((channels,), dtype)
    sample_means(flat, rows, channels, pivot)
    moment_sums(*views, pivot, sums)
    join_moments(sums, pivot, pixel_count(x), mean, var)
    return mean, var


def stacked(dtype, *vectors):
    """The vectors as the rows of a matrix."""
    rows = empty((len(vectors), vectors[0].size), dtype)
    also(write, rows, vectors)
    return rows


def floor_of(x, relu):
    """What the output is cut off at: 0 with ReLU, else nothing."""
    return x.dtype.type(0 if relu else -np.inf)


def channel_sum(x):
    """Sum over all axes but the last. (..., C) -> (C,)"""
    total, mean = empty(x.shape[-1:], x.dtype), moments(x, np.float64)[0]
    also(multiply, mean, x.size // max(x.shape[-1], 1), total)
    return total


@np.errstate(over="ignore", invalid="ignore")  # what is not finite shows in the results, as where loops are compiled
def multiply(mean, count, total):
    total[...] = mean * count


@parallel
def add_line(gamma, var, dgamma, dbeta, eps, count, slope, offset):
    for c in range(len(slope)):
        rstd = 1 / np.sqrt(var[c] + eps)
        scale = -gamma[c] * rstd / count
        slope[c] += scale * rstd * dgamma[c]
        offset[c] += scale * dbeta[c]


def moments_line(gamma, var, dgamma, dbeta, eps, count, slope=None, offset=None):
    """The line by which a gradient flows through the moments of `count` values (dense.py): slope, offset, (C,) each.

    They are added into slope and offset where these are given.
    """
    if slope is None or offset is None:
        slope, offset = zeros(var.shape, var.dtype), zeros(var.shape, var.dtype)
    add_line(gamma, var, dgamma, dbeta, float(eps), float(count), written(slope), written(offset))
    return slope, offset


def channel_mean_var(x):
    """Mean and biased variance of each channel. (..., C) -> (C,), (C,)"""
    return moments(x, x.dtype)


def batch_norm_forward(x, gamma, beta, eps, relu=False, out=None):
    """Normalise with the batch's own statistics: y (as x), mean (C,), biased var (C,). With relu, y = max(y, 0)."""
    mean, var = channel_mean_var(x)
    return batch_norm_apply(x, gamma, beta, mean, var, eps, relu, out), mean, var


def batch_norm_apply(x, gamma, beta, mean, var, eps, relu=False, out=None):
    """Normalise with given statistics: y = gamma (x - mean) / sqrt(var + eps) + beta. With relu, y = max(y, 0)."""
    y = result(x.shape, x.dtype, out)
    views = lane_views(x, y)
    lanes = empty((2, views[-1][1]), x.dtype)
    scales_and_shifts(gamma, beta, mean, var, float(eps), lanes)
    scale_rows(*views, tuple(lanes), floor_of(x, relu))
    return deliver(y, out)


def backward(dy, x, gamma, beta, mean, var, eps, relu, count):
    """dx, dgamma, dbeta. count: the pixels that mean and var were computed from; infinite if they are constants."""
    dtype, floor = x.dtype, floor_of(x, relu)
    dx, dgamma, dbeta = empty(x.shape, dtype), empty(gamma.shape, dtype), empty(beta.shape, dtype)
    views = lane_views(dy, x, dx)
    size = views[-1]
    lanes, sums = empty((5, size[1]), dtype), empty_sums(size[0], x.shape[-1])
    scales_and_shifts(gamma, beta, mean, var, float(eps), lanes[:3])
    gradient_sums(*views[:2], size, tuple(lanes[:3]), floor, sums)
    join_gradients(sums, gamma, var, float(eps), float(count), dgamma, dbeta, lanes[3:])
    gradient_rows(*views, tuple(lanes), floor)
    return dx, dgamma, dbeta


def batch_norm_backward(dy, x, gamma, beta, mean, var, eps, relu=False):
    """dx, dgamma, dbeta when mean and var were computed from x."""
    return backward(dy, x, gamma, beta, mean, var, eps, relu, pixel_count(x))


def batch_norm_apply_backward(dy, x, gamma, beta, mean, var, eps, relu=False):
    """dx, dgamma, dbeta when mean and var are constants (evaluation mode)."""
    return backward(dy, x, gamma, beta, mean, var, eps, relu, np.inf)


@serial
def add_row(r, like, g, x, dx, terms):
    """terms (3, C): mean, slope and offset"""
    at_g, at_x, at_dx = Rows(g[0] + r * g[1], 0), Rows(x[0] + r * x[1], 0), Rows(dx[0] + r * dx[1], 0)
    add_through_moments(like, at_g, at_x, at_dx, (1, terms.shape[1]), rows_of(terms))


@parallel
def add_rows(like, g, x, dx, pixel_count, terms):
    share(add_row, pixel_count, (like, g, x, dx, terms))


@parallel
def move(running, batch, factor, keep, share):
    """running = keep running + share factor batch"""
    for c in range(len(running)):
        running[c] = keep * running[c] + share * (batch[c] * factor)


def move_statistics(running_mean, running_var, mean, var, momentum, count):
    """running = (1 - momentum) running + momentum batch, in place; var of `count` values is made unbiased.  (C,)"""
    for running, batch, factor in (running_mean, mean, 1), (running_var, var, count / (count - 1)):
        if isinstance(momentum, np.ndarray):
            also(move_by, written(running), batch, factor, momentum)
        else:
            move_by(written(running), batch, factor, momentum)


def move_by(running, batch, factor, momentum):
    """momentum: a number, or an array of one, which a replay reads anew"""
    momentum, number = momentum.item() if isinstance(momentum, np.ndarray) else momentum, running.dtype.type
    move(running, batch, number(factor), number(1 - momentum), number(momentum))


def through_moments(g, x, mean, slope, offset, out=None):
    """The gradient of x from g, its part that does not flow through x's moments: g + slope (x - mean) + offset."""
    dx, rows = result(x.shape, x.dtype, out), x.size // max(x.shape[-1], 1)
    terms, arrays = stacked(x.dtype, mean, slope, offset), (pixels(g), pixels(x), pixels(dx))
    add_rows(x.dtype.type(0), *places(*arrays), rows, terms)
    return deliver(dx, out)
