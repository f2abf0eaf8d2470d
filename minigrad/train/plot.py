"""Pictures of a run: its curves, and which classes it takes for which. Matplotlib is imported on first use."""

import numpy as np

CELLS_WITH_NUMBERS, CLASSES_WITH_NAMES = 20, 60


def figure(*args, **settings):
    """(figure, axes) that draw into files only, whatever backend the user has chosen; nothing global is touched."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fig = Figure(layout="constrained", **settings)
    FigureCanvasAgg(fig)
    return fig, fig.subplots(*args)


def curves(history, path, title):
    """Loss, accuracy and learning rate of each epoch. history: records as in metrics.jsonl."""
    fig, (loss, accuracy, lr) = figure(1, 3, figsize=(13, 4))
    epochs = [record["epoch"] for record in history]
    for part, style in (("train", "o-"), ("test", "s-")):
        loss.plot(epochs, [record[f"{part}_loss"] for record in history], style, label=part, markersize=4)
        values = [100 * record[f"{part}_accuracy"] for record in history]
        accuracy.plot(epochs, values, style, label=f"{part} (last {values[-1]:.2f} %)", markersize=4)
    lr.plot(epochs, [record["lr"] for record in history], "o-", color="tab:green", markersize=4)
    for axes, name in ((loss, "loss"), (accuracy, "accuracy, %"), (lr, "learning rate at the epoch's start")):
        decorate(axes, name)
    fig.suptitle(title)
    fig.savefig(path, dpi=110)


def decorate(axes, name):
    axes.set(xlabel="epoch", title=name)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()


def confusion(counts, names, path, title):
    """counts[i, j]: images of class i that were taken for class j, drawn as a share of class i, in per cent."""
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = min(max(0.55 * len(names) + 2.5, 5), 24)
    fig, axes = figure(figsize=(side + 1, side))
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    fig.colorbar(image, ax=axes, label="% of the images of the true class", shrink=0.8)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    if len(names) <= CLASSES_WITH_NAMES:
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
    if len(names) <= CELLS_WITH_NUMBERS:
        number_cells(axes, shares)
    fig.savefig(path, dpi=110)


def number_cells(axes, shares):
    for (i, j), share in np.ndenumerate(shares):
        if share >= 0.05:
            colour = "white" if share > 50 else "black"
            axes.text(j, i, f"{share:.1f}" if share < 99.95 else "100", ha="center", va="center", color=colour, size=9)
