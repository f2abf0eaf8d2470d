"""Batch normalisation and local response normalisation."""

from ..precision import at_least_float32, floats, norms
from ..tensor import Tensor, op
from .checks import channels


@op(autocast=norms, types=floats, kernels_only=True)
def batch_norm(ctx, x, gamma, beta, *, running_mean=None, running_var=None, training=True, momentum=0.1, eps=1e-5):
    """Normalise each channel, then scale and shift it (Ioffe & Szegedy 2015, algorithms 1 and 2).

        x (..., C)   gamma (C,)   beta (C,)   ->   y as x

        y      = gamma xhat + beta   with   xhat = (x - mean) / sqrt(var + eps)
        dbeta  = sum dy,   dgamma = sum dy xhat
        dx     = gamma / sqrt(var + eps) (dy - (dbeta + xhat dgamma) / M)     training: mean and var depend on x
        dx     = gamma / sqrt(var + eps) dy                                    evaluation: they are constants

    training: mean and biased var of the batch (M values a channel). Otherwise mean and var are the running ones.
    CAREFUL, the one op that writes its settings: in training, running_mean and running_var (tensors or arrays, (C,),
    optional) are overwritten: they move towards the batch's mean and *unbiased* variance by `momentum`.
    ValueError for vectors that don't match x's channels, or one value a channel in training.
    """
    return normalise(ctx, "batch_norm", x, gamma, beta, running_mean, running_var, training, momentum, eps, relu=False)


def normalise(ctx, name, x, gamma, beta, running_mean, running_var, training, momentum, eps, relu):
    """batch_norm's forward and backward, with max(y, 0) at the end if relu."""
    k = ctx.kernels
    channels(name, x, gamma=gamma, beta=beta, running_mean=running_mean, running_var=running_var)
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError(f"{name}: training=False needs running_mean and running_var")
        mean, var = statistics(running_mean, x), statistics(running_var, x)
        y = k.batch_norm_apply(x, gamma, beta, mean, var, eps, relu)
    else:
        m = x.size // max(x.shape[-1], 1)
        if m == 1:
            raise ValueError(f"{name}: one value a channel has no variance; x {x.shape} needs a larger batch or image")
        y, mean, var = k.batch_norm_forward(x, gamma, beta, eps, relu)
        if running_mean is not None and m:
            move_statistics(k, (running_mean, running_var), mean, var, momentum, m)
    backward_kernel = k.batch_norm_backward if training else k.batch_norm_apply_backward

    def backward(dy):
        return backward_kernel(dy, x, gamma, beta, mean, var, eps, relu)

    return y, backward


def statistics(running, x):
    """Running statistics (a tensor or an array) as an array of the type that kernels want beside x."""
    array = running.data if isinstance(running, Tensor) else running
    return array.astype(at_least_float32(x.dtype), copy=False)


def move_statistics(k, running, mean, var, momentum, count):
    """Move running statistics (tensors or arrays) towards those of a batch of `count` values a channel, in place."""
    arrays = [r.to_be_written() if isinstance(r, Tensor) else r for r in running]
    batch = (own.astype(a.dtype, copy=False) for own, a in zip((mean, var), arrays))
    k.move_statistics(*arrays, *batch, momentum, count)


@op(types=floats, kernels_only=True)
def local_response_norm(ctx, x, *, size, alpha=1e-4, beta=0.75, k=1.0):
    """y = x / d^beta   with   d = k + (alpha / size) sum of x^2 over `size` neighbouring channels; x (..., C)

        dx = dy / d^beta - (2 alpha beta / size) x times the sum of dy x / d^(beta + 1) over channels it is near

    As in torch, alpha is divided by size. The paper (Krizhevsky et al. 2012, section 3.3) does not divide: its
    alpha = 1e-4 with n = 5 is alpha = 5e-4 here.
    """
    if not isinstance(size, int) or size < 1:
        raise ValueError(f"local_response_norm: size must be an int >= 1; got {size!r}")
    if not x.ndim:
        raise ValueError("local_response_norm: x must have channels in its last axis; it has no axes")
    kernels = ctx.kernels
    y, d = kernels.local_response_norm_forward(x, size, alpha, beta, k)

    def backward(dy):
        return (kernels.local_response_norm_backward(dy, x, d, size, alpha, beta),)

    return y, backward
