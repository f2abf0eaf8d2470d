"""A Drawing of a graph as a Matplotlib figure: for files .png and .pdf, and where a notebook's HTML is not trusted."""

from itertools import pairwise

from .figure import figure, plain
from .graph_drawing import LINE, PAD

INCH = 100  # pixels
FILL = {"leaf": "#e7f3ff", "box": "#f6f8fa"}
INK = {"muted": "#57606a", "grad": "#b54900"}


def graph_figure(drawing):
    """The Figure of a Drawing, a pixel of it a hundredth of an inch."""
    width, height = drawing.size
    fig, ax = figure(figsize=(width / INCH, height / INCH))
    fig.set_layout_engine("none")
    ax.set_position((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.axis("off")
    for points in drawing.lines:
        draw_line(ax, points)
    for box in drawing.boxes:
        draw_box(ax, drawing.at[box["id"]], drawing.sizes[box["id"]], drawing.texts[box["id"]], box)
    return fig


def draw_line(ax, points):
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    corners, codes = [points[0]], [Path.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        corners += [(x0, middle), (x1, middle), (x1, y1)]
        codes += [Path.CURVE4] * 3
    style = dict(arrowstyle="-|>", mutation_scale=9, color="#57606a", linewidth=0.9, shrinkA=0, shrinkB=0)
    ax.add_patch(FancyArrowPatch(path=Path(corners, codes), **style))


def draw_box(ax, centre, size, lines, box):
    from matplotlib.patches import FancyBboxPatch

    x, y = (c - s / 2 for c, s in zip(centre, size))
    style = dict(boxstyle="round,pad=0,rounding_size=7", edgecolor="#8c959f", linewidth=0.8)
    dashed = "--" if box.get("folded") else "-"
    ax.add_patch(
        FancyBboxPatch((x, y), *size, facecolor=FILL["leaf" if box["leaf"] else "box"], linestyle=dashed, **style)
    )
    for i, (text, kind) in enumerate(lines):
        bold = dict(fontsize=9, fontweight="bold") if kind == "title" else dict(fontsize=8.4)
        ax.text(x + PAD, y + PAD + 8 + i * LINE, plain(text), color=INK.get(kind, "#1b1f24"), va="baseline", **bold)
