"""PyTorch, one op at a time, on the arrays of our rows."""

import numpy as np
import torch
from op_cases import table
from torch.nn import functional as F

from minigrad import Tensor

from .minigrad_ops import differentiated
from .torch import FORMATS

TO_NCHW = 0, 3, 1, 2


def batch_norm(x, gamma, beta, training=True, running_mean=None, running_var=None, eps=1e-5):
    return F.batch_norm(x, running_mean, running_var, gamma, beta, training, eps=eps)


def dense_block(x, *weights, training=True, running=(), memory_efficient=False):
    """The same block with concats; memory_efficient: the concat and what follows it are computed again in backward."""

    def unit(x, i):
        mean, var = running[i // 3] if running else (None, None)
        gamma, beta, w = weights[i : i + 3]
        z = F.relu(batch_norm(x, gamma, beta, training, mean, var), inplace=True)
        return F.conv2d(z, w, padding=w.shape[2] // 2)

    def squeeze(i, *features):
        return unit(torch.cat(features, 1), i)

    features = [x]
    for i in range(0, len(weights), 6):
        if memory_efficient:
            y = torch.utils.checkpoint.checkpoint(squeeze, i, *features, use_reentrant=False)
        else:
            y = squeeze(i, *features)
        features.append(unit(y, i + 3))
    return torch.cat(features, 1)


def maximum(x, dim=None, keepdim=False):
    return x.max() if dim is None else x.amax(dim, keepdim)


def pad(x, pads):
    return F.pad(x, [n for pair in reversed(pads) for n in pair])


IMAGES = {  # what takes (N, C, H, W)
    "conv2d": F.conv2d,
    "conv2d_relu": lambda *a, **kw: F.relu(F.conv2d(*a, **kw), inplace=True),
    "conv_transpose2d": F.conv_transpose2d,
    "batch_norm": batch_norm,
    "batch_norm_relu": lambda *a, **kw: F.relu(batch_norm(*a, **kw), inplace=True),
    "local_response_norm": F.local_response_norm,
    "max_pool2d": F.max_pool2d,
    "avg_pool2d": F.avg_pool2d,
    "adaptive_avg_pool2d": F.adaptive_avg_pool2d,
    "concat": lambda *xs, dim=1: torch.cat(xs, dim),
    "add_relu": lambda a, b: F.relu(a + b, inplace=True),
    "dense_block": dense_block,
    **{name: getattr(F, name) for name in ("interpolate", "adaptive_max_pool2d", "pixel_shuffle", "pixel_unshuffle")},
    "prelu": F.prelu,
    "group_norm": lambda x, *vectors, num_groups, **eps: F.group_norm(x, num_groups, *vectors, **eps),
    "instance_norm": lambda x, *vectors, **eps: F.instance_norm(x, None, None, *vectors, **eps),
    "pad_by": lambda x, pads, mode: F.pad(x, [n for pair in pads[2:0:-1] for n in pair], mode),
    "sum_pool2d": lambda x, divisor=1, **window: F.avg_pool2d(x, **window, divisor_override=divisor),
    "dropout2d": lambda x, p, seed: F.dropout2d(x, p),
}
SIGNALS = {  # what takes (N, C, L)
    **{name: getattr(F, name) for name in ("conv1d", "conv_transpose1d", "max_pool1d", "avg_pool1d")},
    **{name: getattr(F, name) for name in ("adaptive_avg_pool1d", "adaptive_max_pool1d")},
}
LOSSES = (
    *("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "binary_cross_entropy", "kl_div", "nll_loss"),
    *("binary_cross_entropy_with_logits", "cosine_similarity", "cosine_embedding_loss", "normalize"),
)
ACTIVATIONS = (
    *("gelu", "silu", "mish", "softplus", "logsigmoid", "elu", "selu", "relu6", "hardsigmoid", "hardswish"),
    *("hardtanh", "scaled_dot_product_attention"),
)
VERBS = (
    *("abs", "sin", "cos", "expm1", "log1p", "log2", "log10", "reciprocal", "rsqrt", "floor", "ceil", "trunc", "round"),
    *("sign", "clone", "maximum", "minimum", "pow", "remainder", "floor_divide", "clamp", "masked_fill", "var", "std"),
    *("norm", "prod", "cumsum", "logsumexp", "gather", "flip", "roll", "tril", "triu", "diag", "squeeze", "unsqueeze"),
    *("flatten", "unflatten"),
)
PLAIN = {  # what takes our arrays as they are
    **{name: getattr(torch, name) for name in ("add", "sub", "mul", "div", "neg", "exp", "log", "sqrt", "matmul")},
    **{name: getattr(torch, name) for name in ("relu", "sigmoid", "tanh")},
    "power": lambda x, exponent: x**exponent,
    "leaky_relu": F.leaky_relu,
    "sum": torch.sum,
    "mean": torch.mean,
    "max": maximum,
    "reshape": torch.reshape,
    "transpose": lambda x, axes: x.permute(axes).contiguous(),
    "getitem": lambda x, index: x[index],
    "pad": pad,
    "softmax": lambda x: F.softmax(x, -1),
    "log_softmax": lambda x: F.log_softmax(x, -1),
    "linear": F.linear,
    "linear_relu": lambda *a: F.relu(F.linear(*a), inplace=True),
    "dropout": lambda x, p, seed: F.dropout(x, p),
    "cross_entropy": F.cross_entropy,
    **{name: getattr(F, name) for name in (*LOSSES, *ACTIVATIONS)},
    **{name: getattr(torch, name) for name in VERBS},
    "select": lambda a, b, condition: torch.where(condition, a, b),
    "expand": lambda x, shape: x.expand(shape).contiguous(),
    "repeat": lambda x, repeats: x.repeat(repeats),
    "einsum": lambda *xs, equation: torch.einsum(equation, *xs),
    "stack": lambda *xs, dim=0: torch.stack(xs, dim),
    "layer_norm": lambda x, *vectors, normalized_shape: F.layer_norm(x, normalized_shape, *vectors),
}


def moved(value):
    """Our tensors and arrays, also inside lists, as torch's."""
    if isinstance(value, list):
        return [tuple(moved(t) for t in pair) for pair in value]
    value = value.data if isinstance(value, Tensor) else value
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def build(net, batch, row, part, threads, layout):
    torch.set_num_threads(threads)
    case = table(net, batch)[row].case
    name, inputs = case.op.__name__, [torch.from_numpy(a) for a in case.arrays(np.float32)]
    if name in IMAGES:
        inputs = [t.permute(TO_NCHW).contiguous(memory_format=FORMATS[layout]) if t.ndim == 4 else t for t in inputs]
    if name in SIGNALS:
        inputs = [t.permute(0, 2, 1).contiguous() if t.ndim == 3 else t for t in inputs]
    settings = {key: moved(value) for key, value in case.params.items()}
    constants = [moved(c) for c in case.constants]
    run = (IMAGES | SIGNALS | PLAIN)[name]

    def forward():
        with torch.inference_mode():
            return run(*inputs, *constants, **settings)

    if part == "forward":
        return forward
    for t, need in zip(inputs, differentiated(part, len(inputs))):
        t.requires_grad_(need)
    y = run(*inputs, *constants, **settings)
    dy, wanted = torch.randn_like(y), [t for t in inputs if t.requires_grad]
    return lambda: torch.autograd.grad(y, wanted, dy, retain_graph=True)
