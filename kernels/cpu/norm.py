"""Batch normalisation in two passes over memory: one for sums over pixels, one that writes the result.

A row (see rows.py) holds one pixel, or several when C is small, and a *lane* is a position in it: lane i belongs to
channel i % C, and whatever belongs to a channel is repeated for each of its lanes. Rows are read from first to last,
whole: that alone reads memory at full speed. For the sums they are cut into chunks of at most 1024 rows. The cut
depends on the shape alone, each chunk sums in the type of x, and the chunks are added in order in float64: the result
is accurate, and the same for any number of threads.
"""

import numpy as np
from numba import prange

from .layout import deliver
from .llvm import fma
from .norm_rows import add_through_moments
from .rows import addresses, pixels, result, row_views
from .runtime import parallel, serial

LANES = 512  # a row has about this many: loops over it are long, and its sums still fit the first-level cache
SAMPLES = 16  # pixels from which the pivot is taken

# What is not finite shows in the results, as it does where the loops are compiled.
silently = np.errstate(over="ignore", invalid="ignore")


@serial
def sampled_mean(x, step, rows, channels):
    """Roughly the mean of each channel, from a few pixels evenly spread: a pivot for the sums, 0 if not finite."""
    samples, total = min(rows, SAMPLES), np.zeros(channels)
    for i in range(samples):
        start = i * rows // samples * step
        for c in range(channels):
            total[c] += x[start + c]
    pivot = np.empty(channels, x.dtype)
    for c in range(channels):
        pivot[c] = total[c] / max(samples, 1) if abs(total[c]) < np.inf else 0.0
    return pivot


@serial
def fold_lanes(lanes, totals):
    """Add up the lanes of each channel: lanes (width,) -> totals (C,)."""
    totals[:] = 0
    for start in range(0, lanes.size, totals.size):
        for c in range(totals.size):
            totals[c] += lanes[start + c]


