"""The calls of torch_names.py: what torch and minigrad both have, with which inputs and settings."""

from dataclasses import dataclass, field

import numpy as np

LABELS, PIXELS = np.array([2, 0, -100, 3, 1]), np.array([[[1, 0], [2, 2]], [[3, -100], [0, 1]]])
MASK = np.array([[True, False, True], [False, True, False]])
PICK = np.array([[2, 0, 2], [1, 1, 0]])
TILTED = np.array([0.5, 1.0, 2.0, 1.5])


@dataclass(frozen=True)
class Name:
    """One call of torch and minigrad.

    path       what both call it, from "torch." and "minigrad." on; ours: our path where it differs
    shapes     of the inputs that are differentiated
    op         the function of the op table behind it
    settings   of both; mine: ours, where they differ
    constants  further inputs, the same for both (or (theirs, ours))
    draw       "normal", "positive" (from 0.1 to 0.9) or "wide" (five times normal)
    image      do the inputs have channels, which torch has on axis 1?
    before     do the constants come before the inputs? sequence: are the inputs one list?
    """

    path: str
    shapes: tuple
    op: str
    settings: dict = field(default_factory=dict)
    mine: dict | None = None
    ours: str | None = None
    constants: tuple = ()
    draw: str = "normal"
    image: bool = False
    before: bool = False
    sequence: bool = False

    def arrays(self):
        rng = np.random.default_rng(len(self.path))
        normal = [rng.standard_normal(s) for s in self.shapes]
        uniform = [0.1 + 0.8 * rng.random(s) for s in self.shapes]
        return {"normal": normal, "positive": uniform, "wide": [5 * a for a in normal]}[self.draw]


def loss(name, shapes=((5, 4), (5, 4)), **more):
    """A loss with each reduction."""
    return [
        Name(
            f"nn.functional.{name}",
            shapes,
            name,
            dict(reduction=r) | more.get("settings", {}),
            **{k: v for k, v in more.items() if k != "settings"},
        )
        for r in ("mean", "sum", "none")
    ]


def functions(names, shape=(6, 7), **more):
    return [Name(f"nn.functional.{name}", (shape,), name, draw="wide", **more) for name in names.split()]


def methods(*calls):
    """(name, shape, op or None, settings)"""
    return [Name(f"Tensor.{name}", (shape,), op or name, settings) for name, shape, op, settings in calls]


