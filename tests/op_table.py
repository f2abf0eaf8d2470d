"""One row per case of every op.

Gradient checks, device parity, fused-equals-plain, memory, benchmarks and the mutation test read this table.
"""

from dataclasses import replace

import numpy as np
from op_case import Case
from op_rows import EXPLAINED_TOO, LINEAR_TOO, MORE_ROWS

from minigrad import ops, tensor
from minigrad.gradcheck.inputs import distinct, off_zero, positive, zeros

IMAGE = (2, 5, 6, 3)
MEAN, VAR = np.array([0.3, -0.2, 0.1]), np.array([1.5, 0.5, 0.8])
BN = dict(training=False, running_mean=tensor(MEAN), running_var=tensor(VAR))
CLASSES = np.array([2, 0, 3, 2, -100])
SOFT = np.array([[0.1, 0.2, 0.3, 0.4], [0, 1, 0, 0], [0.25, 0.25, 0.25, 0.25]])
TILTED = np.array([0.5, 1.0, 2.0, 1.5])
OBLONG = dict(kernel_size=(3, 2), stride=(1, 4), padding=(1, 0))
GAPS = dict(kernel_size=2, stride=3, padding=1)  # the last pixels are in no window
OVER = dict(kernel_size=(2, 3), stride=4, padding=(0, 1), ceil_mode=True)  # windows reach over the edge

DENSE_BASIC = ((2, 4, 3, 3), (3,), (3,), (2, 3, 3, 3), (5,), (5,), (2, 3, 3, 5))
DENSE_OBLONG = ((2, 5, 4, 3), (3,), (3,), (2, 5, 3, 3), (5,), (5,), (2, 3, 5, 5))
DENSE_BC = (
    (2, 4, 3, 3),
    (3,),
    (3,),
    (4, 1, 1, 3),
    (4,),
    (4,),
    (2, 3, 3, 4),
    *((5,), (5,), (4, 1, 1, 5), (4,), (4,), (3, 3, 3, 4)),
)


def running_pairs(*widths):
    """A (running_mean, running_var) pair of tensors for each width."""
    rng = np.random.default_rng(7)
    return [(tensor(rng.standard_normal(c)), tensor(0.5 + rng.random(c))) for c in widths]


DENSE_EVAL = dict(training=False, running=running_pairs(3, 4, 5, 4))


LINEAR = {  # in each input on its own: checked without eps
    *(ops.add, ops.sub, ops.mul, ops.neg, ops.matmul, ops.sum, ops.mean, ops.reshape, ops.transpose, ops.getitem),
    *(ops.pad, ops.conv2d, ops.conv_transpose2d, ops.linear, ops.avg_pool2d, ops.adaptive_avg_pool2d, ops.concat),
    ops.dropout,
}

