"""feature_maps: what the layers of a net give for one image."""

from dataclasses import dataclass

import numpy as np

from .capture import displayable, draw_map, maps, output, run
from .figure import Plotted, figure, plain


@dataclass(frozen=True, repr=False)
class FeatureMaps(Plotted):
    """image (H, W, C); maps: {layer: (P, Q, K)}; channels: how many of each the picture shows."""

    image: np.ndarray
    maps: dict
    channels: int

    def strongest(self, layer):
        """The channels that the picture shows: those that vary most over the image, in their own order."""
        spread = self.maps[layer].std((0, 1))
        return np.sort(np.argsort(-spread, kind="stable")[: self.channels])

    def plot(self):
        """A row for each layer: its most varied maps, each on a scale of its own; the image on top."""
        rows, columns = len(self.maps) + 1, self.channels
        fig, axes = figure(rows, columns, figsize=(1.15 * columns + 1.2, 1.3 * rows), squeeze=False)
        for ax in axes.flat:
            ax.set_axis_off()
        draw_map(axes[0][0], displayable(self.image), "image", cmap="gray")
        for row, (layer, values) in zip(axes[1:], self.maps.items()):
            for ax, k in zip(row, self.strongest(layer)):
                draw_map(ax, values[..., k], str(k))
            size = "x".join(map(str, values.shape))
            label = f"{plain(layer)}\n{size}"
            row[0].text(-0.15, 0.5, label, transform=row[0].transAxes, ha="right", va="center", fontsize=8)
        return fig


def feature_maps(model, image, layers=None, channels=10):
    """What modules give for an image (H, W, C), prepared as the model wants it -> FeatureMaps.

    layers: names of modules; None: the last maps at each size, from the image's own to the smallest above 1x1. The
    model, in evaluation mode, is left as it was. ValueError for another shape of image, or a layer that gives no maps.
    """
    captured = run("feature_maps", model, image)
    if layers is None:
        by_size = {t.shape[1:3]: name for name, t in maps(captured).items()}  # of equal sizes the last one stays
        layers = list(by_size.values())
    found = {layer: output("feature_maps", captured, layer) for layer in layers}
    for layer, t in found.items():
        if t.ndim != 4:
            raise ValueError(f"feature_maps: {layer} gives no maps (1, P, Q, K), but shape {t.shape}")
    return FeatureMaps(captured.x.numpy()[0], {layer: t.numpy()[0] for layer, t in found.items()}, channels)
