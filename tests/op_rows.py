"""Rows of the op table for what PyTorch users type beside the layers of the nets: losses, activations, verbs."""

import numpy as np
from op_case import Case

from minigrad import ops
from minigrad.gradcheck.inputs import distinct, off_zero, positive


def probabilities(rng, shape, dtype):
    """From 0.1 to 0.9."""
    return (0.1 + 0.8 * rng.random(shape)).astype(dtype)


def spread(rng, shape, dtype):
    """From -5 to 5 and no two closer than 0.07, none within 0.03 of a whole number: away from kinks there."""
    n = int(np.prod(shape))
    x = np.linspace(-5, 5, n + 2)[1:-1]
    x = np.floor(x) + 0.05 + 0.9 * (x - np.floor(x))
    return rng.permutation(x).reshape(shape).astype(dtype)


LABELS = np.array([[0, 2, 3], [1, -100, 2]])
TILTED = np.array([0.5, 1.0, 2.0, 1.5])
MASK = np.array([[True, False, True], [False, False, True]])
ZERO_AMONG = np.array([[1.5, 0, -2], [0.5, 3, 1]])
PICK = np.array([[3, 0, 3, 1], [2, 2, 0, 1]])


def with_zero(rng, shape, dtype):
    """Normal, but for one 0."""
    x = rng.standard_normal(shape)
    x.flat[1] = 0
    return x.astype(dtype)


def apart(rng, shape, dtype):
    """2 for the divisor b, and for a what is away from its multiples."""
    return spread(rng, shape, dtype) if len(shape) and shape[-1] > 1 else np.full(shape, 2, dtype)


def four_losses(op, make=distinct, **settings):
    """Each reduction of a loss of two tensors."""
    yield Case(op, ((3, 4), (3, 4)), settings, "x target", make=make)
    for reduction in ("sum", "none"):
        yield Case(op, ((2, 3), (2, 3)), dict(settings, reduction=reduction), "x target", make=make)


LOSSES = [
    *four_losses(ops.mse_loss),
    *four_losses(ops.l1_loss),
    *four_losses(ops.huber_loss, delta=0.055),
    *four_losses(ops.smooth_l1_loss, beta=0.055),
    *four_losses(ops.binary_cross_entropy, probabilities),
    Case(ops.binary_cross_entropy, ((5, 4), (5, 4)), dict(weight=TILTED), "x target weight", make=probabilities),
    *four_losses(ops.binary_cross_entropy_with_logits),
    Case(
        ops.binary_cross_entropy_with_logits,
        ((5, 4), (5, 4)),
        dict(weight=TILTED, pos_weight=TILTED[::-1].copy()),
        "x target weight more",
    ),
    Case(ops.nll_loss, ((2, 3, 4),), saves="rows counted target weight", constants=(LABELS,)),
    Case(ops.nll_loss, ((2, 3, 4),), dict(weight=TILTED), "rows counted target weight", constants=(LABELS,)),
    Case(
        ops.nll_loss,
        ((2, 3, 4),),
        dict(reduction="sum", ignore_index=2),
        "rows counted target weight",
        constants=(LABELS % 4,),
    ),
    Case(ops.nll_loss, ((2, 3, 4),), dict(reduction="none"), "rows counted target weight", constants=(LABELS,)),
    *four_losses(ops.kl_div, probabilities),
    Case(ops.kl_div, ((3, 4), (3, 4)), dict(reduction="batchmean"), "x target", make=probabilities),
    Case(ops.kl_div, ((3, 4), (3, 4)), dict(log_target=True), "x target"),
    Case(ops.cosine_similarity, ((3, 4), (3, 4)), saves="a b"),
    Case(ops.cosine_similarity, ((3, 4, 2), (4, 2)), dict(dim=-1), "a b"),
    Case(ops.cosine_similarity, ((4, 1), (3, 4, 2)), dict(dim=-2), "a b"),
    Case(ops.cosine_similarity, ((3, 4), (3, 4)), dict(eps=2.0), "a b"),
    Case(ops.cross_entropy, ((2, 3, 4),), saves="p q", constants=(LABELS,)),
    Case(ops.cross_entropy, ((2, 3, 4),), dict(reduction="none"), "p q", constants=(LABELS,)),
]

