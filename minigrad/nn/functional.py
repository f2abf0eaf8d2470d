"""The ops under torch's names and argument orders. Arrays are channels last: x (N, H, W, C), w (K, R, S, C/groups).

What takes one number for a pair (stride, padding, dilation, kernel_size) also takes a (vertical, horizontal) pair.
"""

import math
from typing import Any

from .. import ops
from ..ops import lookup
from ..ops.by_position import by_position
from ..ops.padding import padded_pool, padded_windows, pairs_of
from ..random import fresh_seed
from ..recompute import draw, recomputing
from ..tensor import Tensor

Size = int | tuple[int, int]

add_relu = ops.add_relu
sigmoid = by_position(ops.sigmoid)
tanh = by_position(ops.tanh)
concat = ops.concat

leaky_relu = by_position(ops.leaky_relu, inplace=True)
relu6 = by_position(ops.relu6, inplace=True)
hardtanh = by_position(ops.hardtanh, inplace=True)
hardsigmoid = by_position(ops.hardsigmoid, inplace=True)
hardswish = by_position(ops.hardswish, inplace=True)
elu = by_position(ops.elu, inplace=True)
selu = by_position(ops.selu, inplace=True)
silu = by_position(ops.silu, inplace=True)
mish = by_position(ops.mish, inplace=True)
gelu = by_position(ops.gelu)
softplus = by_position(ops.softplus)
logsigmoid = by_position(ops.logsigmoid)
prelu = by_position(ops.prelu)
softmax = by_position(ops.softmax)
log_softmax = by_position(ops.log_softmax)

mse_loss = by_position(ops.mse_loss)
l1_loss = by_position(ops.l1_loss)
smooth_l1_loss = by_position(ops.smooth_l1_loss)
huber_loss = by_position(ops.huber_loss)
binary_cross_entropy = by_position(ops.binary_cross_entropy)
binary_cross_entropy_with_logits = by_position(ops.binary_cross_entropy_with_logits)
nll_loss = by_position(ops.nll_loss)
kl_div = by_position(ops.kl_div)
cosine_similarity = by_position(ops.cosine_similarity)
cosine_embedding_loss = by_position(ops.cosine_embedding_loss)
normalize = by_position(ops.normalize)

interpolate = by_position(ops.interpolate)
adaptive_avg_pool2d = by_position(ops.adaptive_avg_pool2d)
adaptive_max_pool2d = by_position(ops.adaptive_max_pool2d)
pixel_shuffle = by_position(ops.pixel_shuffle)
pixel_unshuffle = by_position(ops.pixel_unshuffle)

conv1d = by_position(ops.conv1d)
conv_transpose1d = by_position(ops.conv_transpose1d)
max_pool1d = by_position(ops.max_pool1d)
avg_pool1d = by_position(ops.avg_pool1d)
adaptive_avg_pool1d = by_position(ops.adaptive_avg_pool1d)
adaptive_max_pool1d = by_position(ops.adaptive_max_pool1d)

embedding = lookup.embedding
one_hot = lookup.one_hot
scaled_dot_product_attention = lookup.scaled_dot_product_attention


def is_four(padding):
    """Is this (left, right, top, bottom)?"""
    return isinstance(padding, tuple | list) and len(padding) == 4


def relu(x, inplace=False):
    """max(x, 0). inplace is taken for torch's sake: no op writes into its input."""
    return ops.relu(x)


def conv2d(x, w, b=None, stride: Size = 1, padding: Size = 0, dilation: Size = 1, groups=1, relu=False):
    """Convolution, then max(y, 0) if relu. See ops.conv2d.

    padding may also be "same" (with stride 1, y is as large as x) or (left, right, top, bottom).
    """
    run = ops.conv2d_relu if relu else ops.conv2d
    if isinstance(padding, str) or is_four(padding):
        x, padding = padded_windows(x, padding, w.shape[1:3], stride, dilation)
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


