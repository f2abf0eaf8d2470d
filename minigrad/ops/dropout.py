"""Dropout."""

from ..precision import floats
from ..tensor import op
from .checks import images


@op(types=floats)
def dropout(ctx, x, *, p=0.5, seed):
    """Zero each element with probability p and scale the rest (Srivastava et al. 2014).

        y  = x m / (1 - p)   with m = 0 with probability p, else 1
        dx = dy m / (1 - p)

    What is dropped depends on seed and position alone, so backward needs nothing but the seed. ValueError unless p
    is from 0 to 1.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p must be a probability from 0 to 1; got {p}")
    k = ctx.kernels

    def backward(dy):
        return (k.dropout_forward(dy, p, seed),)

    return k.dropout_forward(x, p, seed), backward


@op(types=floats)
def dropout2d(ctx, x, *, p=0.5, seed):
    """Zero each channel of each image with probability p and scale the rest (Tompson et al. 2015).

        x (N, H, W, C)   ->   y as x

        y  = x m / (1 - p)   with one m for all pixels of a channel: 0 with probability p, else 1
        dx = dy m / (1 - p)

    What is dropped depends on seed and position alone. ValueError unless p is from 0 to 1.
    """
    images("dropout2d", x)
    if not 0 <= p <= 1:
        raise ValueError(f"dropout2d: p must be a probability from 0 to 1; got {p}")
    mask = ctx.kernels.dropout_forward(ctx.xp.ones((x.shape[0], 1, 1, x.shape[3]), x.dtype), p, seed)

    def backward(dy):
        return (dy * mask,)

    return x * mask, backward
