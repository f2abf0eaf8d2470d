"""Drawings of how nets are built, made from their numbers: boxes and arrows, a filter that slides.

sliding_filter     the windows of a convolution one after another, as an animated picture
inception_module   the four branches, with the channels of each
residual_block     the basic block or the bottleneck, and the way around it
dense_block        which layer reads which feature maps
towers             AlexNet on two cards
"""

import io
from dataclasses import dataclass

import numpy as np

from .figure import figure, png

ORANGE, GREY = "#D55E00", "#57606a"
COLOURS = {"conv": "#d6e6f2", "pool": "#f6e3c5", "join": "#d5efe4", "plain": "#eef3f8"}


@dataclass(frozen=True)
class Box:
    """A box around a text: its middle (x, y), the text, its kind, which is its colour, and its width."""

    x: float
    y: float
    text: str
    kind: str = "plain"
    width: float = 1.7
    height: float = 0.62


def diagram(boxes, arrows, figsize):
    """A matplotlib Figure of boxes {name: Box} and arrows (from, to), up the page, or (from, to, bend), at the side."""
    fig, ax = figure(figsize=figsize)
    for start, end, *bend in arrows:
        _arrow(ax, boxes[start], boxes[end], *bend)
    for box in boxes.values():
        place = dict(boxstyle="round,pad=0.02,rounding_size=0.08", facecolor=COLOURS[box.kind], edgecolor=GREY)
        corner = box.x - box.width / 2, box.y - box.height / 2
        ax.add_patch(_patches().FancyBboxPatch(corner, box.width, box.height, **place))
        ax.text(box.x, box.y, box.text, ha="center", va="center", fontsize=8.5)
    widest, ys = max(abs(b.x) + b.width / 2 for b in boxes.values()), [b.y for b in boxes.values()]
    ax.set(
        xlim=(-widest - 0.1, widest + 0.1 + 0.9 * any(len(a) > 2 for a in arrows)), ylim=(min(ys) - 0.5, max(ys) + 0.5)
    )
    ax.set_axis_off()
    return fig


def _arrow(ax, a, b, bend=0.0):
    """From the top of box a to the foot of box b, upright where one of them is wide; with a bend from side to side."""
    style = dict(arrowstyle="-|>", color=GREY, shrinkA=0, shrinkB=0, mutation_scale=11)
    if bend:
        start, end = (a.x + a.width / 2, a.y), (b.x + b.width / 2, b.y)
    else:
        xs = (b.x, b.x) if a.width > b.width else (a.x, a.x) if b.width > a.width else (a.x, b.x)
        start, end = (xs[0], a.y + a.height / 2), (xs[1], b.y - b.height / 2)
    ax.annotate("", end, start, arrowprops=dict(**style, connectionstyle=f"arc3,rad={bend}"))


def _patches():
    from matplotlib import patches

    return patches


def inception_module(channels, row):
    """A Figure of an inception module.

    channels   how many come in
    row        (1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection), as in the paper's table 1
    """
    n1, r3, n3, r5, n5, pool = row
    boxes = {
        "x": Box(0, 0, f"{channels} channels", width=7.7),
        "1": Box(-3, 1.8, f"1x1 conv, {n1}", "conv"),
        "3r": Box(-1, 1.2, f"1x1 conv, {r3}", "conv"),
        "3": Box(-1, 2.4, f"3x3 conv, {n3}", "conv"),
        "5r": Box(1, 1.2, f"1x1 conv, {r5}", "conv"),
        "5": Box(1, 2.4, f"5x5 conv, {n5}", "conv"),
        "p": Box(3, 1.2, "3x3 max-pool", "pool"),
        "pp": Box(3, 2.4, f"1x1 conv, {pool}", "conv"),
        "y": Box(0, 3.6, f"concat: {n1 + n3 + n5 + pool} channels", "join", width=7.7),
    }
    pairs = "x-1 x-3r 3r-3 x-5r 5r-5 x-p p-pp 1-y 3-y 5-y pp-y"
    return diagram(boxes, [tuple(pair.split("-")) for pair in pairs.split()], (7.2, 3.2))


def residual_block(channels, bottleneck=False):
    """A Figure of the first paper's block for so many channels: the way through F, and the way around it."""
    inner = channels // 4
    basic = [f"3x3 conv, {channels}"] * 2
    layers = [f"1x1 conv, {inner}", f"3x3 conv, {inner}", f"1x1 conv, {channels}"] if bottleneck else basic
    texts = [f"x: {channels} channels", *(f"{text}, BN, ReLU" for text in layers[:-1]), f"{layers[-1]}, BN"]
    kinds = ["plain"] + ["conv"] * len(layers) + ["join", "plain"]
    texts += ["F(x) + x", "ReLU: H(x)"]
    boxes = {i: Box(0, 1.1 * i, text, kind, width=2.2) for i, (text, kind) in enumerate(zip(texts, kinds))}
    upwards = [(i, i + 1) for i in range(len(texts) - 1)]
    return diagram(boxes, [*upwards, (0, len(layers) + 1, 0.6)], (3.4, 0.75 * len(texts)))


