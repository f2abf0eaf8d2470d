"""A whole dense block as one op (Huang et al. 2017): one buffer, no copies that grow with the square of the depth.

Layer l reads all channels that came before it and appends k new ones:

    x_l = H_l([x_0, x_1, ..., x_{l-1}])   with H = norm - ReLU - conv 3x3
                                          or   H = norm - ReLU - conv 1x1 - norm - ReLU - conv 3x3 (bottleneck)

Written as concats, layer l copies everything before it. Here all layers share one buffer (N, H, W, C + L k): layer l
reads the view of its first channels and its last convolution writes the next k. The batch statistics of a channel are
the same for every layer that reads it, so they are computed once, when it is appended.

Backward walks the same way through one buffer of gradients: when layer l's turn comes, all its readers have added to
its k channels. What a reader's batch norm sends back is a direct part and a straight line in x (slope, offset): see
kernels/reference/dense.py. Readers add their direct parts to the buffer and their lines to two vectors; the line is
drawn once, when the turn comes.
"""

from typing import NamedTuple

from ..precision import at_least_float32, floats, norms
from ..tensor import op
from .activation import relu
from .checks import images
from .conv import conv2d
from .joining import concat
from .norm import batch_norm, move_statistics, statistics


class Unit(NamedTuple):
    """norm - ReLU - conv: half of a bottleneck layer, or a whole basic one. The convolution keeps the image's size."""

    gamma: object
    beta: object
    w: object


class Features(NamedTuple):
    """x, and the mean and variance of each channel that a unit normalises it with."""

    x: object
    mean: object
    var: object

    def channels(self, begin, end):
        return Features(self.x[..., begin:end], self.mean[begin:end], self.var[begin:end])


class Line(NamedTuple):
    """slope (x - mean) + offset for each channel: the gradient of x through its mean and variance."""

    slope: object
    offset: object

    def channels(self, begin, end):
        return Line(self.slope[begin:end], self.offset[begin:end])


def unit_forward(k, unit, x, eps, moments=False, out=None):
    """The Features of conv2d(relu(norm(x))); mean and var are None unless moments."""
    return Features(*k.norm_relu_conv_forward(x.x, *unit[:2], x.mean, x.var, eps, unit.w, moments, out))


