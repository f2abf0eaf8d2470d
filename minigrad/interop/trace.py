"""Which op uses which weight, and what comes before it: found by one run of the net on shapes alone."""

from typing import NamedTuple

import numpy as np

from kernels.virtual import virtual

from ..autograd import enable_grad, watcher
from ..nn.inspection import shapes_only
from ..tensor import Tensor

ELEMENTWISE = frozenset(("relu", "leaky_relu", "sigmoid", "tanh", "dropout"))  # they keep the order of the numbers


class Call(NamedTuple):
    """One op that ran: its name, its input tensors (None where one was left out), its settings and its output."""

    op: str
    inputs: tuple
    settings: dict
    output: Tensor


def calls(net, image_shape, training=False):
    """The ops that net runs for images (H, W, C), one in evaluation mode or two in training mode, in order.

    The net is left as it was.
    """
    found, before = [], net.training
    token = watcher.set(lambda fn, inputs, settings, out: found.append(Call(fn.__name__, inputs, settings, out)))
    try:
        with shapes_only(net), enable_grad():
            net.train(training)(Tensor(virtual((1 + training, *image_shape), np.dtype(np.float32))))
    finally:
        watcher.reset(token)
        net.train(before)
    return found


class Uses(NamedTuple):
    """What a run shows of the weights, by their names.

    flattened   {weight of a linear layer: (P, Q, C) of the maps that were flattened before it}
    convolution {running mean: weight of the convolution whose output it is the mean of}
    head        name of the last linear layer's weight, or None
    rows        the names of all linear layers' weights
    """

    flattened: dict
    convolution: dict
    head: str | None
    rows: frozenset = frozenset()


def uses(net, image_shape):
    """The Uses of a net for images of this shape (H, W, C).

    Layers that only training runs, such as GoogLeNet's auxiliary heads, are found by a run in training mode.
    """
    names = {id(t): name for name, t in (*net.named_parameters(), *net.named_buffers())}
    found = uses_in(calls(net, image_shape), names)
    if found.rows >= {name for name, p in net.named_parameters() if p.ndim == 2}:
        return found
    trained = uses_in(calls(net, image_shape, training=True), names)
    flattened, convolution = {**trained.flattened, **found.flattened}, {**trained.convolution, **found.convolution}
    return Uses(flattened, convolution, found.head, found.rows | trained.rows)


def uses_in(ran, names):
    """The Uses that the calls of one run show. names: {id of a tensor: its name}"""
    made_by = {id(call.output): call for call in ran}
    linear = [call for call in ran if call.op in ("linear", "linear_relu") and id(call.inputs[1]) in names]
    flattened = {names[id(c.inputs[1])]: before_flatten(c.inputs[0], made_by) for c in linear}
    norms = [c for c in ran if c.op in ("batch_norm", "batch_norm_relu")]
    pairs = {
        names.get(id(c.settings.get("running_mean"))): convolution_before(c.inputs[0], made_by, names) for c in norms
    }
    pairs.pop(None, None)  # those without running statistics
    head = names[id(linear[-1].inputs[1])] if linear else None
    return Uses({n: s for n, s in flattened.items() if s}, pairs, head, frozenset(flattened))


def before_flatten(x, made_by):
    """(P, Q, C) of the maps that a linear layer's input was flattened from; None if it was not, or from one pixel."""
    call = made_by.get(id(x))
    while call is not None and call.op in ELEMENTWISE:
        call = made_by.get(id(call.inputs[0]))
    if call is None or call.op != "reshape" or call.inputs[0].ndim != 4:
        return None
    shape = call.inputs[0].shape[1:]
    return shape if shape[0] * shape[1] > 1 else None


def convolution_before(x, made_by, names):
    """The name of the weight of the convolution that made x, or None."""
    call = made_by.get(id(x))
    return names.get(id(call.inputs[1])) if call is not None and call.op == "conv2d" else None
