"""The picture of a Ledger."""

import numpy as np

from .figure import figure, plain

MB = 1e6


def ledger_figure(found):
    """A Figure: what each module keeps, and the bytes alive over a training step."""
    sums = found.by_module()
    fig, (bars, line) = figure(1, 2, figsize=(13, max(4.2, 0.8 + 0.26 * len(sums))))
    _bars(bars, found, sums)
    _timeline(line, found)
    return fig


def _bars(ax, found, sums):
    at, columns = np.arange(len(sums)), [(0, "predicted", "tab:orange"), (1, "measured", "tab:blue")]
    columns = [c for c, total in zip(columns, (found.predicted, found.measured)) if total is not None]
    height = 0.8 / len(columns)
    for k, (column, label, colour) in enumerate(columns):
        values = [both[column] / MB for both in sums.values()]
        total = sum(values)
        ax.barh(
            at + (k - (len(columns) - 1) / 2) * height, values, height, color=colour, label=f"{label}: {total:.2f} MB"
        )
    ax.set_yticks(at, [plain(name) for name in sums], fontsize=8)
    ax.invert_yaxis()
    ax.set(title="kept for the backward pass", xlabel="MB")
    ax.legend(loc="lower right")
    ax.grid(axis="x", alpha=0.3)


def _timeline(ax, found):
    forward = len(found.rows)
    values = np.array([0, *found.timeline]) / MB
    ax.fill_between(range(forward + 1), values[: forward + 1], alpha=0.35, color="tab:blue", label="forward: kept")
    rest = range(forward, len(values))
    label = "backward: kept, and gradients"
    ax.fill_between(rest, values[forward:], alpha=0.35, color="tab:orange", label=label)
    ax.plot(values, color="black", linewidth=1)
    peak = found.predicted_peak if found.measured_peak is None else found.measured_peak
    ax.axhline(peak / MB, color="black", linestyle="--", linewidth=1, label=f"peak within a step: {peak / MB:.2f} MB")
    ax.set(
        title="alive after each step",
        xlabel="steps: ops forward, then nodes backward",
        ylabel="MB",
        xlim=(0, len(values) - 1),
    )
    ax.set_ylim(0, 1.25 * peak / MB)
    ax.legend(loc="upper left")
    ax.grid(alpha=0.3)