def unit_backward(k, unit, x, dy, y, line, training, eps, add_to=None, lines=()):
    """dx (its first term; added into add_to where given), its Line (added into `lines`), and (dgamma, dbeta, dw).

    dy is the first term of y's gradient; the rest is y's line.
    """
    through = (y.x, y.mean, *line) if training else None
    args = dy, through, x.x, *unit[:2], x.mean, x.var, eps, unit.w
    dx, dgamma, dbeta, dw = k.norm_relu_conv_backward(*args, add_to=add_to)
    m = float(max(y.x.size // y.x.shape[-1], 1))
    return dx, Line(*k.moments_line(unit.gamma, x.var, dgamma, dbeta, eps, m, *lines)), (dgamma, dbeta, dw)


def normalised_with(k, x, running, training, momentum):
    """x with the statistics to use: the running ones, or in training its own, towards which the running ones move."""
    if not training:
        return Features(x.x, *(statistics(r, x.x) for r in running))
    if running:
        move_statistics(k, running, x.mean, x.var, momentum, x.x.size // max(x.x.shape[-1], 1))
    return x


def layers_of(weights, units):
    """The flat inputs (gamma, beta, w, gamma, beta, w, ...) as a list of layers, each a list of `units` Units."""
    if units not in (1, 2) or len(weights) % (3 * units):
        raise ValueError(f"dense_block: units must be 1 or 2 with 3 inputs a unit; got {units}, {len(weights)} inputs")
    flat = [Unit(*weights[i : i + 3]) for i in range(0, len(weights), 3)]
    return [flat[i : i + units] for i in range(0, len(flat), units)]


def checked(x, layers, running, training):
    """How many channels there are before the first layer and after each one; refuse what doesn't fit."""
    images("dense_block", x)
    if x.size // max(x.shape[-1], 1) == 1 and training:
        raise ValueError(f"dense_block: one value a channel has no variance; x {x.shape} needs a larger batch or image")
    if not training and running is None:
        raise ValueError("dense_block: training=False needs running statistics")
    ends = [x.shape[-1]]
    for i, layer in enumerate(layers):
        for unit in layer:
            images("dense_block", unit.w, f"w of layer {i}")
        if layer[0].w.shape[-1] != ends[-1] or layer[0].gamma.shape != (ends[-1],):
            raise ValueError(f"dense_block: layer {i} reads {ends[-1]} channels but its weight is {layer[0].w.shape}")
        ends.append(ends[-1] + layer[-1].w.shape[0])
    return ends


def joined(x, *weights, units=2, running=None, memory_efficient=False, **settings):
    """The block as one writes it, a concat for each layer; nothing is computed again, so memory_efficient is moot."""
    features, layers = [x], layers_of(weights, units)
    owners = iter(running or [(None, None)] * len(layers) * units)
    for layer in layers:
        y = concat(*features)
        for unit, (mean, var) in zip(layer, owners):
            y = relu(batch_norm(y, unit.gamma, unit.beta, running_mean=mean, running_var=var, **settings))
            y = conv2d(y, unit.w, padding=tuple(n // 2 for n in unit.w.shape[1:3]))
        features.append(y)
    return concat(*features)


@op(autocast=norms, types=floats, written=joined, kernels_only=True)
def dense_block(ctx, x, *weights, units=2, running=None, training=True, momentum=0.1, eps=1e-5, memory_efficient=False):
    """x and what every layer appends to it: (N, H, W, C) -> (N, H, W, C + sum of the layers' k).

    weights: gamma (C,), beta (C,), w (K, R, S, C) for each unit (norm - ReLU - conv), `units` units a layer: 2 for the
    bottleneck layers of DenseNet-BC, 1 for basic ones. running: a list of (running_mean, running_var) tensors, one
    for each unit; see batch_norm for training, momentum and eps. memory_efficient: keep only the buffer, and compute
    the bottlenecks' inner activations again in backward (Pleiss et al. 2017). ValueError for weights that don't fit.

    The same as, layer by layer from the first, and backwards from the last, with H as above:

        x_l = H_l([x_0, x_1, ..., x_{l-1}]),   y = [x_0, x_1, ...]
        dx_l = its slice of dy + what every later layer sends back to it;   dweights as of conv2d and batch_norm
    """
    k, layers = ctx.kernels, layers_of(weights, units)
    ends = checked(x, layers, running, training)
    running = [running[i : i + units] if running else [None] * units for i in range(0, len(layers) * units, units)]
    wide = at_least_float32(x.dtype)
    block = Features(ctx.empty((*x.shape[:3], ends[-1]), x.dtype), *ctx.zeros((2, ends[-1]), wide))
    k.concat_forward([x], out=block.x[..., : ends[0]])
    if training:
        k.copy_all([block.mean[: ends[0]], block.var[: ends[0]]], list(k.channel_mean_var(x)))
    saved = []
    for layer, own, start, end in zip(layers, running, ends, ends[1:]):
        io = block.channels(0, start), block.channels(start, end)
        saved.append(layer_forward(k, layer, own, *io, training, momentum, eps, memory_efficient))

    def backward(dy):
        grads, dx, line = [], ctx.copied(dy), Line(*ctx.zeros((2, ends[-1]), wide))
        for layer, inputs, start, end in reversed(list(zip(layers, saved, ends, ends[1:]))):
            new = dx[..., start:end], block.channels(start, end), line.channels(start, end)
            before = dx[..., :start], line.channels(0, start)
            grads[:0] = layer_backward(k, layer, inputs, *new, training, eps, *before)
        dx = dx[..., : ends[0]]
        if training:
            dx = k.through_moments(dx, *block.channels(0, ends[0])[:2], *line.channels(0, ends[0]))
        return dx, *grads

    return block.x, backward


def layer_forward(k, layer, running, x, out, training, momentum, eps, memory_efficient):
    """Run a layer's units, the last one into `out`; what they read, without x (backward computes it) if told so."""
    inputs = []
    for unit, own in zip(layer, running):
        x = normalised_with(k, x, own, training, momentum)
        inputs.append(x._replace(x=None) if memory_efficient and inputs else x)
        x = unit_forward(k, unit, x, eps, training, out.x if unit is layer[-1] else None)
    if training:
        k.copy_all([out.mean, out.var], [x.mean, x.var])
    return inputs


def layer_backward(k, layer, inputs, dy, y, line, training, eps, add_to, lines):
    """The gradients of a layer's weights, in order. Its input's first term goes into add_to, its Line into `lines`."""
    if inputs[-1].x is None:
        again = unit_forward(k, layer[0], inputs[0], eps)
        inputs = [inputs[0], inputs[1]._replace(x=again.x)]
    grads = []
    for unit, x in zip(reversed(layer), reversed(inputs)):
        into = (add_to, lines) if unit is layer[0] else ()
        dy, line, own = unit_backward(k, unit, x, dy, y, line, training, eps, *into)
        grads[:0] = own
        y = x
    return grads
