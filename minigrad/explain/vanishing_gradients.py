"""vanishing_gradients: how large a gradient arrives at each layer of plain, residual and dense nets of equal depth.

All nets consist of the same layers, x -> activation(norm(conv 3x3(x))), and differ only in how these are joined:

    plain      x_l = layer(x_{l-1})
    residual   x_{l+2} = activation(F(x_l) + x_l), F being two layers, the second without activation (He et al. 2015)
    dense      x_l = layer(concat(x_0, ..., x_{l-1}))                                               (Huang et al. 2017)

Measured is what the backward pass brings to x_l in a fresh net: the root mean square of dL/dx_l. (Not the gradients of
weights: without norms these are products of a gradient that shrinks towards the image and activations that shrink
away from it, and say little about either.) In a plain net it is multiplied at each layer by about the same factor, so
that it vanishes, or explodes, with depth. A residual block multiplies by F' + 1 instead of F'. Auxiliary heads, those
of GoogLeNet (Szegedy et al. 2015, section 5), bring gradients of their own to a third and two thirds of the depth.

Like ledger.py it imports architectures: the heads and their loss are GoogLeNet's own, not a copy.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from architectures import training_loss
from architectures.googlenet import GoogLeNetOutputs, auxiliary_head

from .. import data
from ..nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    Module,
    ModuleDict,
    ModuleList,
    Sequential,
    init,
)
from ..nn import functional as F
from ..nn.recipe import Recipe, glorot, he_in, initialise
from ..tensor import Tensor
from .figure import Plotted

NETS = ("plain", "residual", "dense")
ACTIVATIONS = {"relu": F.relu, "sigmoid": F.sigmoid, "tanh": F.tanh}
SIDE = 14  # of the images, in pixels


def by_fan_in(weight, rng):
    """What layers draw by themselves: uniform within 1 / sqrt(fan_in)."""
    bound = 1 / np.sqrt(init.fans(weight.shape)[0])
    return init.uniform_(weight, rng, -bound, bound)


INITS = {"default": by_fan_in, "he": he_in, "glorot": glorot}


class Layer(Module):
    """Convolution 3x3, batch norm if wanted; the activation is the net's affair."""

    def __init__(self, c, k, norm):
        self.conv = Conv2d(c, k, 3, padding=1, bias=False)
        self.norm = BatchNorm2d(k) if norm else None

    def forward(self, x):
        x = self.conv(x)
        return x if self.norm is None else self.norm(x)