ACTIVATIONS = [
    Case(ops.gelu, ((3, 4),), saves="x"),
    Case(ops.gelu, ((3, 4),), dict(approximate="tanh"), "x"),
    Case(ops.silu, ((3, 4),), saves="x"),
    Case(ops.mish, ((3, 4),), saves="x"),
    Case(ops.softplus, ((3, 4),), saves="x"),
    Case(ops.softplus, ((4, 10),), dict(beta=2.0, threshold=3.0), "x", make=spread),
    Case(ops.logsigmoid, ((3, 4),), saves="x"),
    Case(ops.elu, ((3, 4),), dict(alpha=0.7), "x", make=off_zero),
    Case(ops.selu, ((3, 4),), saves="x", make=off_zero),
    Case(ops.prelu, ((2, 3, 4), (4,)), saves="x weight", make=off_zero),
    Case(ops.prelu, ((2, 3, 4), (1,)), saves="x weight", make=off_zero),
    Case(ops.hardtanh, ((4, 10),), dict(min_val=-2.0, max_val=3.0), "x", make=spread),
    Case(ops.relu6, ((4, 10),), saves="x", make=lambda *a: spread(*a) + 3),
    Case(ops.hardsigmoid, ((4, 10),), saves="x", make=spread),
    Case(ops.hardswish, ((4, 10),), saves="x", make=spread),
    Case(ops.softmax, ((2, 3, 4),), dict(dim=1), "y"),
    Case(ops.log_softmax, ((2, 3, 4),), dict(dim=0), "y"),
]

