"""The picture of VanishingGradients."""

import textwrap

from .figure import figure

COLOURS = {"plain": "#D55E00", "residual": "#0072B2", "dense": "#009E73"}  # told apart by the colour-blind, too


def curves_figure(found):
    """A Figure: one panel for each setting of batch norm, one line for each net."""
    norms = list(dict.fromkeys(c.norm for c in found.curves))
    fig, axes = figure(1, len(norms), figsize=(5.8 * len(norms) + 0.6, 4.8), sharey=True, squeeze=False)
    for ax, norm in zip(axes[0], norms):
        for curve in (c for c in found.curves if c.norm == norm):
            _line(ax, curve)
        ax.set_yscale("log")
        ax.set(title="with batch norm" if norm else "without batch norm", xlabel="layer (1 is nearest to the image)")
        ax.grid(alpha=0.3)
    axes[0][0].set_ylabel("gradient at the layer's output, root mean square")
    axes[0][0].legend(fontsize=9, handlelength=3)
    fig.suptitle(textwrap.fill(found.settings, 80 * len(norms)), fontsize=10)
    return fig


def _line(ax, curve):
    label = curve.net + (" + auxiliary heads" if curve.auxiliary else "")
    style = dict(linestyle="--", marker=".") if curve.auxiliary else dict(linestyle="-", marker="o")
    ax.plot(curve.layers, curve.typical, color=COLOURS[curve.net], label=label, markersize=4, **style)
