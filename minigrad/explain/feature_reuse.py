"""feature_reuse: which earlier layers the layers of a DenseNet really read (Huang et al. 2017, figure 5)."""

import itertools
from dataclasses import dataclass

import numpy as np

from ..device import get_device
from ..nn import Conv2d, Linear
from .figure import Plotted, figure, plain


@dataclass(frozen=True, repr=False)
class FeatureReuse(Plotted):
    """blocks: {name: (L + 1, L + 1)}, the strength from source s (0: the block's input, l: layer l) to each target.

    Target l - 1 is layer l, the last one what follows the block: the transition's convolution, or the classifier.
    Strength: mean |weight| over the filters and the source's channels; NaN where a source comes after its target.
    """

    blocks: dict

    def plot(self):
        """A heat map for each block, each on a scale from 0 to its largest strength."""
        fig, axes = figure(1, len(self.blocks), figsize=(4.6 * len(self.blocks), 4.4), squeeze=False)
        for ax, (name, strength) in zip(axes[0], self.blocks.items()):
            drawn = ax.imshow(strength, cmap="viridis", vmin=0)
            fig.colorbar(drawn, ax=ax, label="mean |weight|", shrink=0.8)
            n = len(strength)
            ax.set(
                title=plain(name.rpartition(".")[2]),
                xlabel="target layer; last: what follows",
                ylabel="source; 0: input",
            )
            step = max(1, n // 8)
            ax.set_xticks(range(0, n, step), range(1, n + 1, step))
            ax.set_yticks(range(0, n, step))
            ax.axvline(n - 1.5, color="black", linewidth=1.2)
        return fig


def feature_reuse(model):
    """The mean |weight| with which each layer of a dense block reads every earlier one -> FeatureReuse.

    model: a net with dense blocks, also of your own making: modules of at least two children, each of which reads all
    channels that the child before it read, and those that it appended. As in the paper, of the convolutions alone, the
    batch norm's gamma before them left out; in a trained net it tells which features are used again. ValueError for a
    model without dense blocks.
    """
    modules = list(model.named_modules())
    blocks = {}
    for i, (name, block) in enumerate(modules):
        if weights := dense_weights(block):
            inside = {id(m) for m in block.modules()}
            later = (m.weight for _, m in modules[i:] if isinstance(m, Conv2d | Linear) and id(m) not in inside)
            blocks[name] = strengths([*weights, *itertools.islice(later, 1)])
    if not blocks:
        raise ValueError(f"feature_reuse: {type(model).__name__} has no dense blocks")
    return FeatureReuse(blocks)


def dense_weights(module):
    """The weight with which each child of a dense block reads what came before it; none for any other module."""
    layers = [[m.weight for m in child.modules() if isinstance(m, Conv2d)] for _, child in module.named_children()]
    if len(layers) < 2 or not all(layers):
        return []
    reads, appends = [layer[0].shape[-1] for layer in layers], [layer[-1].shape[0] for layer in layers]
    grows = all(later == before + new for before, new, later in zip(reads, appends, reads[1:]))
    return [layer[0] for layer in layers] if grows else []


def strengths(weights):
    """(L, L): the mean |weight| with which each of the weights reads the channels of each source."""
    starts = [0, *(w.shape[-1] for w in weights)]  # target l reads all channels up to starts[l + 1]
    strength = np.full((len(weights), len(weights)), np.nan)
    for target, w in enumerate(weights):
        size = np.abs(get_device("cpu").asarray(w.data)).reshape(-1, w.shape[-1]).mean(0)
        for source in range(target + 1):
            strength[source, target] = size[starts[source] : starts[source + 1]].mean()
    return strength
