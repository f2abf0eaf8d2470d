"""The picture of an Element."""

import numpy as np

from .figure import NEGATIVE, POSITIVE, figure, signed_colours

BARS = 14
MARK = "#d219c4"  # of neither sign, and in none of the colour maps


def element_figure(e):
    """A Figure: maps of factor, dy and products where these are images, and the largest terms as bars."""
    part = max(e.parts, key=lambda p: np.abs(p.product).max(initial=0))
    top = int(np.abs(part.product).argmax()) if len(part.dy) else None
    drawers = [_ranking]
    if top is not None and part.dy_array.ndim == 4 and part.factor_name:
        drawers = [_factors, _dys, _products, _ranking] if _is_image(part) else [_dys, _products, _ranking]
    fig, axes = figure(1, len(drawers), figsize=(4.3 * len(drawers) + 1.5 * (len(drawers) == 1), 4.2))
    for ax, drawer in zip(np.atleast_1d(axes), drawers):
        drawer(ax, e, part, top)
    for ax in np.atleast_1d(axes)[:-1]:
        if labels := ax.get_legend_handles_labels()[1]:
            ax.legend(fontsize=7, ncols=len(labels), loc="upper center", bbox_to_anchor=(0.5, -0.16))
    fig.suptitle(f"d loss / d element {e.index} of {e.shape} = {e.gradient:.4g}: the sum of {e.count:,} terms")
    return fig


def _is_image(part):
    return part.factor_array is not None and part.factor_array.ndim == 4


def _factors(ax, e, part, top):
    """One channel of x, or of a filter, with what the terms touch of it."""
    n, i, j, c = part.factor_at[top]
    name = part.factor_name
    what = f"filter {n}" if name == "w" else f"image {n}"
    plane = part.factor_array[n, :, :, c]
    _map(ax, plane, f"{name}: {what}, channel {c}", diverging=name != "x" or plane.min() < 0)
    if name != "w":
        mine = (part.factor_at[:, 0] == n) & (part.factor_at[:, 3] == c)
        _outline(ax, part.factor_at[mine, 1:3])
        _receptive_field(ax, part, top)
    ax.plot(j, i, "o", color=MARK, markeredgecolor="black", label="the largest term")


def _dys(ax, e, part, top):
    """One channel of dy, with the positions that take part."""
    n, p, q, k = part.dy_at[top]
    _map(ax, part.dy_array[n, :, :, k], f"dy: image {n}, channel {k}", diverging=True)
    mine = (part.dy_at[:, 0] == n) & (part.dy_at[:, 3] == k)
    _outline(ax, part.dy_at[mine, 1:3])
    ax.plot(q, p, "o", color=MARK, markeredgecolor="black", label="the largest term")


def _products(ax, e, part, top):
    """The terms of the image, summed over channels, where their dy stands."""
    n = part.dy_at[top, 0]
    mine = part.dy_at[:, 0] == n
    plane = np.zeros(part.dy_array.shape[1:3])
    np.add.at(plane, tuple(part.dy_at[mine, 1:3].T), part.product[mine])
    _map(ax, plane, f"{part.factor_name} * dy: image {n}, sum {plane.sum():.3g}", diverging=True)


def _ranking(ax, e, part, top):
    """The largest terms, and what all others add up to."""
    terms = e.largest(BARS)
    values, names = [t.product for t in terms], [str(t.dy_at) for t in terms]
    if e.count > len(terms):
        values, names = [*values, e.total - sum(values)], [*names, f"{e.count - len(terms):,} others"]
    colours = [POSITIVE if v >= 0 else NEGATIVE for v in values]
    ax.barh(range(len(values)), values, color=colours)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.invert_yaxis()
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set(title="largest terms, by position of dy", xlabel="product")
    ax.locator_params(axis="x", nbins=4)
    ax.ticklabel_format(axis="x", scilimits=(-3, 4))
    ax.title.set_fontsize(10)


def _map(ax, values, title, diverging):
    limit = float(np.abs(values).max()) or 1.0
    settings = dict(cmap=signed_colours(), vmin=-limit, vmax=limit) if diverging else dict(cmap="viridis")
    image = ax.imshow(values, interpolation="nearest", **settings)
    ax.figure.colorbar(image, ax=ax, shrink=0.75)
    ax.set(title=title, xlabel="column, pixels", ylabel="row, pixels")
    ax.locator_params(nbins=6, integer=True)
    ax.title.set_fontsize(10)


def _rectangle(ax, top, left, height, width, **style):
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((left - 0.5, top - 0.5), width, height, fill=False, linewidth=1.8, **style))


def _outline(ax, positions):
    """A frame around all (row, column) positions."""
    low, high = positions.min(0), positions.max(0)
    _rectangle(ax, *low, *(high - low + 1), edgecolor=MARK, clip_on=False, label="all terms")


def _receptive_field(ax, part, top):
    """A dashed frame around the pixels that the output element of the largest term sees."""
    if part.window is None:
        return
    size, stride, padding, dilation = map(np.array, part.window)
    corner = part.dy_at[top, 1:3] * stride - padding
    _rectangle(ax, *corner, *((size - 1) * dilation + 1), edgecolor="black", linestyle="--", label="what its dy sees")
