"""The rows of tests/op_table.py, enlarged to the layers of real nets; and the convolutions of a whole net.

Each op's rows here have the settings that its rows there have (a test compares them).
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from kernel_calls import training_step
from op_cases_more import FORWARD_ONLY, MORE, WITH_CONSTANTS
from op_table import CASES, Case, running_pairs

from architectures.registry import find
from minigrad import Tensor, ops, tensor


class Row(NamedTuple):
    """One layer. passes: "forward", and the gradients measured by themselves: "backward" (all), "dx", "dw"."""

    case: Case
    passes: tuple = ("forward", "backward")
    count: int = 1  # how often the net has it

    @property
    def name(self):
        """The settings and the shapes."""
        settings = (f"{k}={v}" for k, v in self.case.params.items() if isinstance(v, int | float | tuple | slice))
        shapes = ("x".join(map(str, s)) for s in self.case.shapes[:2])
        return " ".join([*shapes, *settings]).replace(", ", ",")


THREE = "forward", "dx", "dw"
MAPS = (8, 56, 56, 64)  # 6.4 MB
MATRIX = (128, 1000)
FIRST = {case.op: case for case in reversed(CASES)}  # the first row of each op: how its inputs are drawn


def rows(op, *layers, passes=("forward", "backward"), constants=()):
    """A Row for each layer (shapes, settings)."""
    return [Row(replace(FIRST[op], shapes=s, params=p, constants=constants), passes) for s, p in layers]


def elementwise(*all_ops, shapes=(MAPS,), **params):
    return [row for op in all_ops for row in rows(op, (shapes, params))]


def statistics(c):
    return dict(training=False, running_mean=tensor(np.zeros(c, "f")), running_var=tensor(np.ones(c, "f")))


def block(c, growth, n):
    """The weights of a dense block with bottlenecks."""
    layers = [(c + i * growth, 4 * growth) for i in range(n)]
    return [s for c, k in layers for s in ((c,), (c,), (k, 1, 1, c), (k,), (k,), (growth, 3, 3, k))]


def dense(training):
    """The first block of DenseNet-121, in training or with running statistics."""
    widths = [w for i in range(6) for w in (64 + 32 * i, 128)]
    running = [tuple(Tensor(t.data.astype("f")) for t in pair) for pair in running_pairs(*widths)]
    return {} if training else dict(training=False, running=running)


BLOCK = ((8, 56, 56, 64), *block(64, 32, 6))
CLASSES = np.arange(128) % 1000
USUAL = dict(stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1)

ROWS = [
    *elementwise(ops.add, ops.sub, ops.mul, ops.div, shapes=(MAPS, MAPS)),
    *rows(ops.add, ((MAPS, (64,)), {})),
    *elementwise(ops.neg, ops.exp, ops.log, ops.sqrt, ops.relu, ops.sigmoid, ops.tanh),
    *elementwise(ops.power, exponent=2),
    *elementwise(ops.leaky_relu, negative_slope=0.2),
    *rows(ops.matmul, (((512, 512), (512, 512)), {})),
    *rows(ops.sum, ((MAPS,), {}), ((MAPS,), dict(dim=-1)), ((MAPS,), dict(dim=(0, 1, 2), keepdim=True))),
    *rows(ops.mean, ((MAPS,), dict(dim=-1)), ((MAPS,), {})),
    *rows(ops.max, ((MATRIX,), {}), ((MATRIX,), dict(dim=1)), ((MATRIX,), dict(dim=1, keepdim=True))),
    *rows(ops.reshape, ((MAPS,), dict(shape=(8, -1)))),
    *rows(ops.transpose, ((MAPS,), dict(axes=(0, 3, 1, 2)))),
    *rows(ops.getitem, ((MAPS,), dict(index=(slice(None), slice(None, None, 2), slice(None, None, 2))))),
    *rows(ops.pad, ((MAPS,), dict(pads=((0, 0), (0, 0), (0, 0), (0, 64))))),
    *elementwise(ops.softmax, ops.log_softmax, shapes=(MATRIX,)),
    *rows(
        ops.conv2d,
        (((8, 224, 224, 3), (64, 7, 7, 3)), dict(stride=2, padding=3)),
        (((8, 56, 56, 64), (64, 3, 3, 64), (64,)), dict(padding=1)),
        (((8, 14, 14, 512), (512, 3, 3, 512), (512,)), dict(padding=1)),
        (((8, 56, 56, 128), (128, 3, 3, 128)), dict(stride=2, padding=1)),
        (((8, 28, 28, 128), (128, 3, 3, 128)), dict(stride=1, padding=2, dilation=2)),
        (((8, 27, 27, 96), (256, 5, 5, 48), (256,)), dict(padding=2, groups=2)),
        (((8, 56, 56, 128), (128, 3, 3, 1)), dict(padding=1, groups=128, stride=2)),
        (((8, 56, 56, 64), (256, 1, 1, 64), (256,)), {}),
        (((8, 14, 14, 1024), (256, 1, 1, 1024)), {}),
        (((8, 56, 56, 256), (512, 1, 1, 256)), dict(stride=2)),
        passes=THREE,
    ),
    *rows(
        ops.conv_transpose2d,
        (((8, 28, 28, 64), (64, 3, 3, 32), (32,)), dict(stride=2, padding=1, output_padding=1)),
        (((8, 28, 28, 64), (64, 3, 3, 1), (64,)), dict(groups=64)),
        (((8, 28, 28, 64), (64, 3, 3, 32)), dict(dilation=2, output_padding=1)),
        passes=THREE,
    ),
    *rows(ops.conv2d_relu, (((8, 56, 56, 64), (64, 3, 3, 64), (64,)), dict(padding=1, stride=1))),
    *rows(
        ops.linear,
        (((8, 25088), (4096, 25088), (4096,)), {}),
        (((8, 4096), (4096, 4096), (4096,)), {}),
        (((64, 4096), (4096, 4096), (4096,)), {}),
        (((8, 2048), (1000, 2048), (1000,)), {}),
        (((8, 512), (1000, 512), (1000,)), {}),
        passes=THREE,
    ),
    *rows(ops.linear_relu, (((8, 9216), (4096, 9216), (4096,)), {})),
    *rows(ops.batch_norm, (((8, 56, 56, 256), (256,), (256,)), {}), ((MAPS, (64,), (64,)), dict(eps=1e-3))),
    *rows(ops.batch_norm, ((MAPS, (64,), (64,)), statistics(64))),
    *rows(ops.batch_norm_relu, ((MAPS, (64,), (64,)), {}), ((MAPS, (64,), (64,)), statistics(64))),
    *rows(ops.local_response_norm, (((8, 55, 55, 96),), dict(size=5, alpha=5e-4, beta=0.75, k=2.0))),
    *rows(ops.local_response_norm, (((8, 27, 27, 256),), dict(size=5, alpha=1e-4))),
    *rows(
        ops.max_pool2d,
        (((8, 112, 112, 64),), dict(kernel_size=2)),
        (((8, 112, 112, 64),), dict(kernel_size=3, stride=2, padding=1)),
        (((8, 112, 112, 64),), dict(kernel_size=3, stride=2, ceil_mode=True)),
        (((8, 56, 56, 64),), dict(kernel_size=3, stride=1, dilation=2)),
        (((8, 56, 56, 64),), dict(kernel_size=3, stride=2, padding=1, dilation=2, ceil_mode=True)),
    ),
    *rows(
        ops.avg_pool2d,
        (((8, 56, 56, 128),), dict(kernel_size=2)),
        (((8, 35, 35, 384),), dict(kernel_size=3, stride=1, padding=1)),
        (((8, 35, 35, 384),), dict(kernel_size=3, stride=1, padding=1, ceil_mode=True, count_include_pad=False)),
    ),
    *rows(ops.adaptive_avg_pool2d, (((8, 7, 7, 2048),), dict(output_size=1))),
    *rows(ops.adaptive_avg_pool2d, (((8, 14, 14, 512),), dict(output_size=4))),
    *rows(ops.concat, (tuple((8, 28, 28, c) for c in (64, 128, 32, 32)), {}), ((MAPS, MAPS), dict(dim=0))),
    *rows(ops.dropout, (((128, 4096),), dict(p=0.5, seed=5))),
    *rows(ops.cross_entropy, ((MATRIX,), {}), ((MATRIX,), dict(label_smoothing=0.1)), constants=(CLASSES,)),
    *rows(
        ops.cross_entropy,
        ((MATRIX,), dict(reduction="none")),
        ((MATRIX,), dict(reduction="sum", label_smoothing=0.1)),
        ((MATRIX,), dict(weight=np.linspace(0.5, 2, 1000, dtype="f"), label_smoothing=0.1)),
        constants=(CLASSES,),
    ),
    *rows(ops.add_relu, ((MAPS, MAPS), {})),
    *rows(ops.dense_block, (BLOCK, {}), (BLOCK, dict(memory_efficient=True)), (BLOCK, dense(training=False))),
    *(row for op, *layer in MORE for row in rows(op, layer)),
    *(row for op, *layer, constants in WITH_CONSTANTS for row in rows(op, layer, constants=constants)),
    *(row for op, *layer in FORWARD_ONLY for row in rows(op, layer, passes=("forward",))),
]  # fmt: skip


def convolutions(net, batch):
    """A Row for each different convolution of a net in training, as often as a step has it."""
    in_channels, found = find(net).in_channels, []
    for call, count in training_step(net).items():
        if call.kernel == "conv2d_forward":
            x, w, b, settings = call.input("x").at(batch), call.input("w"), call.input("b"), dict(call.settings)
            params = {name: settings[name] for name, value in USUAL.items() if settings[name] != value}
            shapes = (x, w.shape) if b is None else (x, w.shape, b.shape)
            case = replace(FIRST[ops.conv2d], shapes=shapes, params=params)
            found.append(Row(case, THREE if x[3] != in_channels else ("forward", "dw"), count))
    return found


def table(net, batch):
    """The rows to measure: the enlarged op table, or the convolutions of a net."""
    return ROWS if net is None else convolutions(net, batch)
