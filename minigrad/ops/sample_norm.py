"""Norms of one image, or one row, at a time: layer, group and instance norm. Training and evaluation agree."""

import math

from kernels.reference.arrays import exact_mean

from ..precision import at_least_float32, floats, sums
from ..tensor import op
from .checks import channels, images, whole
from .norm import move_statistics


@op(autocast=sums, types=floats)
def layer_norm(ctx, x, gamma=None, beta=None, *, normalized_shape, eps=1e-5):
    """Normalise over the last axes of each row, then scale and shift each element (Ba et al. 2016).

        x (..., *normalized_shape)   gamma, beta: normalized_shape, or None   ->   y as x

        y      = gamma xhat + beta   with   xhat = (x - mean) rstd,   rstd = 1 / sqrt(var + eps)
        dx     = rstd (g - mean of g - xhat mean of g xhat)   with   g = gamma dy
        dgamma = sum dy xhat,   dbeta = sum dy   over the rows

    ValueError for a normalized_shape that is not the end of x's shape.
    """
    size = (normalized_shape,) if not isinstance(normalized_shape, tuple | list) else tuple(normalized_shape)
    if not size or x.shape[-len(size) :] != size:
        raise ValueError(f"layer_norm: normalized_shape must be the end of x's shape {x.shape}; got {size}")
    for what, v in dict(gamma=gamma, beta=beta).items():
        if v is not None and v.shape != size:
            raise ValueError(f"layer_norm: {what} must have shape {size}; got {v.shape}")
    return grouped(ctx, x, gamma, beta, (-1, 1, 1, math.prod(size)), eps)


@op(autocast=sums, types=floats)
def group_norm(ctx, x, gamma=None, beta=None, *, num_groups, eps=1e-5):
    """Normalise each group of channels of each image, then scale and shift each channel (Wu & He 2018).

        x (N, ..., C)   gamma, beta (C,) or None   ->   y as x

        y      = gamma xhat + beta   with   xhat = (x - mean) rstd,   rstd = 1 / sqrt(var + eps)
        dx     = rstd (g - mean of g - xhat mean of g xhat)   with   g = gamma dy;   means over pixels and group
        dgamma = sum dy xhat,   dbeta = sum dy   over images and pixels

    ValueError where num_groups does not divide C, or for vectors that don't match x's channels.
    """
    num_groups = whole("group_norm", "num_groups", num_groups)
    channels("group_norm", x, gamma=gamma, beta=beta)
    if x.ndim < 2 or x.shape[-1] % num_groups:
        raise ValueError(f"group_norm: num_groups must divide x's channels (last axis); got {num_groups}, x {x.shape}")
    shape = (x.shape[0], math.prod(x.shape[1:-1]), num_groups, x.shape[-1] // num_groups)
    return grouped(ctx, x, gamma, beta, shape, eps)


@op(autocast=sums, types=floats)
def instance_norm(ctx, x, gamma=None, beta=None, *, eps=1e-5, running_mean=None, running_var=None, momentum=0.1):
    """Normalise each channel of each image: group_norm with one group a channel (Ulyanov et al. 2016).

        x (N, H, W, C)   gamma, beta (C,) or None   ->   y as x

        y = gamma xhat + beta   with   xhat = (x - mean) / sqrt(var + eps),   mean and var over the H W pixels
        dx, dgamma, dbeta as of group_norm, with means over the pixels

    CAREFUL, it writes its settings, as batch_norm does: running_mean and running_var (tensors or arrays, (C,),
    optional) move by momentum towards the means over the images of mean and *unbiased* var.
    ValueError for vectors that don't match x's channels, and for images of one pixel.
    """
    images("instance_norm", x)
    channels("instance_norm", x, gamma=gamma, beta=beta, running_mean=running_mean, running_var=running_var)
    n, h, w, c = x.shape
    if h * w == 1:
        raise ValueError(f"instance_norm: one pixel has no variance; x {x.shape} needs a larger image")
    if running_mean is not None and n:
        wide = x.astype(at_least_float32(x.dtype), copy=False)
        own = exact_mean(wide, (1, 2), True)
        spread = exact_mean(exact_mean((wide - own) ** 2, (1, 2), True), (0,)).reshape(c)
        move_statistics(
            ctx.kernels, (running_mean, running_var), exact_mean(own, (0,)).reshape(c), spread, momentum, h * w
        )
    return grouped(ctx, x, gamma, beta, (n, h * w, c, 1), eps)


def grouped(ctx, x, gamma, beta, shape, eps):
    """Forward and backward on x seen as `shape` (N, P, G, D); gamma and beta as (G, D)."""
    k, xp, own, given = ctx.kernels, ctx.xp, x.shape, (gamma is not None, beta is not None)
    x, vector = x.reshape(shape), None if gamma is None else gamma.shape
    vector = vector if beta is None else beta.shape
    gamma = xp.ones(shape[2:], x.dtype) if gamma is None else gamma.reshape(shape[2:])
    beta = xp.zeros(shape[2:], x.dtype) if beta is None else beta.reshape(shape[2:])
    y, mean, rstd = k.group_norm_forward(x, gamma, beta, eps)

    def backward(dy):
        dx, *dvectors = k.group_norm_backward(dy.reshape(x.shape), x, gamma, mean, rstd)
        return dx.reshape(own), *(d.reshape(vector) if g else None for d, g in zip(dvectors, given))

    return y.reshape(own), backward
