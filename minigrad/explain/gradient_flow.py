"""gradient_flow: how large the gradient of each layer's weight is, from the first layer to the last."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..device import get_device
from .figure import Plotted, figure, plain
from .watch import gradients_apart

NAMED = 60  # so many layers have their names on the axis


class LayerGradient(NamedTuple):
    """One weight: its name and shape, the norm of its gradient and that of itself (root of the sum of squares)."""

    name: str
    shape: tuple
    gradient_norm: float
    weight_norm: float

    @property
    def rms(self):
        """Root mean square of the gradient: comparable between layers of different size."""
        return self.gradient_norm / float(np.sqrt(np.prod(self.shape)))

    @property
    def ratio(self):
        """Norm of the gradient / norm of the weight: the relative change that a learning rate of 1 would make."""
        return self.gradient_norm / self.weight_norm if self.weight_norm else float("nan")


@dataclass(frozen=True, repr=False)
class GradientFlow(Plotted):
    """layers: a LayerGradient for each convolution's and fully-connected layer's weight, in the order of the model."""

    layers: tuple[LayerGradient, ...]

    def __repr__(self):
        width = max(len(layer.name) for layer in self.layers)
        lines = [f"{'weight':<{width}}  {'norm of gradient':>16}  {'root mean square':>16}  {'gradient/weight':>15}"]
        for layer in self.layers:
            numbers = f"{layer.gradient_norm:16.4g}  {layer.rms:16.4g}  {layer.ratio:15.4g}"
            lines.append(f"{layer.name:<{width}}  {numbers}")
        return "\n".join(lines)

    def plot(self):
        """The root mean square of each gradient, and its norm relative to the weight's, on logarithmic scales."""
        fig, panels = figure(1, 2, figsize=(min(9 + 0.2 * len(self.layers), 18), 4.8))
        for ax, values, name in (
            (panels[0], [layer.rms for layer in self.layers], "gradient of the weight, root mean square"),
            (panels[1], [layer.ratio for layer in self.layers], "norm of gradient / norm of weight"),
        ):
            _panel(ax, np.array(values), name, [plain(layer.name.removesuffix(".weight")) for layer in self.layers])
        return fig


def _panel(ax, values, title, names):
    positive = np.where(values > 0, values, np.nan)  # a gradient of 0 has no place on a logarithmic scale
    ax.plot(positive, "o-", markersize=4, color="tab:blue")
    zeros = int((values == 0).sum())
    ax.set(title=title + (f" ({zeros} of {len(values)} are 0)" if zeros else ""), xlabel="layer, from image to loss")
    if np.isfinite(positive).any():
        ax.set_yscale("log")
    if len(names) <= NAMED:
        ax.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    ax.grid(alpha=0.3)


def gradient_flow(model, loss):
    """The gradients of all weights of at least two axes (filters and matrices), layer by layer -> GradientFlow.

    loss: a single number that the model's outputs lead to, before backward(). The graph, and what .grad holds, are
    left as they were. ValueError if the loss reaches none of the model's weights.
    """
    weights = [(name, p) for name, p in model.named_parameters() if p.ndim > 1]
    with gradients_apart(loss, *model.parameters()):
        loss.backward(retain_graph=True)
        found = [(name, p, p.grad) for name, p in weights if p.grad is not None]
    if not found:
        raise ValueError("gradient_flow: the loss depends on no weight of this model")
    host = get_device("cpu").asarray
    rows = ((n, p.shape, np.linalg.norm(np.float64(host(g))), np.linalg.norm(host(p.data))) for n, p, g in found)
    return GradientFlow(tuple(LayerGradient(n, shape, float(g), float(w)) for n, shape, g, w in rows))