F = "nn.functional."
IMAGE = (2, 5, 6, 4)
NAMES = [
    *loss("mse_loss"),
    *loss("l1_loss"),
    *loss("smooth_l1_loss", settings=dict(beta=0.7)),
    *loss("huber_loss", settings=dict(delta=0.7)),
    *loss("binary_cross_entropy", draw="positive"),
    *loss("binary_cross_entropy_with_logits", draw="wide"),
    Name(
        F + "binary_cross_entropy_with_logits",
        ((5, 4), (5, 4)),
        "binary_cross_entropy_with_logits",
        dict(weight=TILTED, pos_weight=TILTED),
    ),
    *loss("nll_loss", ((5, 4),), constants=(LABELS,)),
    *loss("nll_loss", ((5, 4),), constants=(LABELS,), settings=dict(weight=TILTED)),
    *loss("kl_div", draw="positive"),
    Name(F + "kl_div", ((5, 4), (5, 4)), "kl_div", dict(reduction="batchmean", log_target=True)),
    Name(F + "cosine_similarity", ((5, 4), (5, 4)), "cosine_similarity"),
    *loss("cosine_embedding_loss", constants=(np.array([1, -1, 1, -1, 1]),), settings=dict(margin=0.1)),
    *loss("cross_entropy", ((5, 4),), constants=(LABELS,), settings=dict(label_smoothing=0.1)),
    *loss("cross_entropy", ((2, 2, 2, 4),), constants=(PIXELS,), image=True),
    Name(F + "normalize", ((5, 4),), "normalize", dict(p=2, dim=1)),
    *functions("relu6 hardtanh hardsigmoid hardswish elu selu silu mish gelu softplus logsigmoid relu leaky_relu"),
    *functions("sigmoid tanh"),
    *functions("gelu", settings=dict(approximate="tanh")),
    *functions("elu", settings=dict(alpha=0.5)),
    *functions("softplus", settings=dict(beta=2.0, threshold=3.0)),
    *functions("softmax log_softmax", settings=dict(dim=0)),
    *functions("softmax log_softmax", settings=dict(dim=1)),
    Name(F + "prelu", (IMAGE, (4,)), "prelu", image=True),
    Name(F + "layer_norm", ((3, 2, 4),), "layer_norm", dict(normalized_shape=(2, 4))),
    Name(F + "group_norm", (IMAGE,), "group_norm", dict(num_groups=2), image=True),
    Name(F + "instance_norm", (IMAGE,), "instance_norm", image=True),
    *[
        Name(F + "pad", (IMAGE,), op, dict(pad=(1, 2, 3, 0), mode=mode), dict(pads=(1, 2, 3, 0), mode=mode), image=True)
        for mode, op in [("constant", "pad"), ("reflect", "pad_by"), ("replicate", "pad_by"), ("circular", "pad_by")]
    ],
    *[
        Name(F + "interpolate", (IMAGE,), "interpolate", settings, image=True)
        for settings in (
            dict(scale_factor=2, mode="nearest"),
            dict(size=(7, 3), mode="nearest"),
            dict(scale_factor=2, mode="bilinear"),
            dict(size=(7, 4), mode="bilinear"),
            dict(size=(9, 11), mode="bilinear", align_corners=True),
            dict(scale_factor=1.7, mode="bilinear"),
            dict(scale_factor=1.7, mode="nearest"),
        )
    ],
    Name(F + "pixel_shuffle", ((2, 3, 2, 8),), "pixel_shuffle", dict(upscale_factor=2), image=True),
    Name(F + "pixel_unshuffle", ((2, 4, 6, 2),), "pixel_unshuffle", dict(downscale_factor=2), image=True),
    Name(F + "adaptive_max_pool2d", (IMAGE,), "adaptive_max_pool2d", dict(output_size=(3, 4)), image=True),
    Name(
        F + "avg_pool2d",
        (IMAGE,),
        "sum_pool2d",
        dict(kernel_size=3, stride=2, padding=1, ceil_mode=True, divisor_override=5),
        image=True,
    ),
    Name(F + "conv2d", (IMAGE, (3, 3, 2, 4), (3,)), "conv2d", dict(padding="same"), image=True),
    Name(F + "conv1d", ((2, 7, 4), (6, 3, 2), (6,)), "conv1d", dict(stride=2, padding=1, groups=2), image=True),
    Name(F + "conv1d", ((2, 7, 4), (6, 4, 4)), "conv1d", dict(padding="same", dilation=2), image=True),
    Name(
        F + "conv_transpose1d",
        ((2, 4, 4), (4, 3, 2), (2,)),
        "conv_transpose1d",
        dict(stride=2, padding=1, output_padding=1),
        image=True,
    ),
    Name(F + "max_pool1d", ((2, 7, 4),), "max_pool1d", dict(kernel_size=3, stride=2, padding=1), image=True),
    Name(F + "avg_pool1d", ((2, 7, 4),), "avg_pool1d", dict(kernel_size=3, stride=2, padding=1), image=True),
    Name(F + "adaptive_avg_pool1d", ((2, 7, 4),), "adaptive_avg_pool1d", dict(output_size=3), image=True),
    Name(F + "adaptive_max_pool1d", ((2, 7, 4),), "adaptive_max_pool1d", dict(output_size=3), image=True),
    Name(F + "scaled_dot_product_attention", ((2, 3, 4), (2, 5, 4), (2, 5, 2)), "scaled_dot_product_attention"),
    Name(F + "scaled_dot_product_attention", ((2, 3, 4),) * 3, "scaled_dot_product_attention", dict(is_causal=True)),
    *methods(
        ("abs", (3, 4), None, {}),
        ("sin", (3, 4), None, {}),
        ("cos", (3, 4), None, {}),
        ("clamp", (3, 4), None, dict(min=-0.5, max=0.5)),
        ("expm1", (3, 4), None, {}),
        ("reciprocal", (3, 4), None, {}),
        ("floor", (3, 4), None, {}),
        ("ceil", (3, 4), None, {}),
        ("trunc", (3, 4), None, {}),
        ("round", (3, 4), None, dict(decimals=1)),
        ("sign", (3, 4), None, {}),
        ("tril", (2, 3, 4), None, dict(diagonal=1)),
        ("triu", (2, 3, 4), None, dict(diagonal=-1)),
        ("diag", (3,), None, dict(diagonal=1)),
        ("diag", (3, 4), None, dict(diagonal=-1)),
        ("diagonal", (2, 3, 4), "getitem", dict(offset=1, dim1=1, dim2=2)),
        ("trace", (3, 4), "diag", {}),
        ("roll", (3, 4), None, dict(shifts=(1, -2), dims=(0, 1))),
        ("roll", (3, 4), None, dict(shifts=3)),
        ("amin", (3, 4), "max", dict(dim=1)),
        ("movedim", (2, 3, 4), "transpose", dict(source=0, destination=2)),
        ("narrow", (3, 4), "getitem", dict(dim=1, start=1, length=2)),
        ("var", (2, 3, 4), None, dict(dim=1)),
        ("var", (2, 3, 4), None, dict(dim=(0, 2), correction=0)),
        ("var", (3, 4), None, dict(dim=1, keepdim=True, unbiased=False)),
        ("std", (2, 3, 4), None, dict(dim=1)),
        ("std", (2, 3, 4), None, {}),
        ("norm", (3, 4), None, {}),
        ("norm", (3, 4), None, dict(p=1, dim=1)),
        ("norm", (3, 4), None, dict(p=3, dim=0, keepdim=True)),
        ("norm", (3, 4), None, dict(p=float("inf"), dim=0)),
        ("prod", (2, 3), None, {}),
        ("prod", (2, 3, 2), None, dict(dim=1)),
        ("cumsum", (2, 3, 4), None, dict(dim=1)),
        ("logsumexp", (2, 3, 4), None, dict(dim=1)),
        ("squeeze", (2, 1, 3), None, {}),
        ("unsqueeze", (2, 3), None, dict(dim=1)),
        ("clone", (2, 3), None, {}),
        ("unflatten", (2, 6), None, dict(dim=1, sizes=(2, 3))),
        ("flatten", (2, 3, 4, 2), None, dict(start_dim=1, end_dim=2)),
        ("softmax", (3, 4), None, dict(dim=0)),
        ("sigmoid", (3, 4), None, {}),
        ("tanh", (3, 4), None, {}),
        ("sort", (3, 4), "gather", dict(dim=1, descending=True)),
        ("topk", (3, 4), "gather", dict(k=2, dim=1)),
        ("max", (3, 4), "max", dict(dim=1)),
        ("min", (3, 4), "max", dict(dim=1)),
        ("min", (3, 4), "max", {}),
    ),
    *[Name(f"Tensor.{n}", ((3, 4),), n, draw="positive") for n in ("log1p", "log2", "log10", "rsqrt")],
    Name("Tensor.remainder", ((3, 4), (3, 4)), "remainder", draw="positive"),
    Name("Tensor.mm", ((2, 3), (3, 4)), "matmul"),
    Name("Tensor.bmm", ((5, 2, 3), (5, 3, 4)), "matmul"),
    Name("Tensor.mv", ((2, 3), (3,)), "matmul"),
    Name("Tensor.dot", ((3,), (3,)), "matmul"),
    Name("Tensor.outer", ((2,), (3,)), "mul"),
    Name("Tensor.select", ((2, 3),), "getitem", constants=(1, -1)),
    Name("Tensor.swapaxes", ((2, 3, 4),), "transpose", constants=(0, 1)),
    Name("Tensor.masked_select", ((2, 3),), "getitem", constants=(MASK,)),
    Name("Tensor.take_along_dim", ((2, 3),), "gather", constants=(PICK, 1)),
    Name("Tensor.ravel", ((2, 3),), "reshape"),
    Name("Tensor.expand", ((3, 1),), "expand", constants=(2, -1, 4)),
    Name("Tensor.repeat", ((2, 3),), "repeat", constants=(2, 1, 3)),
    Name("Tensor.flip", ((2, 3),), "flip", constants=(0, 1)),
    Name("Tensor.view", ((2, 3, 2),), "reshape", constants=(4, -1)),
    Name("Tensor.permute", ((2, 3, 4),), "transpose", constants=(2, 0, 1)),
    Name("Tensor.transpose", ((2, 3, 4),), "transpose", constants=(0, 1)),
    Name("Tensor.masked_fill", ((2, 3),), "masked_fill", constants=(MASK, 2.0)),
    Name("Tensor.gather", ((3, 3),), "gather", constants=(1, PICK)),
    Name("Tensor.index_select", ((3, 3),), "getitem", constants=(1, np.array([2, 0, 2]))),
    Name("Tensor.__getitem__", ((2, 3),), "getitem", constants=(MASK,)),
    Name("Tensor.__getitem__", ((4, 3),), "getitem", constants=(np.array([3, 0, 3]),)),
    Name("Tensor.__pow__", ((2, 3), (2, 3)), "pow", draw="positive"),
    Name("Tensor.__pow__", ((2, 3),), "power", constants=(3,)),
    Name("Tensor.__rpow__", ((2, 3),), "pow", constants=(2.5,)),
    Name("maximum", ((2, 3), (3,)), "maximum"),
    Name("minimum", ((2, 3), (3,)), "minimum"),
    Name("where", ((2, 3), (3,)), "select", constants=(MASK,), before=True),
    Name("stack", ((2, 3), (2, 3)), "stack", dict(dim=1), sequence=True),
    Name("cat", ((2, 3), (4, 3)), "concat", dict(dim=0), sequence=True),
    Name("einsum", ((2, 3, 4), (2, 5, 4)), "einsum", constants=("bij,bkj->bik",), before=True),
    Name("einsum", ((5, 2, 3), (3, 4)), "einsum", constants=("...ij,jk",), before=True),
    Name("einsum", ((3, 4),), "einsum", constants=("ij->j",), before=True),
]