def dense_block(layers, start, growth):
    """A Figure of a dense block: a row for each layer, blue what it reads, orange what it makes.

    layers   how many; start   channels that come in; growth   channels that each layer makes
    """
    fig, ax = figure(figsize=(6.5, 0.45 * (layers + 2)))
    for layer in range(1, layers + 1):
        pieces = [start] + [growth] * (layer - 1)
        for i, (left, width) in enumerate(zip(np.cumsum([0, *pieces]), pieces)):
            ax.barh(layer, width, left=left, color=COLOURS["conv"], edgecolor="white")
            ax.text(left + width / 2, layer, f"$x_{{{i}}}$", ha="center", va="center", fontsize=8.5)
        read = sum(pieces)
        ax.barh(layer, growth, left=read, color=ORANGE, edgecolor="white")
        ax.text(read + growth / 2, layer, f"$x_{{{layer}}}$", ha="center", va="center", fontsize=8.5, color="white")
    ax.set(xlabel="channel in the block's buffer", ylabel="layer", yticks=range(1, layers + 1))
    ax.invert_yaxis()
    ax.set_title(f"blue: what a layer reads; orange: the {growth} channels that it makes")
    return fig


def towers():
    """A Figure of AlexNet on two cards: where maps stay on a card, and where the cards exchange them."""
    rows = [("conv1", "55x55, 48"), ("conv2", "27x27, 128"), ("conv3", "13x13, 192"), ("conv4", "13x13, 192")]
    rows += [("conv5", "13x13, 128"), ("fc6", "2048"), ("fc7", "2048"), ("fc8", "500")]
    boxes = {"image": Box(0, -1.05, "image, 227x227x3", width=5)}
    arrows = [("image", "conv1a"), ("image", "conv1b")]
    for i, (name, size) in enumerate(rows):
        kind = "conv" if name.startswith("conv") else "join"
        boxes |= {
            f"{name}{card}": Box(3 * j - 1.5, i * 1.05, f"{name}: {size}", kind, 2) for j, card in enumerate("ab")
        }
        if i:
            exchange = name == "conv3" or name.startswith("fc")
            arrows += [(f"{rows[i - 1][0]}{s}", name + card) for card in "ab" for s in ("ab" if exchange else card)]
    return diagram(boxes, arrows, (5.2, 6))


class Animation:
    """Pictures one after another, which a notebook shows as one animated PNG; frames: a list of Figures."""

    def __init__(self, frames, milliseconds):
        self.frames, self.milliseconds = frames, milliseconds

    def __repr__(self):
        return f"<Animation of {len(self.frames)} pictures>"

    def _repr_png_(self):
        from PIL import Image

        pictures = (Image.open(io.BytesIO(png(fig))) for fig in self.frames)
        first, *rest = (p.convert("P", palette=Image.Palette.ADAPTIVE, colors=32) for p in pictures)
        file = io.BytesIO()
        first.save(file, "PNG", save_all=True, append_images=rest, duration=self.milliseconds, loop=0)
        return file.getvalue()

    def save(self, path):
        """Write the animation to a file .png."""
        with open(path, "wb") as file:
            file.write(self._repr_png_())


def sliding_filter(x, w, stride=1, padding=0, milliseconds=700):
    """An Animation of a convolution of one channel: the window, its products with the filter, their sum.

    x (H, W), w (R, S)   numbers to be shown, small whole ones at best
    stride, padding      as of conv2d, the same in both directions
    milliseconds         that each window is shown
    """
    padded, (R, S) = np.pad(np.asarray(x), padding), np.shape(w)
    places = [(i, j) for i in range(0, len(padded) - R + 1, stride) for j in range(0, padded.shape[1] - S + 1, stride)]
    shape = (len(padded) - R) // stride + 1, (padded.shape[1] - S) // stride + 1
    y, frames = np.full(shape, np.nan), []
    for i, j in places:
        y[i // stride, j // stride] = (padded[i : i + R, j : j + S] * w).sum()
        frames.append(_window(padded, w, y, (i, j), padding))
    return Animation(frames, milliseconds)


def _window(x, w, y, at, rim):
    """One picture of the slide: x with the window marked, the filter, and what of y is known."""
    (i, j), (R, S) = at, np.shape(w)
    fig, axes = figure(1, 3, figsize=(6.6, 2.3), width_ratios=(x.shape[1], S, y.shape[1]))
    for ax, array, title in zip(axes, (x, np.asarray(w), y), ("x", "filter", "y")):
        _numbers(ax, array)
        ax.set_title(title)
    axes[0].add_patch(_patches().Rectangle((j - 0.5, i - 0.5), S, R, fill=False, edgecolor=ORANGE, linewidth=3))
    if rim:
        inner = (rim - 0.5, rim - 0.5), x.shape[1] - 2 * rim, x.shape[0] - 2 * rim
        axes[0].add_patch(_patches().Rectangle(*inner, fill=False, edgecolor=GREY, linestyle=":"))
    p, q = np.argwhere(~np.isnan(y))[-1]
    axes[2].add_patch(_patches().Rectangle((q - 0.5, p - 0.5), 1, 1, fill=False, edgecolor=ORANGE, linewidth=3))
    products = " + ".join(f"{a:g}·({b:g})" for a, b in zip(x[i : i + R, j : j + S].flat, np.ravel(w)) if b)
    fig.supxlabel(f"{products} = {y[p, q]:g}", fontsize=9)
    return fig


def _numbers(ax, array):
    """A table of numbers, each in a square."""
    ax.imshow(np.zeros(array.shape), cmap="Greys", vmin=0, vmax=1)
    for (i, j), value in np.ndenumerate(array):
        ax.text(j, i, "" if np.isnan(value) else f"{value:g}", ha="center", va="center", fontsize=9)
    ax.set(xticks=np.arange(array.shape[1] + 1) - 0.5, yticks=np.arange(array.shape[0] + 1) - 0.5)
    ax.set(xticklabels=[], yticklabels=[])
    ax.grid(color="0.8")
    ax.spines[:].set_visible(True)
    ax.tick_params(length=0)
