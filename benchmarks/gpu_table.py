"""The results of bench_gpu.py as a page: python benchmarks/gpu_table.py results/FILE.json"""

import json
import sys
from pathlib import Path

TITLES = {"cuda": "# Measured on a GPU", "emulated": "# Tried on an emulated GPU: the times mean nothing"}
PASSES = {"forward": "forward", "backward_input": "input gradient", "backward_weight": "weight gradient"}


def cell(row, key, digits=4):
    """A number, or what stands for one that is not there."""
    if key in row:
        return f"{row[key]:.{digits}g}" if abs(row[key]) < 10**digits else f"{row[key]:.0f}"
    return "failed" if f"{key.partition('_')[0]}_error" in row else "-"


def each(row, key, sides=("minigrad", "torch")):
    return [cell(row, f"{side}_{key}") for side in sides]


def table(header, rows):
    if rows:
        yield f"| {' | '.join(header)} |"
        yield "|" + "---|" * len(header)
        yield from (f"| {' | '.join(map(str, row))} |" for row in rows)
        yield ""


def ceiling(row):
    rate, unit = ("tflops", "TFLOP/s") if "flops" in row else ("gb_s", "GB/s")
    rates = [*each(row, rate), unit] if row["kind"] != "launch" else ["", "", ""]
    return [row["kind"], row["name"], row["precision"], *each(row, "ms"), *rates]


def net(row):
    sides, ratios = ("minigrad", "graph", "torch"), [cell(row, key, 3) for key in ("ratio", "graph_ratio")]
    what = [f"`{row['name']}`", row["batch"], row["precision"]]
    return [*what, *each(row, "ms", sides), *ratios, *each(row, "images_s", sides)]


def layer(row):
    times = [f"{1000 * row[key]:.1f}" if key in row else cell(row, key) for key in ("minigrad_ms", "torch_ms")]
    what = [row["name"], PASSES[row["pass"]], row["batch"], row["precision"], *times, cell(row, "ratio", 3)]
    nets = ", ".join(f"{name.partition('_')[0]} {n}" for name, n in row["nets"].items())
    return [*what, cell(row, "minigrad_tflops"), cell(row, "minigrad_gb_s"), nets]


def sums(rows):
    """What all measured passes of a net's layers take together, each as often as the net has it."""
    found = {}
    for row in rows:
        if row["kind"] == "conv" and "ratio" in row:
            for name, count in row["nets"].items():
                total = found.setdefault((name, row["batch"], row["precision"]), [0, 0, 0])
                for i, number in enumerate((1, count * row["minigrad_ms"], count * row["torch_ms"])):
                    total[i] += number
    for (name, batch, precision), (passes, ours, its) in found.items():
        yield [f"`{name}`", batch, precision, passes, f"{ours:.4g}", f"{its:.4g}", f"{its / ours:.3g}"]


NETS = "net|batch|precision|ours, ms|graph, ms|torch, ms|ratio|graph's ratio|images/s: ours|graph|torch"
SUMS = "net's convolutions|batch|precision|passes measured|ours, ms|torch, ms|ratio"
TABLES = [  # kinds of rows, header, cells of a row
    (("copy", "gemm", "launch"), "what|size|precision|ours, ms|torch, ms|ours|torch|unit", ceiling),
    (("net",), NETS, net),
    (("conv",), "layer|pass|batch|precision|ours, µs|torch, µs|ratio|ours, TFLOP/s|GB/s|nets", layer),
]


def name_of(row):
    """What was measured, in words."""
    return " ".join(str(row[key]) for key in ("kind", "name", "pass", "precision", "batch") if key in row)


def errors(rows):
    for row in rows:
        yield from (f"- {name_of(row)}: {row[key]}" for key in row if key.endswith("_error"))


def page(rows, wanted):
    """The text. wanted: how many rows there would be with more time."""
    about = ", ".join(f"{key} {value}" for key, value in rows[0]["gpu"].items() if value)
    lines = [TITLES[rows[0]["device"]], "", f"{about}. {len(rows)} of {wanted} rows were measured.", "", NOTE, ""]
    for kinds, header, cells in TABLES:
        lines += table(header.split("|"), [cells(row) for row in rows if row["kind"] in kinds])
    lines += table(SUMS.split("|"), list(sums(rows)))
    return "\n".join([*lines, *errors(rows)]).rstrip() + "\n"


NOTE = """PyTorch: eager, channels last, cuDNN's benchmark mode. Ratio: its time / ours, above 1 we are faster. A launch
and a net's step include the host's time, the rest is the GPU's alone. Graph: our forward and backward pass as one CUDA
graph."""

if __name__ == "__main__":
    measured = json.loads(Path(sys.argv[1]).read_text())
    print(page(measured, len(measured)), end="")