VERBS = [
    Case(ops.abs, ((3, 4),), saves="x", make=off_zero),
    Case(ops.sin, ((3, 4),), saves="x"),
    Case(ops.cos, ((3, 4),), saves="x"),
    Case(ops.log1p, ((3, 4),), saves="x", make=positive),
    Case(ops.expm1, ((3, 4),), saves="y"),
    Case(ops.log2, ((3, 4),), saves="x", make=positive),
    Case(ops.log10, ((3, 4),), saves="x", make=positive),
    Case(ops.reciprocal, ((3, 4),), saves="y", make=positive),
    Case(ops.rsqrt, ((3, 4),), saves="y", make=positive),
    *(Case(op, ((4, 10),), make=spread) for op in (ops.floor, ops.ceil, ops.trunc, ops.sign)),
    Case(ops.round, ((4, 10),), make=lambda *a: spread(*a) + 0.5),
    Case(ops.remainder, ((4, 10), ()), saves="quotient", make=apart),
    Case(ops.remainder, ((4, 10), (4, 1)), saves="quotient", make=apart),
    Case(ops.floor_divide, ((4, 10), ()), make=apart),
    Case(ops.tril, ((2, 3, 4),)),
    Case(ops.tril, ((4, 3),), dict(diagonal=-1)),
    Case(ops.triu, ((3, 4),), dict(diagonal=1)),
    Case(ops.diag, ((3,),), dict(diagonal=-1)),
    Case(ops.diag, ((3, 5),), dict(diagonal=1)),
    Case(ops.diag, ((4, 3),), dict(diagonal=-1)),
    Case(ops.roll, ((3, 4),), dict(shifts=2)),
    Case(ops.roll, ((3, 4),), dict(shifts=(1, -2), dims=(0, 1))),
    Case(ops.roll, ((3, 4),), dict(shifts=1, dims=-1)),
    Case(ops.clamp, ((4, 10),), dict(min=-2.0, max=3.0), "x", make=spread),
    Case(ops.clamp, ((4, 10),), dict(min=-2.0), "x", make=spread),
    Case(ops.clamp, ((4, 10),), dict(max=3.0), "x", make=spread),
    Case(ops.maximum, ((2, 3), (3,)), saves="a b", make=distinct),
    Case(ops.minimum, ((2, 3), (3,)), saves="a b", make=distinct),
    Case(ops.select, ((2, 3), (3,)), dict(condition=MASK), "mask"),
    Case(ops.masked_fill, ((2, 3),), dict(mask=MASK, value=7.0), "mask"),
    Case(ops.pow, ((2, 3), (3,)), saves="a b y", make=positive),
    Case(ops.var, ((2, 3, 4),), saves="x mean"),
    Case(ops.var, ((2, 3, 4),), dict(dim=(0, 2), correction=0), "x mean"),
    Case(ops.var, ((2, 3, 4),), dict(dim=1, keepdim=True), "x mean"),
    Case(ops.std, ((2, 3, 4),), saves="x mean y"),
    Case(ops.std, ((2, 3, 4),), dict(dim=(0, 2), correction=0), "x mean y"),
    Case(ops.norm, ((3, 4),), saves="x y"),
    Case(ops.norm, ((3, 4),), dict(dim=1, keepdim=True), "x y"),
    Case(ops.norm, ((3, 4),), dict(dim=1), "x y"),
    Case(ops.norm, ((3, 4),), dict(p=1, dim=0), "x y", make=off_zero),
    Case(ops.norm, ((3, 4),), dict(p=3.5, dim=(0, 1)), "x y", make=off_zero),
    Case(ops.norm, ((3, 4),), dict(p=np.inf, dim=0), "x y", make=distinct),
    Case(ops.prod, ((2, 3),), saves="lanes y", make=positive),
    Case(ops.prod, ((2, 3, 2),), dict(dim=1), "lanes y", make=with_zero),
    Case(ops.prod, ((2, 3, 2),), dict(dim=-1, keepdim=True), "lanes y"),
    Case(ops.cumsum, ((2, 3, 4),), dict(dim=1)),
    Case(ops.cumsum, ((),), dict(dim=0)),
    Case(ops.logsumexp, ((2, 3, 4),), dict(dim=1), "x y"),
    Case(ops.logsumexp, ((2, 3, 4),), dict(dim=(0, 2), keepdim=True), "x y"),
    Case(ops.gather, ((2, 4),), dict(dim=1, index=PICK), "places"),
    Case(ops.gather, ((4, 5),), dict(dim=0, index=PICK), "places"),
    Case(ops.expand, ((3, 1),), dict(shape=(2, -1, 4))),
    Case(ops.repeat, ((2, 3),), dict(repeats=(2, 1, 3))),
    Case(ops.flip, ((2, 3, 4),), dict(dims=(0, -1))),
    Case(ops.clone, ((2, 3),)),
    Case(ops.einsum, ((2, 3, 4), (2, 5, 4)), dict(equation="bij,bkj->bik"), "xs"),
    Case(ops.einsum, ((2, 3), (3, 4), (4, 2)), dict(equation="ij,jk,ki->"), "xs"),
    Case(ops.einsum, ((2, 3, 4),), dict(equation="ijk->ki"), "xs"),
    Case(ops.einsum, ((5, 2, 3), (3, 4)), dict(equation="...ij,jk"), "xs"),
]

PADS = ((0, 0), (2, 1), (0, 3), (0, 0))
NORMED = "x gamma mean rstd"

