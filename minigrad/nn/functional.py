"""The ops under torch's names and argument orders. Arrays are channels last: x (N, H, W, C), w (K, R, S, C/groups).

What takes one number for a pair (stride, padding, dilation, kernel_size) also takes a (vertical, horizontal) pair.
"""

import os

from .. import ops
from ..recompute import draw, recomputing
from ..tensor import Tensor

Size = int | tuple[int, int]

relu = ops.relu
add_relu = ops.add_relu
sigmoid = ops.sigmoid
tanh = ops.tanh
concat = ops.concat


def conv2d(x, w, b=None, stride: Size = 1, padding: Size = 0, dilation: Size = 1, groups=1, relu=False):
    """Convolution, then max(y, 0) if relu. See ops.conv2d."""
    run = ops.conv2d_relu if relu else ops.conv2d
    return run(x, w, b, stride=stride, padding=padding, dilation=dilation, groups=groups)


def conv_transpose2d(
    x, w, b=None, stride: Size = 1, padding: Size = 0, output_padding: Size = 0, groups=1, dilation: Size = 1
):
    """Transposed convolution. See ops.conv_transpose2d."""
    settings = dict(stride=stride, padding=padding, output_padding=output_padding, groups=groups, dilation=dilation)
    return ops.conv_transpose2d(x, w, b, **settings)


def linear(x, w, b=None, relu=False):
    """x w^T + b, then max(y, 0) if relu. See ops.linear."""
    return (ops.linear_relu if relu else ops.linear)(x, w, b)


def batch_norm(x, running_mean, running_var, weight, bias, training=False, momentum=0.1, eps=1e-5, relu=False):
    """Batch normalisation, then max(y, 0) if relu. A checkpointed second run leaves the running statistics alone."""
    run = ops.batch_norm_relu if relu else ops.batch_norm
    if training and recomputing():
        running_mean = running_var = None
    settings = dict(running_mean=running_mean, running_var=running_var, training=training, momentum=momentum, eps=eps)
    return run(x, weight, bias, **settings)


def dense_block(x, weights, units, running, training=False, momentum=0.1, eps=1e-5, memory_efficient=False):
    """A DenseNet block in one buffer. weights: a flat list (gamma, beta, w, gamma, beta, ...). See ops.dense_block."""
    if training and recomputing():
        running = None
    settings = dict(training=training, momentum=momentum, eps=eps, memory_efficient=memory_efficient)
    return ops.dense_block(x, *weights, units=units, running=running, **settings)


def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    """Normalise by the squares of neighbouring channels. See ops.local_response_norm."""
    return ops.local_response_norm(x, size=size, alpha=alpha, beta=beta, k=k)


def max_pool2d(
    x, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode=False
):
    """The largest of each window. See ops.max_pool2d."""
    settings = dict(kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)
    return ops.max_pool2d(x, **settings)


def avg_pool2d(
    x, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode=False, count_include_pad=True
):
    """The mean of each window. See ops.avg_pool2d."""
    settings = dict(kernel_size=kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode)
    return ops.avg_pool2d(x, **settings, count_include_pad=count_include_pad)


def adaptive_avg_pool2d(x, output_size):
    """Means over a grid of output_size windows. See ops.adaptive_avg_pool2d."""
    return ops.adaptive_avg_pool2d(x, output_size=output_size)


def leaky_relu(x, negative_slope=0.01):
    """x where positive, else negative_slope x."""
    return ops.leaky_relu(x, negative_slope=negative_slope)


def _last_axis(name, x, dim):
    if dim % x.ndim != x.ndim - 1:
        raise ValueError(f"{name}: only the last axis is supported (channels are last); got dim {dim} of {x.shape}")


def softmax(x, dim=-1):
    """Softmax over the last axis."""
    _last_axis("softmax", x, dim)
    return ops.softmax(x)


def log_softmax(x, dim=-1):
    """Logarithm of softmax over the last axis."""
    _last_axis("log_softmax", x, dim)
    return ops.log_softmax(x)


def dropout(x, p=0.5, training=True, seed=None):
    """Zero each element with probability p while training. seed: what decides which; None draws a fresh one."""
    if not training or p == 0:
        return x
    return ops.dropout(x, p=p, seed=draw(lambda: int.from_bytes(os.urandom(7)) if seed is None else seed))


def pad(x, pads, value=0.0):
    """Put `value` around x. pads: (before, after) for each axis, first axis first (not torch's flat list)."""
    return ops.pad(x, pads=pads, value=value)


def cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """Softmax cross-entropy of logits x (M, K) and classes (M,) or probabilities (M, K). See ops.cross_entropy."""
    weight = weight.data if isinstance(weight, Tensor) else weight
    settings = dict(ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing)
    return ops.cross_entropy(x, target, weight=weight, **settings)