ROWS = [
    Case(ops.add, ((2, 3), (3,))),
    Case(ops.add, ((2, 3), ())),
    Case(ops.sub, ((2, 1, 3), (4, 1))),
    Case(ops.mul, ((2, 3), (2, 1)), saves="a b"),
    Case(ops.div, ((2, 3), (3,)), saves="a b", make=positive),
    Case(ops.neg, ((2, 3),)),
    Case(ops.power, ((2, 3),), dict(exponent=3), saves="x"),
    Case(ops.power, ((2, 3),), dict(exponent=-0.5), saves="x", make=positive),
    Case(ops.power, ((2, 3),), dict(exponent=0), saves="x"),
    Case(ops.power, ((2, 3),), dict(exponent=0), saves="x", make=zeros),
    Case(ops.exp, ((2, 3),), saves="y"),
    Case(ops.log, ((2, 3),), saves="x", make=positive),
    Case(ops.sqrt, ((2, 3),), saves="y", make=positive),
    Case(ops.matmul, ((2, 3), (3, 4)), saves="a b"),
    Case(ops.matmul, ((5, 2, 3), (3, 4)), saves="a b"),
    Case(ops.matmul, ((5, 2, 3), (5, 3, 4)), saves="a b"),
    Case(ops.matmul, ((3,), (3, 4)), saves="a b"),
    Case(ops.matmul, ((2, 3), (3,)), saves="a b"),
    Case(ops.sum, ((2, 3, 4),)),
    Case(ops.sum, ((2, 3, 4),), dict(dim=1)),
    Case(ops.sum, ((2, 3, 4),), dict(dim=(0, -1), keepdim=True)),
    Case(ops.mean, ((2, 3, 4),), dict(dim=1)),
    Case(ops.mean, ((2, 3),)),
    Case(ops.max, ((2, 3, 4),), saves="winner", make=distinct),
    Case(ops.max, ((2, 3, 4),), dict(dim=1), saves="winner", make=distinct),
    Case(ops.max, ((2, 3, 4),), dict(dim=(0, 2), keepdim=True), saves="winner", make=distinct),
    Case(ops.max, ((2, 3, 4),), dict(dim=[0, 1]), saves="winner", make=distinct),
    Case(ops.max, ((),), dict(dim=0)),
    Case(ops.reshape, ((2, 3, 4),), dict(shape=(4, -1))),
    Case(ops.transpose, ((2, 3, 4),), dict(axes=(1, 2, 0))),
    Case(ops.getitem, ((4, 5),), dict(index=(slice(1, 3), slice(None, None, 2)))),
    Case(ops.getitem, ((4, 5),), dict(index=np.array([0, 2, 2])), saves="index"),
    Case(ops.pad, ((2, 3),), dict(pads=((1, 0), (0, 2)))),
    Case(ops.relu, ((3, 4),), saves="y", make=off_zero),
    Case(ops.leaky_relu, ((3, 4),), dict(negative_slope=0.2), saves="x", make=off_zero),
    Case(ops.sigmoid, ((3, 4),), saves="y"),
    Case(ops.tanh, ((3, 4),), saves="y"),
    Case(ops.softmax, ((2, 3, 4),), saves="y"),
    Case(ops.log_softmax, ((2, 3, 4),), saves="y"),
    Case(ops.softmax, ((),)),
    Case(ops.log_softmax, ((),)),
    Case(ops.conv2d, (IMAGE, (4, 3, 3, 3), (4,)), dict(padding=1), "x w"),
    Case(ops.conv2d, (IMAGE, (4, 3, 2, 3)), dict(stride=2, padding=1), "x w"),
    Case(ops.conv2d, ((1, 9, 7, 2), (3, 3, 2, 2)), dict(stride=(1, 2), padding=(2, 0), dilation=(2, 3)), "x w"),
    Case(ops.conv2d, ((1, 4, 5, 2), (3, 2, 3, 2)), dict(padding=(0, 2)), "x w"),
    Case(ops.conv2d, ((2, 5, 4, 6), (4, 3, 3, 3), (4,)), dict(padding=1, groups=2), "x w"),
    Case(ops.conv2d, ((2, 5, 4, 3), (6, 3, 3, 1)), dict(padding=1, groups=3, stride=2), "x w"),
    Case(ops.conv2d, (IMAGE, (4, 1, 1, 3), (4,)), saves="x w"),
    Case(ops.conv2d, (IMAGE, (4, 1, 1, 3)), dict(stride=2), saves="x w"),
    Case(
        ops.conv_transpose2d,
        ((2, 3, 4, 3), (3, 3, 2, 2), (2,)),
        dict(stride=2, padding=1, output_padding=(1, 0)),
        "x w",
    ),
    Case(ops.conv_transpose2d, ((1, 2, 3, 2), (2, 2, 2, 2)), dict(dilation=3, output_padding=2), "x w"),
    Case(ops.conv_transpose2d, ((2, 3, 4, 4), (4, 2, 2, 1)), dict(groups=2), "x w"),
    Case(ops.linear, ((5, 3), (4, 3), (4,)), saves="x w"),
    Case(ops.linear, ((2, 3, 3), (4, 3)), saves="x w"),
    Case(ops.batch_norm, ((4, 3, 3, 3), (3,), (3,)), saves="x gamma beta mean var"),
    Case(ops.batch_norm, ((6, 3), (3,), (3,)), dict(eps=1e-3), saves="x gamma beta mean var"),
    Case(ops.batch_norm, ((1, 3, 3, 3), (3,), (3,)), BN, saves="x gamma beta mean var"),
    Case(ops.local_response_norm, ((2, 2, 3, 7),), dict(size=5, alpha=0.3, beta=0.75, k=2.0), "x d"),
    Case(ops.local_response_norm, ((2, 2, 2, 7),), dict(size=4, alpha=0.3), "x d"),
    Case(ops.local_response_norm, ((2, 2, 2, 4),), dict(size=3, alpha=0.3), "x d"),
    Case(ops.max_pool2d, ((2, 5, 4, 3),), dict(kernel_size=2), "winner", make=distinct),
    Case(ops.max_pool2d, ((2, 7, 6, 2),), dict(kernel_size=3, stride=2, padding=1), "winner", make=distinct),
    Case(ops.max_pool2d, ((2, 6, 6, 2),), dict(kernel_size=3, stride=2, ceil_mode=True), "winner", make=distinct),
    Case(ops.max_pool2d, ((1, 7, 6, 2),), dict(kernel_size=(2, 3), stride=1, dilation=2), "winner", make=distinct),
    Case(ops.max_pool2d, ((2, 4, 8, 2),), OBLONG, "winner", make=distinct),
    Case(ops.max_pool2d, ((1, 5, 5, 2),), GAPS, "winner", make=distinct),
    Case(ops.max_pool2d, ((1, 6, 8, 2),), dict(OVER, dilation=2), "winner", make=distinct),
    Case(ops.avg_pool2d, ((2, 5, 4, 3),), dict(kernel_size=2)),
    Case(ops.avg_pool2d, ((2, 6, 5, 2),), dict(kernel_size=3, stride=2, padding=1)),
    Case(ops.avg_pool2d, ((2, 4, 8, 2),), OBLONG),
    Case(ops.avg_pool2d, ((1, 5, 5, 2),), GAPS),
    Case(ops.avg_pool2d, ((1, 6, 8, 2),), dict(OVER, count_include_pad=False)),
    Case(
        ops.avg_pool2d,
        ((2, 6, 5, 2),),
        dict(kernel_size=3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
    ),
    Case(ops.adaptive_avg_pool2d, ((2, 5, 4, 3),), dict(output_size=1)),
    Case(ops.adaptive_avg_pool2d, ((2, 5, 7, 2),), dict(output_size=(3, 4))),
    Case(ops.concat, ((2, 2, 2, 3), (2, 2, 2, 1), (2, 2, 2, 2))),
    Case(ops.concat, ((2, 3), (1, 3)), dict(dim=0)),
    Case(ops.dropout, ((20, 30),), dict(p=0.3, seed=5)),
    Case(ops.cross_entropy, ((5, 4),), saves="p q", constants=(CLASSES,)),
    Case(ops.cross_entropy, ((5, 4),), dict(label_smoothing=0.1, weight=TILTED), "p q", constants=(CLASSES,)),
    Case(ops.cross_entropy, ((5, 4),), dict(reduction="none"), "p q", constants=(CLASSES,)),
    Case(ops.cross_entropy, ((3, 4),), dict(reduction="sum", label_smoothing=0.2), "p q", constants=(SOFT,)),
    Case(ops.conv2d_relu, (IMAGE, (4, 3, 3, 3), (4,)), dict(padding=1, stride=2), "x w mask"),
    Case(ops.linear_relu, ((5, 3), (4, 3), (4,)), saves="x w mask"),
    Case(ops.batch_norm_relu, ((4, 3, 3, 2), (2,), (2,)), saves="x gamma beta mean var"),
    Case(ops.batch_norm_relu, ((2, 3, 3, 3), (3,), (3,)), BN, "x gamma beta mean var"),
    Case(ops.add_relu, ((2, 3), (2, 3)), saves="y", make=off_zero),
    Case(ops.dense_block, DENSE_BASIC, dict(units=1), "layers saved block"),
    Case(ops.dense_block, DENSE_OBLONG, dict(units=1), "layers saved block"),
    Case(ops.dense_block, DENSE_BC, {}, "layers saved block"),
    Case(ops.dense_block, DENSE_BC, dict(memory_efficient=True), "layers saved block"),
    Case(ops.dense_block, DENSE_BC, DENSE_EVAL, "layers saved block"),
]

CASES = [replace(row, linear=row.op in LINEAR | LINEAR_TOO) for row in ROWS + MORE_ROWS]

# Changes of a backward pass that make no difference (or one that only another test can see), for
# `python -m minigrad.gradcheck --mutate`: (pattern of "function: before -> after", survives as ...).
EXPLAINED = [
    (r"unbroadcast: if dy.shape == shape: .*", "a shortcut: the way around it gives the same"),
    (r"pad_hw: .* if ph or pw else x -> .*", "a shortcut: padding by 0 copies"),
    (r"getitem: (if simple|int \||index if).*", "a shortcut: adding at each index is right for simple ones, too"),
    (r"leaky_relu: .*x > 0.*", "it differs where x is exactly 0, a kink (test_the_slope_at_a_kink)"),
    (r"through_relu: .* > 0 -> .* >= 0", "it differs where y is exactly 0, a kink (test_the_slope_at_a_kink)"),
    (r".*\.zeros.* -> .*\.ones.*", "every element is written before it is read"),
    (r".*shape\[1:3\] -> .*shape\[1:(3 \+ 1|4)?\]", "zip stops at the two axes that the other settings have"),
    (r".*reshape\(-1.* -> .*reshape\(-2.*", "any negative length is the one that NumPy works out"),
    (r".*\bvar, eps.* -> .*\beps, .*var.*|.*x\.var, eps.*", "var and eps are only ever added to each other"),
    (r".*max\(.*, 1\) -> max\(.*, [02]\)", "it counts for empty batches only"),
    (r"conv2d_backward_input: .*2 \* p[hw].* -> .*3 \* p[hw].*", "a larger canvas is cropped"),
    (r"pad_to_windows: \(o - 1\) \* st.*", "a larger canvas is cropped"),
    (r"(max|avg)_pool2d_backward: pad_to_windows.*", "the canvas stays large enough, and its border is cropped"),
    (r"channel_window_sum: size - 1 - before -> .*", "padding beyond the last window is never read"),
    (r"taps: \(0, \*size, 0\) -> .*", "the numbers around the size are not read"),
    (r"cross_entropy_backward: q\.sum\(-1.* -> q\.sum\(1.*", "the last axis of a matrix is its second"),
    (r"dense_block: checked\(.*", "the arguments are only checked there (test_errors)"),
    (
        r"(matmul|through_moments|leaky_relu): .*copy=False\) -> .*",
        "copying what has the type already changes no number",
    ),
    (r"(matmul|through_moments|leaky_relu): False -> True", "copying what has the type already changes no number"),
    (r"matmul: .*result_type\(a, b\) -> .*", "the type of a product does not depend on the factors' order"),
    (r"composed_backward: dx if add_to is None else add_to -> dx", "the caller reads add_to itself"),
    *EXPLAINED_TOO,
]