IMAGES = [
    Case(ops.layer_norm, ((3, 2, 4), (4,), (4,)), dict(normalized_shape=4), NORMED),
    Case(ops.layer_norm, ((3, 2, 4), (2, 4), (2, 4)), dict(normalized_shape=(2, 4), eps=0.1), NORMED),
    Case(ops.layer_norm, ((3, 4),), dict(normalized_shape=4), NORMED),
    Case(ops.layer_norm, ((3, 4), (4,)), dict(normalized_shape=4), NORMED),
    Case(ops.group_norm, ((2, 3, 2, 6), (6,), (6,)), dict(num_groups=2), NORMED),
    Case(ops.group_norm, ((4, 6), (6,), (6,)), dict(num_groups=3), NORMED),
    Case(ops.instance_norm, ((2, 3, 2, 3), (3,), (3,)), {}, NORMED),
    Case(ops.instance_norm, ((2, 3, 2, 3),), dict(eps=0.1), NORMED),
    Case(ops.pad_by, ((2, 4, 5, 2),), dict(pads=PADS, mode="reflect")),
    Case(ops.pad_by, ((2, 4, 5, 2),), dict(pads=PADS, mode="replicate")),
    Case(ops.pad_by, ((2, 4, 5, 2),), dict(pads=PADS, mode="circular")),
    Case(ops.interpolate, ((2, 3, 4, 2),), dict(scale_factor=2)),
    Case(ops.interpolate, ((2, 5, 4, 2),), dict(size=(3, 7))),
    Case(ops.interpolate, ((2, 3, 4, 2),), dict(scale_factor=(2, 1.5), mode="bilinear")),
    Case(ops.interpolate, ((2, 5, 4, 2),), dict(size=(3, 7), mode="bilinear")),
    Case(ops.interpolate, ((2, 5, 4, 2),), dict(size=(9, 7), mode="bilinear", align_corners=True)),
    Case(ops.interpolate, ((1, 1, 4, 2),), dict(size=(3, 1), mode="bilinear", align_corners=True)),
    Case(ops.adaptive_max_pool2d, ((2, 5, 7, 2),), dict(output_size=(3, 4)), "winner", make=distinct),
    Case(ops.adaptive_max_pool2d, ((2, 5, 4, 3),), dict(output_size=1), "winner", make=distinct),
    Case(ops.sum_pool2d, ((2, 5, 4, 3),), dict(kernel_size=2, divisor=3), "a b"),
    Case(ops.sum_pool2d, ((1, 6, 8, 2),), dict(kernel_size=(2, 3), stride=4, ceil_mode=True), "a b"),
    Case(ops.dropout2d, ((6, 2, 3, 5),), dict(p=0.4, seed=3), "mask"),
]

COMPOSITIONS = [  # saves: what their last op keeps
    Case(ops.squeeze, ((2, 1, 3, 1),)),
    Case(ops.squeeze, ((2, 1, 3, 1),), dict(dim=1)),
    Case(ops.unsqueeze, ((2, 3),), dict(dim=-2)),
    Case(ops.flatten, ((2, 3, 2, 2),), dict(start_dim=1, end_dim=2)),
    Case(ops.unflatten, ((2, 6),), dict(dim=1, sizes=(3, -1))),
    Case(ops.stack, ((2, 3), (2, 3)), dict(dim=1)),
    Case(ops.normalize, ((3, 4),), saves="a b"),
    Case(ops.normalize, ((3, 4, 2),), dict(p=1, dim=1), "a b", make=off_zero),
    Case(ops.cosine_embedding_loss, ((3, 4), (3, 4)), constants=(np.array([1, -1, 1]),)),
    Case(ops.conv1d, ((2, 7, 4), (6, 3, 2), (6,)), dict(stride=2, padding=1, groups=2)),
    Case(ops.conv1d, ((2, 7, 3), (4, 4, 3)), dict(padding="same", dilation=2)),
    Case(ops.conv_transpose1d, ((2, 4, 3), (3, 3, 2), (2,)), dict(stride=2, padding=1, output_padding=1)),
    Case(ops.max_pool1d, ((2, 7, 2),), dict(kernel_size=3, stride=2, padding=1), make=distinct),
    Case(ops.avg_pool1d, ((2, 7, 2),), dict(kernel_size=3, stride=2, padding=1)),
    Case(ops.adaptive_avg_pool1d, ((2, 7, 2),), dict(output_size=3)),
    Case(ops.adaptive_max_pool1d, ((2, 7, 2),), dict(output_size=3), make=distinct),
    Case(ops.pixel_shuffle, ((2, 2, 3, 8),), dict(upscale_factor=2)),
    Case(ops.pixel_unshuffle, ((2, 4, 6, 2),), dict(downscale_factor=2)),
    Case(ops.scaled_dot_product_attention, ((2, 3, 4), (2, 5, 4), (2, 5, 2)), saves="a b"),
    Case(ops.scaled_dot_product_attention, ((2, 3, 4), (2, 3, 4), (2, 3, 2)), dict(is_causal=True), "a b"),
]

MORE_ROWS = [*COMPOSITIONS, *LOSSES, *ACTIVATIONS, *VERBS, *IMAGES]

LINEAR_TOO = {
    *(ops.select, ops.cumsum, ops.gather, ops.expand, ops.repeat, ops.flip, ops.clone, ops.einsum),
    *(ops.nll_loss, ops.pad_by, ops.interpolate, ops.dropout2d, ops.tril, ops.triu, ops.diag, ops.roll),
}

