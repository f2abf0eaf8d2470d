"""A whole dense block as one op (Huang et al. 2017): one buffer, no copies that grow with the square of the depth.

Layer l reads all channels that came before it and appends k new ones:

    x_l = H_l([x_0, x_1, ..., x_{l-1}])   with H = norm - ReLU - conv 3x3
                                          or   H = norm - ReLU - conv 1x1 - norm - ReLU - conv 3x3 (bottleneck)

Written as concats, layer l copies everything before it. Here all layers share one buffer (N, H, W, C + L k): layer l
reads the view of its first channels and its last convolution writes the next k. The batch statistics of a channel are
the same for every layer that reads it, so they are computed once, when it is appended. Backward walks the same way
through one buffer of gradients: when layer l's turn comes, all its readers have added to its k channels.
"""

from typing import NamedTuple

from ..tensor import op
from .checks import images
from .norm import update


class Unit(NamedTuple):
    """norm - ReLU - conv: half of a bottleneck layer, or a whole basic one. The convolution keeps the image's size."""

    gamma: object
    beta: object
    w: object

    @property
    def conv(self):
        """stride, padding, dilation, groups"""
        return (1, 1), (self.w.shape[1] // 2, self.w.shape[2] // 2), (1, 1), 1


class Saved(NamedTuple):
    """What a unit keeps: its input (None: compute it again) and that input's statistics."""

    x: object
    mean: object
    var: object


def activate(k, unit, saved, eps):
    """relu(norm(x)), never kept: backward computes it again."""
    return k.batch_norm_apply(saved.x, unit.gamma, unit.beta, saved.mean, saved.var, eps, True)


def unit_forward(k, unit, saved, eps, out=None):
    return k.conv2d_forward(activate(k, unit, saved, eps), unit.w, None, *unit.conv, out=out)


def unit_backward(k, unit, saved, dy, eps, training, add_to=None):
    """dx (added into add_to where given), (dgamma, dbeta, dw)"""
    dz = k.conv2d_backward_input(dy, unit.w, saved.x.shape, *unit.conv)
    dw = k.conv2d_backward_weight(dy, activate(k, unit, saved, eps), unit.w.shape, *unit.conv)
    args = dz, saved.x, unit.gamma, unit.beta, saved.mean, saved.var, eps, True
    if training:
        dx, dgamma, dbeta = k.batch_norm_backward(*args, add_to=add_to)
        return dx, (dgamma, dbeta, dw)
    dx, dgamma, dbeta = k.batch_norm_apply_backward(*args)
    if add_to is not None:
        add_to += dx
    return dx, (dgamma, dbeta, dw)


def statistics(batch, m, running, training, momentum):
    """The (mean, var) to normalise with: the running ones, or in training batch(), which moves the running ones."""
    if not training:
        return running[0].data, running[1].data
    mean, var = batch()
    if running:
        update(running[0], mean, momentum)
        update(running[1], var * var.dtype.type(m / (m - 1)), momentum)
    return mean, var


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
        if layer[0].w.shape[-1] != ends[-1] or layer[0].gamma.shape != (ends[-1],):
            raise ValueError(f"dense_block: layer {i} reads {ends[-1]} channels but its weight is {layer[0].w.shape}")
        ends.append(ends[-1] + layer[-1].w.shape[0])
    return ends


@op
def dense_block(ctx, x, *weights, units=2, running=None, training=True, momentum=0.1, eps=1e-5, memory_efficient=False):
    """x and what every layer appends to it: (N, H, W, C) -> (N, H, W, C + sum of the layers' k).

    weights: gamma (C,), beta (C,), w (K, R, S, C) for each unit (norm - ReLU - conv), `units` units a layer: 2 for the
    bottleneck layers of DenseNet-BC, 1 for basic ones. running: a list of (running_mean, running_var) tensors, one
    for each unit; see batch_norm for training, momentum and eps. memory_efficient: keep only the buffer, and compute
    the bottlenecks' inner activations again in backward (Pleiss et al. 2017). ValueError for weights that don't fit.

    The same as, layer by layer: y = conv2d(batch_norm_relu(x)) once or twice, then x = concat(x, y).
    """
    k, xp, layers = ctx.kernels, ctx.xp, layers_of(weights, units)
    ends = checked(x, layers, running, training)
    running = [running[i : i + units] if running else [None] * units for i in range(0, len(layers) * units, units)]
    buffer = xp.empty((*x.shape[:3], ends[-1]), x.dtype)
    buffer[..., : ends[0]] = x
    m, pieces, saved = x.size // max(x.shape[-1], 1), [], []

    def so_far():  # the statistics of all channels so far, from those of the pieces as they were appended
        return tuple(xp.concatenate(piece) for piece in zip(*pieces))

    for layer, own, begin, start, end in zip(layers, running, [0, *ends], ends, ends[1:]):
        pieces += [k.channel_mean_var(buffer[..., begin:start])] if training else []
        first = Saved(buffer[..., :start], *statistics(so_far, m, own[0], training, momentum))
        kept = layer_forward(k, layer, first, own, buffer[..., start:end], training, momentum, eps)
        saved.append([first, *(s._replace(x=None) for s in kept[1:])] if memory_efficient else kept)

    def backward(dy):
        grads, total = [], dy.copy()
        for layer, kept, start, end in reversed(list(zip(layers, saved, ends, ends[1:]))):
            grads[:0] = layer_backward(k, layer, kept, total[..., start:end], total[..., :start], eps, training)
        return total[..., : ends[0]], *grads

    return buffer, backward


def layer_forward(k, layer, first, running, out, training, momentum, eps):
    """Run a layer's units, the last one into `out`; what each unit saves."""
    saved = [first]
    for unit, own in zip(layer[:-1], running[1:]):
        y = unit_forward(k, unit, saved[-1], eps)
        m = y.size // max(y.shape[-1], 1)
        saved.append(Saved(y, *statistics(lambda y=y: k.channel_mean_var(y), m, own, training, momentum)))
    unit_forward(k, layer[-1], saved[-1], eps, out)
    return saved


def layer_backward(k, layer, saved, dy, dx, eps, training):
    """The gradients of a layer's weights, in order; that of its input is added into dx."""
    if saved[-1].x is None:
        saved = [saved[0], saved[1]._replace(x=unit_forward(k, layer[0], saved[0], eps))]
    grads = []
    for i in reversed(range(len(layer))):
        dy, own = unit_backward(k, layer[i], saved[i], dy, eps, training, dx if i == 0 else None)
        grads[:0] = own
    return grads