class Tower(Module):
    """`depth` layers after a first one; gives the logits (with heads those of all) and {layer: its output}."""

    def __init__(self, net, depth, width, norm, auxiliary, activation):
        self.net, self.act = net, ACTIVATIONS[activation]
        depths = [width * (l + 1) if net == "dense" else width for l in range(depth)]
        self.first = Layer(1, width, norm)
        self.layers = ModuleList(Layer(c, width, norm) for c in depths)
        last = width * (depth + 1) if net == "dense" else width
        self.head = Sequential(AdaptiveAvgPool2d(1), Flatten(), Linear(last, 10))
        places = (depth // 3, 2 * depth // 3) if auxiliary else ()
        heads = {str(l - l % 2): auxiliary_head(width, 10, (SIDE, SIDE), True, norm) for l in places}
        self.auxiliary = ModuleDict(heads)

    def forward(self, x):
        x = self.act(self.first(x))
        outputs = {0: x, **getattr(self, self.net)(x)}
        last = outputs[max(outputs)] if self.net != "dense" else F.concat(*outputs.values())
        logits = self.head(last)
        early, late = (head(outputs[int(l)]) for l, head in self.auxiliary.items()) if self.auxiliary else (None, None)
        return (logits if early is None else GoogLeNetOutputs(logits, late, early)), outputs

    def plain(self, x):
        outputs = {}
        for l, layer in enumerate(self.layers, 1):
            outputs[l] = x = self.act(layer(x))
        return outputs

    def residual(self, x):
        outputs, layers = {}, list(self.layers)
        for l in range(0, len(layers), 2):
            outputs[l + 2] = x = self.act(layers[l + 1](self.act(layers[l](x))) + x)
        return outputs

    def dense(self, x):
        outputs = {0: x}
        for l, layer in enumerate(self.layers, 1):
            outputs[l] = self.act(layer(F.concat(*outputs.values())))
        return outputs


class Curve(NamedTuple):
    """One net: layers (L,), and for each seed the root mean square of dL/dx at these layers (seeds, L)."""

    net: str
    norm: bool
    auxiliary: bool
    layers: np.ndarray
    gradients: np.ndarray

    @property
    def typical(self):
        """(L,): the geometric mean over seeds (0 where one of them is 0)."""
        with np.errstate(divide="ignore"):
            return np.exp(np.log(self.gradients).mean(0))

    @property
    def first_to_last(self):
        """What arrives at the layer nearest to the image, relative to the last layer."""
        return float(self.typical[0] / self.typical[-1]) if self.typical[-1] else float("nan")

    def __str__(self):
        extras = [name for on, name in ((self.norm, "batch norm"), (self.auxiliary, "auxiliary heads")) if on]
        return ", ".join((self.net, *extras))

    def __repr__(self):
        return f"<Curve of {self}: {len(self.layers)} layers, {len(self.gradients)} seeds>"


@dataclass(frozen=True, repr=False)
class VanishingGradients(Plotted):
    """curves: a Curve for each net; settings: what they have in common, in words."""

    curves: tuple[Curve, ...]
    settings: str

    def __getitem__(self, key):
        """The Curve of (net, norm, auxiliary), as found["plain", False, False]."""
        return next(c for c in self.curves if (c.net, c.norm, c.auxiliary) == key)

    def __repr__(self):
        lines = [f"{'':<42}{'first layer':>12}{'last layer':>12}{'first/last':>12}"]
        for c in self.curves:
            lines.append(f"{c!s:<42}{c.typical[0]:12.3g}{c.typical[-1]:12.3g}{c.first_to_last:12.3g}")
        return "\n".join((*lines, f"root mean square of dL/d(output of a layer); {self.settings}"))

    def plot(self):
        """Gradient against depth on a logarithmic scale; a panel without and one with batch norm."""
        from .vanishing_gradients_picture import curves_figure

        return curves_figure(self)


def vanishing_gradients(
    depth=24, width=12, *, nets=NETS, norms=(False, True), heads=(False, True), activation="relu", weights="default",
    seeds=3, batch_size=32,
):  # fmt: skip
    """The gradient that arrives at each layer of every kind of net, at their initial weights -> VanishingGradients.

    depth, width   layers (an even number, at least 6) and channels; a dense net appends `width` channels a layer
    nets           of "plain", "residual", "dense"
    norms, heads   without and with batch norm, without and with auxiliary heads: (False, True) for both
    activation     "relu", "sigmoid" or "tanh"
    weights        "default": what layers draw by themselves, uniform within 1/sqrt(fan_in), as in torch; "glorot"; or
                   "he", made so that the gradient of a plain ReLU net keeps its size
    seeds          fresh nets, and batches of embedded Fashion-MNIST images (halved to 14x14), to average over

    ValueError for settings that are not among these.
    """
    _check(depth, nets, activation, weights)
    images, labels = _images(batch_size * seeds)
    recipe = Recipe(conv=INITS[weights], linear=by_fan_in)
    batches = [(images[i::seeds], labels[i::seeds]) for i in range(seeds)]
    curves = []
    for net, norm, auxiliary in ((n, b, a) for b in norms for n in nets for a in heads):
        runs = []
        for seed, batch in enumerate(batches):
            tower = initialise(Tower(net, depth, width, norm, auxiliary, activation), recipe, seed)
            runs.append(_arriving(tower, *batch))
        curves.append(Curve(net, norm, auxiliary, np.array(list(runs[0])), np.array([list(r.values()) for r in runs])))
    text = f"{depth} layers of {width} channels, {activation}, initial weights: {weights}, {seeds} seeds, batches of "
    return VanishingGradients(tuple(curves), f"{text}{batch_size} Fashion-MNIST images")


def _check(depth, nets, activation, weights):
    if not isinstance(depth, int) or depth < 6 or depth % 2:
        raise ValueError(f"vanishing_gradients: depth must be an even number of at least 6 layers; got {depth!r}")
    for what, value, known in (("activation", activation, ACTIVATIONS), ("weights", weights, INITS)):
        if value not in known:
            raise ValueError(f"vanishing_gradients: {what} must be one of {', '.join(known)}; got {value!r}")
    if not nets or set(nets) - set(NETS):
        raise ValueError(f"vanishing_gradients: nets must be some of {', '.join(NETS)}; got {nets!r}")


def _images(count):
    """The first `count` embedded images at half size, normalised: (count, 14, 14, 1), and their classes."""
    train, _ = data.load()
    (mean,), (std,) = data.STATISTICS["fashion-mnist-10k"]
    small = train.images[:count].reshape(-1, SIDE, 2, SIDE, 2, 1).mean((2, 4)) / 255
    return ((small - mean) / std).astype(np.float32), train.labels[:count]


def _arriving(tower, images, labels):
    """{layer: root mean square of the gradient that arrives at its output} of one backward pass."""
    logits, outputs = tower.train()(Tensor(images))
    for t in outputs.values():
        t.retain_grad()
    training_loss(F.cross_entropy, logits, labels).backward()
    return {l: float(np.sqrt(np.mean(np.square(t.grad, dtype=np.float64)))) for l, t in outputs.items() if l}
