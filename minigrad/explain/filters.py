"""filters: what a convolution has learned to look for."""

from dataclasses import dataclass

import numpy as np

from ..device import get_device
from ..nn import Conv2d
from .capture import draw_map
from .figure import Plotted, figure, plain, signed_colours

MOST = 16  # filters and channels of filters that see more than a colour image


@dataclass(frozen=True, repr=False)
class Filters(Plotted):
    """layer: the convolution's name; weight (K, R, S, C/groups)."""

    layer: str
    weight: np.ndarray

    def plot(self):
        """A tile for each filter, in colour if it sees 3 channels; with another number, a tile for each channel."""
        k, _, _, c = self.weight.shape
        limit = float(np.abs(self.weight).max()) or 1.0
        title = f"{plain(self.layer)}: {k} filters of {'x'.join(map(str, self.weight.shape[1:]))}"
        square = -(-k // max(1, round(k**0.5)))
        if c == 3:
            return _mosaic(self.weight / (2 * limit) + 0.5, square, title, limit, in_colour=True)
        if c == 1:
            return _mosaic(self.weight[..., 0], square, title, limit)
        some = self.weight[:MOST, ..., :MOST].transpose(0, 3, 1, 2)
        title += f"\nrows: {_first(k)} filters, columns: {_first(c)} channels"
        return _mosaic(some.reshape(-1, *some.shape[2:]), some.shape[1], title, limit)


def _first(n):
    return "all" if n <= MOST else f"the first {MOST}"


def _mosaic(tiles, columns, title, limit, in_colour=False):
    """Tiles (T, R, S) or in colour (T, R, S, 3), row by row with gaps between them."""
    rows, (r, s) = -(-len(tiles) // columns), tiles.shape[1:3]
    canvas = np.full((rows * (r + 1) - 1, columns * (s + 1) - 1, *tiles.shape[3:]), 1.0 if in_colour else np.nan)
    for i, tile in enumerate(tiles):
        top, left = i // columns * (r + 1), i % columns * (s + 1)
        canvas[top : top + r, left : left + s] = tile
    height, width = canvas.shape[:2]
    scale = 6 / max(height, width)
    fig, ax = figure(figsize=(max(width * scale, 3) + 1.6, max(height * scale, 1.5) + 0.8))
    drawn = draw_map(ax, canvas, title, cmap=signed_colours(), vmin=-limit, vmax=limit)
    ax.set_frame_on(False)
    if not in_colour:
        fig.colorbar(drawn, ax=ax, label="weight", shrink=0.8)
    return fig


def filters(model, layer=None):
    """The filters of a convolution, by its name; None: the first -> Filters. ValueError if the model has none such."""
    convolutions = {name: m for name, m in model.named_modules() if isinstance(m, Conv2d)}
    if not convolutions:
        raise ValueError(f"filters: {type(model).__name__} has no convolution")
    layer = next(iter(convolutions)) if layer is None else layer
    if layer not in convolutions:
        raise ValueError(f"filters: no convolution {layer!r}; there are {', '.join(convolutions)}")
    return Filters(layer, get_device("cpu").asarray(convolutions[layer].weight.data).copy())
