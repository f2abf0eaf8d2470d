"""Ratios of a benchmark as bars: python plot.py results/FILE.json PICTURE.png"""

import json
import sys
from pathlib import Path

FASTER, SLOWER = "#2a6f97", "#c0504d"


def label(row):
    """What a bar is about."""
    if "op" in row:
        return f"{row['op']} {row['case']}, {row['pass']}"
    return f"{row['net']}, {row['image']}x{row['image']}, batch {row['batch']}, {row['mode']}"


def draw(rows, path):
    """A horizontal bar for each row that has a ratio: beyond the line at 1 we are faster than the peer."""
    from matplotlib.figure import Figure

    rows = [row for row in rows if row["ratio"]]
    figure = Figure(figsize=(9, 1.2 + 0.32 * len(rows)), layout="constrained")
    axes = figure.subplots()
    ratios, places = [row["ratio"] for row in rows], range(len(rows))
    axes.barh(places, ratios, color=[FASTER if ratio >= 1 else SLOWER for ratio in ratios], height=0.7)
    axes.axvline(1, color="black", linewidth=1)
    for place, row in zip(places, rows):
        text = f" {row['ratio']:.2f}   ({row['ours_ms']:.4g} against {row['peer_ms']:.4g} ms)"
        axes.text(row["ratio"], place, text, va="center", fontsize=8)
    axes.set_yticks(places, [label(row) for row in rows], fontsize=9)
    axes.set_xlim(0, max([1, *ratios]) * 1.45)
    axes.margins(y=0.02)
    axes.invert_yaxis()
    axes.set_xlabel(f"times as fast as {', '.join(sorted({row['peer'].partition(' ')[0] for row in rows}))}")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2])