def batch_norm(
    x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5, relu=False
):
    """Batch normalisation, then max(y, 0) if relu. Without weight and bias they are 1 and 0. See ops.batch_norm.

    A checkpointed second run leaves the running statistics alone.
    """
    run = ops.batch_norm_relu if relu else ops.batch_norm
    if training and recomputing():
        running_mean = running_var = None
    weight = x.device.xp.ones(x.shape[-1:], x.dtype) if weight is None else weight
    bias = x.device.xp.zeros(x.shape[-1:], x.dtype) if bias is None else bias
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
    """The largest of each window. See ops.max_pool2d. padding may also be (left, right, top, bottom)."""
    if is_four(padding):
        x, padding = padded_pool("max_pool2d", x, padding, kernel_size, stride, -math.inf)
    settings = dict(kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)
    return ops.max_pool2d(x, **settings)


def dropout(x, p=0.5, training=True, seed=None):
    """Zero each element with probability p while training. seed: what decides which; None draws a fresh one."""
    if not training or p == 0:
        return x
    return ops.dropout(x, p=p, seed=draw(lambda: fresh_seed() if seed is None else seed))


def dropout2d(x, p=0.5, training=True, seed=None):
    """Zero each channel of each image with probability p while training. seed: what decides which; None: a new one."""
    if not training or p == 0:
        return x
    return ops.dropout2d(x, p=p, seed=draw(lambda: fresh_seed() if seed is None else seed))


def pad(x, pads, mode="constant", value=0.0):
    """Put more around x: `value`, or by mode "reflect", "replicate" or "circular" what continues it (ops.pad_by).

    pads: (before, after) for each axis, first axis first. Torch's flat list is taken where its axes are beyond doubt:
    of images (N, H, W, C) it is (left, right, top, bottom), as torch's for the same images; of a matrix or a vector
    it begins with the last axis. ValueError for other pads.
    """
    pads = pairs_of(pads, x.ndim)
    return ops.pad(x, pads=pads, value=value) if mode == "constant" else ops.pad_by(x, pads=pads, mode=mode)


def avg_pool2d(
    x, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode=False, count_include_pad=True,
    divisor_override=None,
):  # fmt: skip
    """The mean of each window, or with divisor_override its sum by that. See ops.avg_pool2d.

    padding may also be (left, right, top, bottom).
    """
    if is_four(padding):
        shape, whole = x.shape, (x, padding)
        x, padding = padded_pool("avg_pool2d", *whole, kernel_size, stride)
        if not count_include_pad and x.shape != shape and divisor_override is None:
            return mean_of_pixels(*whole, kernel_size, stride, ceil_mode)
    window: dict[str, Any] = dict(kernel_size=kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode)
    if divisor_override is not None:
        return ops.sum_pool2d(x, **window, divisor=divisor_override)
    return ops.avg_pool2d(x, **window, count_include_pad=count_include_pad)


def mean_of_pixels(x, padding, kernel_size, stride, ceil_mode):
    """avg_pool2d that leaves a padding of four out of its means: the mean with it, by the share that are pixels."""
    ones = Tensor(x.device.xp.ones((1, *x.shape[1:3], 1), x.dtype))
    settings = kernel_size, stride, padding, ceil_mode
    return avg_pool2d(x, *settings) / avg_pool2d(ones, *settings)


def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Normalise over the last axes. See ops.layer_norm."""
    return ops.layer_norm(x, weight, bias, normalized_shape=normalized_shape, eps=eps)


def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    """Normalise each group of channels of each image. See ops.group_norm."""
    return ops.group_norm(x, weight, bias, num_groups=num_groups, eps=eps)


def instance_norm(
    x, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5
):
    """Normalise each channel of each image by its own statistics; without use_input_stats by the running ones.

    Running statistics, where given, move by momentum towards the means over the images. See ops.instance_norm.
    """
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    if recomputing():
        running_mean = running_var = None
    running = dict(running_mean=running_mean, running_var=running_var, momentum=momentum)
    return ops.instance_norm(x, weight, bias, eps=eps, **running)


def cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """Softmax cross-entropy of logits x (..., K) and classes (...) or probabilities (..., K). See ops.cross_entropy."""
    settings = dict(ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing)
    return ops.cross_entropy(x, target, weight=weight, **settings)