ELEMENTWISE = {  # those that share large arrays among threads
    "exp", "log", "sqrt", "sigmoid", "tanh", "softmax", "log_softmax", "gelu", "silu", "softplus", "mish", "elu",
    "selu", "leaky_relu", "logsigmoid", "mse_loss", "l1_loss", "sin", "cos", "relu6", "hardtanh", "hardsigmoid",
    "hardswish"
}  # fmt: skip

KINK = "it differs at a kink or a special value only (test_special_values)"
EXPLAINED_TOO = [
    (r"stepped: .*-zeros.*", "minus 0 is 0"),
    (r"(mse|l1)_loss: ctx\.each\(lambda .* -> .*, target, x\)", "x - t and t - x have one square, and one size"),
    (r"roll: \(shifts\[0\], -shifts\[0\]\).*", "all in a row have one shift, which NumPy takes in a tuple, too"),
    (r"moments_line: (return )?\(slope, offset\) -> .*", "the caller reads the line that it gave to be added to"),
    (r"exponential_linear: .*minimum\(x, 0\) -> .*minimum\(x, 1\)", "either keeps the exponential from overflowing"),
    (
        r"(prelu|exponential_linear|softplus|clipped|hardsigmoid|hardswish|clamp|shares): .* [<>] .* -> .* [<>]=? .*",
        KINK,
    ),
    (r"hardswish: .*x >= 3.* -> .*x > 3.*", KINK),
    (r"(abs|norm): .* \* xp\.sign\(x\) -> .* / xp\.sign\(x\)", KINK),
    (
        r"shares: .* \* sign.* -> .* / sign.*|shares: .*sign \* which -> .* / which",
        "+-1, or 0 where both are equal: " + KINK,
    ),
    (r"select: boolean\(.*", "a name in an error message"),
    (r"pow: .*where\(.* == 0.*|pow: .*where\(.* -> .*where\(0, b == 0.*", KINK),
    (r"binary_cross_entropy: .*(1e-12|clip\(-100|1e-44).*", KINK),
    (r"kl_div: .*where\(target > 0, target, 1\) -> .*", KINK),
    (r"cosine_similarity: a\.ndim >= b\.ndim -> a\.ndim > b\.ndim", "of two equal numbers of axes it takes either"),
    (r"normal_cdf: \((u|4 \* t).*", "the recurrence starts with 0 and 0"),
    (r"normal_cdf: .*where\(x < 0.* -> .*x <= 0.*", "at 0 both sides are one half"),
    (r"(std|norm): .*where\((y|ratio) > 0.*", KINK),
    (r"norm: .*(ties|keepdims|True -> False|p == math\.inf).*", KINK),
    (r"max: .* / winner\.sum.*", "it differs where the largest are tied (test_a_maximum_that_is_tied)"),
    (r"max: winner\.sum.*", "how many are tied is a whole number in either type"),
    (r"max: .*axes\[0\]\) -> .*axes\[-1\]\)", "the only axis is the last, too"),
    (r"without_lone_axes: .*", "einsum sums an axis that only one input has by itself, though less exactly"),
    (r"gather: .*-1 if i == j.*", "any negative length is the one that NumPy works out"),
    (r"repeat: .*\* lead.* -> .*", "one axis of length 1 more or less changes no order"),
    (r"grouped: .*", "which of gamma and beta is given: torch has both or none, and a norm without beta"),
    (
        r"(group_norm_backward|mean_of): .*float64.*",
        "the type of a sum counts in float32 only (test_norms_far_from_zero)",
    ),
    (r"exact_sum: .*", "which way it adds counts beyond float64 only (test_sums_of_many_float32_numbers)"),
    (
        r"(running_sum|is_floating_point): .*|prod: .*is_floating_point.*",
        "types beside float64 (test_sums_of_many_float32_numbers)",
    ),
    (r"nll_loss: exact_sum.*", "the rows have one axis"),
    (r"adaptive_max_pool2d_backward: .*h, w, c.*", "only h times w is read"),
    (
        r"places: .*(xp\.minimum|xp\.zeros|n - 1).*",
        "a scale whose rounding leads beyond the image is too rare for a row",
    ),
]
