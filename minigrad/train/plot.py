"""Pictures of a run: its curves, and which classes it takes for which. Matplotlib is imported on first use."""

import math

from ..explain.confusion import confusion_figure
from ..explain.figure import figure, plain, png

STYLES = ("o-", "s-", "^-", "v-", "d-", "x-")


def curves(history, title):
    """A PNG (bytes) of loss, accuracy and learning rate of each epoch. history: records as in metrics.jsonl."""
    fig, (loss, measure, lr) = figure(1, 3, figsize=(13, 4))
    epochs = [record["epoch"] for record in history]
    for part, style in (("train", "o-"), ("test", "s-")):
        loss.plot(epochs, [record[f"{part}_loss"] for record in history], style, label=part, markersize=4)
    for name, style in zip(measures(history[-1]), STYLES):
        factor, unit = (100, " %") if "test_accuracy" in history[-1] else (1, "")
        values = [factor * record.get(name, math.nan) for record in history]
        label = f"{name.replace('_accuracy', '')} (last {values[-1]:.2f}{unit})"
        measure.plot(epochs, values, style, label=label, markersize=4)
    lr.plot(epochs, [record["lr"] for record in history], "o-", color="tab:green", markersize=4)
    for axes, name in (
        (loss, "loss"),
        (measure, "accuracy, %" if "test_accuracy" in history[-1] else "metrics"),
        (lr, "learning rate at the epoch's start"),
    ):
        decorate(axes, name)
    fig.suptitle(plain(title))
    return png(fig)


def measures(record):
    """The names of a record's accuracies; where there are none, of its metrics."""
    named = [name for name in record if name.endswith("_accuracy")]
    return named or [name for name in record if name.startswith("test_") and name != "test_loss"]


def decorate(axes, name):
    axes.set(xlabel="epoch", title=name)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()


def confusion(counts, names, title):
    """A PNG (bytes) of counts[i, j], images of class i that were taken for class j: shares of class i, in per cent."""
    return png(confusion_figure(counts, names, title))
