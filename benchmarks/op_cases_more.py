"""Rows for what PyTorch users type beside the layers of nets: losses, activations, norms, verbs; at real sizes."""

import numpy as np

from minigrad import ops

MAPS = (8, 56, 56, 64)  # 6.4 MB
MATRIX, SQUARE = (128, 1000), (1024, 1024)
SIGNALS = (8, 1024, 64)
CLASSES, SIGNS = np.arange(128) % 1000, np.where(np.arange(128) % 2, 1, -1)
MASK, PICK = np.arange(64) % 3 == 0, (np.arange(128 * 100).reshape(128, 100) * 7) % 1000
HEADS = (8, 8, 196, 64)

ELEMENTWISE = (
    *(ops.gelu, ops.silu, ops.mish, ops.softplus, ops.logsigmoid, ops.elu, ops.selu, ops.relu6, ops.hardsigmoid),
    *(
        ops.hardswish,
        ops.hardtanh,
        ops.abs,
        ops.sin,
        ops.cos,
        ops.expm1,
        ops.log1p,
        ops.log2,
        ops.log10,
        ops.reciprocal,
    ),
    *(ops.rsqrt, ops.floor, ops.ceil, ops.trunc, ops.round, ops.sign, ops.clone),
)
PAIRS = ops.maximum, ops.minimum, ops.pow, ops.remainder
LOSSES = (
    *(ops.mse_loss, ops.l1_loss, ops.huber_loss, ops.smooth_l1_loss, ops.binary_cross_entropy, ops.kl_div),
    *(ops.binary_cross_entropy_with_logits, ops.cosine_similarity),
)
CONV1D = SIGNALS, (64, 3, 64), (64,)

# (op, shapes, settings); constants go by position behind the inputs
MORE = [
    *((op, (MAPS,), {}) for op in ELEMENTWISE),
    *((op, (MAPS, MAPS), {}) for op in PAIRS),
    *((op, (MATRIX, MATRIX), {}) for op in LOSSES),
    (ops.gelu, (MAPS,), dict(approximate="tanh")),
    (ops.prelu, (MAPS, (64,)), {}),
    (ops.clamp, (MAPS,), dict(min=-1.0, max=1.0)),
    (ops.select, (MAPS, MAPS), dict(condition=MASK)),
    (ops.masked_fill, (MAPS,), dict(mask=MASK, value=0.0)),
    *((op, (MATRIX,), dict(dim=1)) for op in (ops.var, ops.std, ops.norm, ops.prod, ops.cumsum, ops.logsumexp)),
    (ops.gather, (MATRIX,), dict(dim=1, index=PICK)),
    (ops.expand, ((8, 1, 1, 64),), dict(shape=MAPS)),
    (ops.repeat, ((8, 28, 28, 64),), dict(repeats=(1, 2, 2, 1))),
    (ops.flip, (MAPS,), dict(dims=(2,))),
    (ops.roll, (MAPS,), dict(shifts=(3, 3), dims=(1, 2))),
    (ops.tril, (SQUARE,), {}),
    (ops.triu, (SQUARE,), {}),
    (ops.diag, (SQUARE,), {}),
    (ops.einsum, (HEADS, HEADS), dict(equation="bhqd,bhkd->bhqk")),
    (ops.squeeze, ((8, 1, 1, 2048),), {}),
    (ops.unsqueeze, (MATRIX,), dict(dim=1)),
    (ops.flatten, (MAPS,), dict(start_dim=1)),
    (ops.unflatten, (MATRIX,), dict(dim=1, sizes=(10, 100))),
    (ops.stack, (MATRIX, MATRIX), {}),
    (ops.normalize, (MATRIX,), dict(dim=1)),
    (ops.layer_norm, ((8, 196, 768), (768,), (768,)), dict(normalized_shape=(768,))),
    (ops.group_norm, (MAPS, (64,), (64,)), dict(num_groups=8)),
    (ops.instance_norm, (MAPS, (64,), (64,)), {}),
    (ops.pad_by, (MAPS,), dict(pads=((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")),
    (ops.interpolate, ((8, 28, 28, 64),), dict(scale_factor=2)),
    (ops.interpolate, ((8, 28, 28, 64),), dict(scale_factor=2, mode="bilinear")),
    (ops.adaptive_max_pool2d, ((8, 14, 14, 512),), dict(output_size=4)),
    (ops.sum_pool2d, (MAPS,), dict(kernel_size=2, divisor=3)),
    (ops.dropout2d, (MAPS,), dict(p=0.5, seed=5)),
    (ops.pixel_shuffle, ((8, 28, 28, 256),), dict(upscale_factor=2)),
    (ops.pixel_unshuffle, (MAPS,), dict(downscale_factor=2)),
    (ops.conv1d, CONV1D, dict(padding=1)),
    (ops.conv_transpose1d, CONV1D, dict(stride=2)),
    (ops.max_pool1d, (SIGNALS,), dict(kernel_size=2)),
    (ops.avg_pool1d, (SIGNALS,), dict(kernel_size=2)),
    (ops.adaptive_avg_pool1d, (SIGNALS,), dict(output_size=4)),
    (ops.adaptive_max_pool1d, (SIGNALS,), dict(output_size=4)),
    (ops.scaled_dot_product_attention, (HEADS,) * 3, {}),
]
WITH_CONSTANTS = [
    (ops.nll_loss, (MATRIX,), {}, (CLASSES,)),
    (ops.cosine_embedding_loss, (MATRIX, MATRIX), {}, (SIGNS,)),
]
FORWARD_ONLY = [(ops.floor_divide, (MAPS, MAPS), {})]  # torch has no gradient of it
