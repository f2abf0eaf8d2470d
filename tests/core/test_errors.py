"""What the ops refuse, and that they say which argument, which value and which rule."""

import re

import numpy as np
import pytest

from minigrad import Tensor, ops


def t(*shape):
    return Tensor(np.ones(shape))


CASES = [
    (lambda: ops.conv2d(t(8, 32, 32, 3), t(64, 3, 3, 64)),
     "conv2d: x has 3 channels in its last axis but w expects 64; x (8, 32, 32, 3), w (64, 3, 3, 64)"),
    (lambda: ops.conv2d(t(32, 32, 3), t(4, 3, 3, 3)),
     "conv2d: x must have 4 axes (N, H, W, C), channels last; got shape (32, 32, 3)"),
    (lambda: ops.conv2d(t(1, 8, 8, 3), t(4, 3, 3)), "conv2d: w must have 4 axes"),
    (lambda: ops.conv2d(t(1, 8, 8, 4), t(4, 3, 3, 1), groups=2),
     "conv2d: x has 4 channels in its last axis but w expects 2 (2 groups of 1)"),
    (lambda: ops.conv2d(t(1, 8, 8, 3), t(4, 3, 3, 3), groups=3), "conv2d: groups must divide w's 4 filters"),
    (lambda: ops.conv2d(t(1, 8, 8, 3), t(4, 3, 3, 3), t(3)),
     "conv2d: b must have shape (4,), one for each filter; got (3,)"),
    (lambda: ops.conv2d(t(1, 8, 8, 3), t(4, 3, 3, 3), stride=0),
     "conv2d: stride must be an int >= 1 or a pair of them; got 0"),
    (lambda: ops.conv2d(t(1, 8, 8, 3), t(4, 3, 3, 3), padding=(1, -1)), "conv2d: padding must be an int >= 0"),
    (lambda: ops.conv2d(t(1, 8, 8, 3), t(4, 3, 3, 3), dilation=1.5), "conv2d: dilation must be an int >= 1"),
    (lambda: ops.conv2d(t(1, 4, 8, 3), t(4, 3, 3, 3), dilation=2),
     "conv2d: a window of (5, 5) does not fit into the padded image of (4, 8); x (1, 4, 8, 3)"),
    (lambda: ops.conv_transpose2d(t(1, 4, 4, 3), t(2, 3, 3, 3)),
     "conv_transpose2d: x's channels (last axis) must be w's"),
    (lambda: ops.conv_transpose2d(t(1, 4, 4, 3), t(3, 3, 3, 2), output_padding=1),
     "output_padding must be smaller than"),
    (lambda: ops.conv_transpose2d(t(1, 1, 1, 3), t(3, 3, 3, 2), padding=2),
     "conv_transpose2d: the output would be empty"),
    (lambda: ops.conv_transpose2d(t(1, 4, 4, 3), t(3, 3, 3, 2), t(3)), "conv_transpose2d: b must have shape (2,)"),
    (lambda: ops.linear(t(5, 3), t(4, 2)), "linear: x has last axis (3,) but w expects (2,); x (5, 3), w (4, 2)"),
    (lambda: ops.linear(t(5, 3), t(4, 3), t(3)), "linear: b must have shape (4,), one for each output; got (3,)"),
    (lambda: ops.batch_norm(t(4, 3), t(2), t(3)),
     "batch_norm: gamma must have shape (3,), x's channels (last axis); got (2,)"),
    (lambda: ops.batch_norm(t(1, 1, 1, 3), t(3), t(3)),
     "batch_norm: one value a channel has no variance; x (1, 1, 1, 3)"),
    (lambda: ops.batch_norm(t(4, 3), t(3), t(3), training=False), "batch_norm: training=False needs running_mean"),
    (lambda: ops.local_response_norm(t(1, 2, 2, 3), size=0), "local_response_norm: size must be an int >= 1; got 0"),
    (lambda: ops.max_pool2d(t(1, 4, 4, 3), kernel_size=2, padding=2),
     "max_pool2d: padding must be at most half the window; got padding (2, 2), window (2, 2)"),
    (lambda: ops.max_pool2d(t(1, 2, 2, 3), kernel_size=3), "max_pool2d: a window of (3, 3) does not fit"),
    (lambda: ops.avg_pool2d(t(4, 4, 3), kernel_size=2), "avg_pool2d: x must have 4 axes"),
    (lambda: ops.adaptive_avg_pool2d(t(1, 4, 4, 3), output_size=0),
     "adaptive_avg_pool2d: output_size must be an int >= 1"),
    (lambda: ops.adaptive_avg_pool2d(t(1, 0, 4, 3), output_size=1), "adaptive_avg_pool2d: the image is empty"),
    (lambda: ops.concat(), "concat: there must be at least one tensor"),
    (lambda: ops.concat(t(2, 3, 3, 1), t(2, 3, 4, 1)),
     "concat: xs[1] has shape (2, 3, 4, 1), which differs from (2, 3, 3, 1)"),
    (lambda: ops.dropout(t(3), p=1.5, seed=0), "dropout: p must be a probability from 0 to 1; got 1.5"),
    (lambda: ops.add_relu(t(2, 3), t(3)), "add_relu: a and b must have the same shape; got (2, 3) and (3,)"),
    (lambda: ops.cross_entropy(t(2, 3), np.array([0, 3])),
     "cross_entropy: target must hold classes from 0 to 2; found 3"),
    (lambda: ops.cross_entropy(t(2, 3), np.array([0.0, 1.0])),
     "cross_entropy: target must hold classes from 0 to 2; found float"),
    (lambda: ops.cross_entropy(t(2, 3), np.array([0])), "cross_entropy: x must be (M, K) logits"),
    (lambda: ops.cross_entropy(t(2, 3), np.array([0, 1]), weight=np.ones(2)),
     "cross_entropy: weight must have shape (3,)"),
    (lambda: ops.cross_entropy(t(2, 3), np.array([0, 1]), label_smoothing=1.0),
     "label_smoothing must be in [0, 1); got 1.0"),
    (lambda: ops.cross_entropy(t(2, 3), np.array([0, 1]), reduction="max"), "reduction must be one of"),
    (lambda: ops.dense_block(t(2, 4, 4, 3), t(3), t(3), t(4, 1, 1, 3)), "dense_block: units must be 1 or 2"),
    (lambda: ops.dense_block(t(2, 4, 4, 3), t(2), t(2), t(4, 3, 3, 2), units=1),
     "dense_block: layer 0 reads 3 channels"),
    (lambda: ops.dense_block(t(1, 1, 1, 3), t(3), t(3), t(4, 3, 3, 3), units=1), "dense_block: one value a channel"),
    (lambda: ops.dense_block(t(2, 4, 4, 3), t(3), t(3), t(4, 3, 3, 3), units=1, training=False),
     "needs running statistics"),
]  # fmt: skip


@pytest.mark.parametrize("call, message", CASES, ids=[m[:60] for _, m in CASES])
def test_refused_with_reason(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_a_cast_to_whole_numbers_is_refused():
    with pytest.raises(TypeError, match="cast: dtype must be a floating-point type; got int32"):
        ops.cast(t(2), dtype=np.int32)