@parallel
def moment_sums(x, step, rows, width, pivot, sums):
    """sums[chunk] (2, C): the sums of x - pivot and of its square over a chunk of rows."""
    chunks = sums.shape[0]
    for chunk in prange(chunks):
        s, q = np.zeros(width, x.dtype), np.zeros(width, x.dtype)
        for r in range(rows * chunk // chunks, rows * (chunk + 1) // chunks):
            xs = x[r * step : r * step + width]
            for i in range(xs.size):
                d = xs[i] - pivot[i]
                s[i] += d
                q[i] = fma(d, d, q[i])
        fold_lanes(s, sums[chunk, 0])
        fold_lanes(q, sums[chunk, 1])


@parallel
def gradient_sums(dy, dy_step, x, x_step, rows, width, scale, shift, mean, floor, sums):
    """sums[chunk] (2, C): the sums of dy and of dy (x - mean) over a chunk; dy is 0 where the output was cut off."""
    chunks, zero = sums.shape[0], x.dtype.type(0)
    for chunk in prange(chunks):
        s, q = np.zeros(width, x.dtype), np.zeros(width, x.dtype)
        for r in range(rows * chunk // chunks, rows * (chunk + 1) // chunks):
            dys, xs = dy[r * dy_step : r * dy_step + width], x[r * x_step : r * x_step + width]
            for i in range(xs.size):
                dy_i, z = dys[i], fma(xs[i], scale[i], shift[i])
                d = zero if z <= floor else dy_i
                s[i] += d
                q[i] = fma(d, xs[i] - mean[i], q[i])
        fold_lanes(s, sums[chunk, 0])
        fold_lanes(q, sums[chunk, 1])


@parallel
def scale_rows(x, x_step, y, y_step, rows, width, scale, shift, floor):
    """y = max(x scale + shift, floor), NaN where that is NaN."""
    for r in prange(rows):
        xs, ys = x[r * x_step : r * x_step + width], y[r * y_step : r * y_step + width]
        for i in range(xs.size):
            z = fma(xs[i], scale[i], shift[i])
            ys[i] = floor if z < floor else z


@parallel
def gradient_rows(dy, dy_step, x, x_step, dx, dx_step, rows, width, scale, shift, mean, slope, offset, floor):
    """dx = scale dy + slope (x - mean) + offset, with dy as in gradient_sums."""
    zero = x.dtype.type(0)
    for r in prange(rows):
        dys, xs = dy[r * dy_step : r * dy_step + width], x[r * x_step : r * x_step + width]
        dxs = dx[r * dx_step : r * dx_step + width]
        for i in range(xs.size):
            dy_i, z = dys[i], fma(xs[i], scale[i], shift[i])
            d = zero if z <= floor else dy_i
            dxs[i] = fma(scale[i], d, fma(slope[i], xs[i] - mean[i], offset[i]))


def lane_views(*arrays):
    """row_views with rows of whole pixels, about LANES wide if the arrays are contiguous."""
    channels = arrays[0].shape[-1]
    return row_views(*arrays, block=channels * max(1, LANES // max(channels, 1)))


def to_lanes(values, width, dtype):
    """A value for each channel (C,) repeated for each lane (width,)."""
    lanes = np.empty((width // len(values), len(values)), dtype)
    lanes[:] = values
    return lanes.reshape(-1)


def empty_sums(rows, channels):
    """(chunks, 2, C): at most 1024 rows to a chunk; many chunks are a multiple of 64, which divides among threads."""
    chunks = (rows + 31) // 32 if rows <= 2048 else 64 * ((rows + 65535) // 65536)
    return np.empty((chunks, 2, channels))


def pixel_count(x):
    return max(x.size // max(x.shape[-1], 1), 1)


@silently
def moments(x):
    """Mean and biased variance of each channel in float64, from sums about a pivot near the mean: nothing cancels."""
    channels, views = x.shape[-1], lane_views(x)
    flat, step, rows, width = views
    pivot, sums = sampled_mean(flat, step, rows, channels), empty_sums(rows, channels)
    moment_sums(*views, to_lanes(pivot, width, x.dtype), sums)
    offset, square = sums.sum(0) / pixel_count(x)
    return pivot + offset, np.maximum(square - offset * offset, 0)


def scale_and_shift(gamma, beta, mean, var, eps):
    """Normalisation as one multiplication and one addition for each channel, in float64."""
    scale = gamma / np.sqrt(var + np.float64(eps))
    return scale, beta - mean * scale


def floor_of(x, relu):
    """What the output is cut off at: 0 with ReLU, else nothing."""
    return x.dtype.type(0 if relu else -np.inf)


@silently
def channel_sum(x):
    """Sum over all axes but the last. (..., C) -> (C,)"""
    return (moments(x)[0] * (x.size // max(x.shape[-1], 1))).astype(x.dtype)


@silently
def channel_mean_var(x):
    """Mean and biased variance of each channel. (..., C) -> (C,), (C,)"""
    mean, var = moments(x)
    return mean.astype(x.dtype), var.astype(x.dtype)


def batch_norm_forward(x, gamma, beta, eps, relu=False, out=None):
    """Normalise with the batch's own statistics: y (as x), mean (C,), biased var (C,). With relu, y = max(y, 0)."""
    mean, var = channel_mean_var(x)
    return batch_norm_apply(x, gamma, beta, mean, var, eps, relu, out), mean, var


@silently
def batch_norm_apply(x, gamma, beta, mean, var, eps, relu=False, out=None):
    """Normalise with given statistics: y = gamma (x - mean) / sqrt(var + eps) + beta. With relu, y = max(y, 0)."""
    y = result(x.shape, x.dtype, out)
    views = lane_views(x, y)
    terms = scale_and_shift(gamma, beta, mean, var, eps)
    scale_rows(*views, *(to_lanes(term, views[-1], x.dtype) for term in terms), floor_of(x, relu))
    return deliver(y, out)


@silently
def backward(dy, x, gamma, beta, mean, var, eps, relu, count):
    """dx, dgamma, dbeta. count: the pixels that mean and var were computed from; infinite if they are constants."""
    dtype, floor = x.dtype, floor_of(x, relu)
    dx = np.empty(x.shape, dtype)
    views = lane_views(dy, x, dx)
    rows, width = views[-2:]
    scale, shift = scale_and_shift(gamma, beta, mean, var, eps)
    lanes = [to_lanes(term, width, dtype) for term in (scale, shift, mean)]
    sums = empty_sums(rows, x.shape[-1])
    gradient_sums(*views[:4], rows, width, *lanes, floor, sums)
    dbeta, dgamma = sums.sum(0)
    rstd = 1 / np.sqrt(var + np.float64(eps))
    dgamma *= rstd
    lanes += [to_lanes(term, width, dtype) for term in (-scale * rstd * dgamma / count, -scale * dbeta / count)]
    gradient_rows(*views, *lanes, floor)
    return dx, dgamma.astype(dtype), dbeta.astype(dtype)


def batch_norm_backward(dy, x, gamma, beta, mean, var, eps, relu=False):
    """dx, dgamma, dbeta when mean and var were computed from x."""
    return backward(dy, x, gamma, beta, mean, var, eps, relu, pixel_count(x))


def batch_norm_apply_backward(dy, x, gamma, beta, mean, var, eps, relu=False):
    """dx, dgamma, dbeta when mean and var are constants (evaluation mode)."""
    return backward(dy, x, gamma, beta, mean, var, eps, relu, np.inf)


@parallel
def add_rows(like, g, g_step, x, x_step, dx, dx_step, rows, channels, terms):
    for r in prange(rows):
        mean = np.int64(terms.ctypes.data)
        slope, offset = mean + terms.strides[0], mean + 2 * terms.strides[0]
        places = g + r * g_step, x + r * x_step, dx + r * dx_step
        add_through_moments(like, places[0], 0, places[1], 0, places[2], 0, 1, channels, mean, slope, offset)


def through_moments(g, x, mean, slope, offset, out=None):
    """The gradient of x from g, its part that does not flow through x's moments: g + slope (x - mean) + offset."""
    dx, rows = result(x.shape, x.dtype, out), x.size // max(x.shape[-1], 1)
    terms, arrays = np.array([mean, slope, offset], x.dtype), (pixels(g), pixels(x), pixels(dx))
    add_rows(x.dtype.type(0), *addresses(*arrays), rows, x.shape[-1], terms)
    return deliver(dx, out)
