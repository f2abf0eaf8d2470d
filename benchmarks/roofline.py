"""How fast a GPU could be at best, on paper: bytes, operations and the least time of each kernel and of whole steps.

python benchmarks/roofline.py                            prints the table of benchmarks/results/gpu_roofline.md
python benchmarks/roofline.py --net resnet50 --batch 32  one net

Counts come from the kernels that a training step calls (kernel_calls.py), peaks from what NVIDIA publishes. Nothing
here was measured.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]
from kernel_calls import PRODUCTS, training_step  # noqa: E402 (needs the path)

from minigrad import optim  # noqa: E402


class GPU(NamedTuple):
    """Bytes a second, and operations a second of products (dense, no sparsity) by precision."""

    name: str
    bandwidth: float
    flops: dict


PEAKS = {"fp32": 66.9e12, "tf32": 494.7e12, "bf16": 989.4e12}
GPUS = {
    "H200": GPU("H200 SXM", 4.8e12, PEAKS),
    "H100": GPU("H100 SXM", 3.35e12, PEAKS),
}
ITEMSIZE = {"fp32": 4, "tf32": 4, "bf16": 2}  # of images and weights; the optimizers' arrays are float32
OPTIMIZERS = "sgd_step", "adam_step"
NETS = "alexnet_owt", "vgg16", "googlenet_torchvision", "resnet50", "densenet121"
BATCHES = 64, 256
FAMILIES = {
    "convolution": ("conv2d",), "linear": ("linear",), "batch norm": ("batch_norm", "channel_mean", "through_moments"),
    "pooling": ("max_pool", "avg_pool", "adaptive"), "element-wise": ("relu", "add"),
    "concat, copies": ("concat", "copy"), "loss": ("cross",), "dropout": ("dropout",), "bias": ("channel_sum",),
    "LRN": ("local",), "SGD": ("sgd_step",), "Adam": ("adam_step",), "casts": ("cast",),
}  # fmt: skip


def traffic(call, batch, precision):
    """Bytes that must be read and written."""
    return call.bytes(batch, 4 if call.kernel in OPTIMIZERS else ITEMSIZE[precision])


def seconds(call, batch, precision, gpu):
    """The longer of what the bytes and what the operations take. All but products run in float32."""
    peak = gpu.flops[precision if call.kernel in PRODUCTS else "fp32"]
    return max(traffic(call, batch, precision) / gpu.bandwidth, call.flops(batch) / peak)


def cast_bytes(calls):
    """Mixed precision: each step, float32 weights of products become bf16 ones, and their gradients float32."""
    forward = ("conv2d_forward", "linear_forward")
    return sum(n * c.input("w").bytes(1, 4 + 2 + 2 + 4) for c, n in calls.items() if c.kernel in forward)


def step_seconds(calls, batch, precision, gpu):
    """The least time of a whole training step."""
    casts = cast_bytes(calls) / gpu.bandwidth if precision == "bf16" else 0
    return casts + sum(n * seconds(c, batch, precision, gpu) for c, n in calls.items())


def by_family(calls, batch, precision, gpu):
    """{family: seconds} of a training step."""
    found = Counter()
    for c, n in calls.items():
        family = next((name for name, starts in FAMILIES.items() if c.kernel.startswith(starts)), "element-wise")
        found[family] += n * seconds(c, batch, precision, gpu)
    if precision == "bf16":
        found["casts"] += cast_bytes(calls) / gpu.bandwidth
    return found


# Text


def joined(numbers, digits=3):
    """Numbers with a few significant digits, between slashes."""
    return " / ".join(f"{n:.{digits}g}" if n < 1000 else f"{n:.0f}" for n in numbers)


def of_passes(numbers):
    """One number where all passes have the same, else all of them."""
    texts = [joined([n]) for n in numbers]
    return " / ".join(texts[:1] if len(set(texts)) == 1 else texts)


def table(header, rows):
    yield f"| {' | '.join(header)} |"
    yield "|" + "---|" * len(header)
    yield from (f"| {' | '.join(map(str, row))} |" for row in rows)
    yield ""


def step_rows(steps, batches):
    """A row for each net and batch size."""
    for net, calls in steps.items():
        for batch in batches:
            times = {name: [step_seconds(calls, batch, p, gpu) for p in PEAKS] for name, gpu in GPUS.items()}
            moved = [sum(n * traffic(c, batch, p) for c, n in calls.items()) / 1e9 for p in ("fp32", "bf16")]
            flops = sum(2 * n * c.macs(batch) for c, n in calls.items()) / 1e12
            row = [f"`{net}`", batch, sum(calls.values()), f"{flops:.3g}", joined(moved)]
            row += [joined(1000 * t for t in times[name]) for name in GPUS]
            yield [*row, *(joined(batch / t for t in times[name]) for name in GPUS)]


def family_table(steps, batch, precision, gpu):
    found = {net: by_family(calls, batch, precision, gpu) for net, calls in steps.items()}
    families = [name for name in FAMILIES if any(times[name] for times in found.values())]
    cells = [[f"{1000 * times[f]:.2f}" if times[f] else "" for f in families] for times in found.values()]
    return table(["net", *families], [[f"`{net}`", *row] for net, row in zip(found, cells)])


def layers(steps):
    """{(x, w, settings): ({pass: Call}, {net: count})} of the different convolutions."""
    found = {}
    for net, calls in steps.items():
        for c, n in calls.items():
            if c.kernel.startswith("conv2d"):
                passes, counts = found.setdefault(layer_key(c), ({}, Counter()))
                passes[c.kernel.removeprefix("conv2d_")] = c
                counts[net] += n if c.kernel == "conv2d_forward" else 0
    return found


def layer_key(call):
    """What the three passes of a layer have in common."""
    settings = dict(call.settings)
    x = call.input("x").shape if call.input("x") else tuple(settings["x_shape"])
    w = call.input("w").shape if call.input("w") else tuple(settings["w_shape"])
    return x[1:], w, *(settings[name] for name in ("stride", "padding", "dilation", "groups"))


def layer_name(key):
    (h, w, c), (k, r, s, _), stride, *_, groups = key
    more = [f"/{stride[0]}" if stride != (1, 1) else "", f", groups {groups}" if groups > 1 else ""]
    return f"{h}x{w}x{c}, {r}x{s}{more[0]} to {k}{more[1]}"


def layer_rows(steps, batch):
    """A row for each different convolution; figures are forward / input gradient / weight gradient."""
    for key, (passes, counts) in layers(steps).items():
        calls = [passes[p] for p in ("forward", "backward_input", "backward_weight") if p in passes]
        nets = ", ".join(f"{net.partition('_')[0]} {n}" for net, n in counts.items())
        moved = [of_passes(traffic(c, batch, p) / 1e6 for c in calls) for p in ("fp32", "bf16")]
        row = [layer_name(key), nets, f"{calls[0].flops(batch) / 1e9:.3g}", *moved]
        columns = [[1e6 * seconds(c, batch, p, gpu) for c in calls] for gpu in GPUS.values() for p in PEAKS]
        yield [*row, *map(of_passes, columns)]


def other_rows(steps, batch):
    """A row for each kernel that is no convolution, its different shapes summed, for each net."""
    for net, calls in steps.items():
        for kernel in dict.fromkeys(c.kernel for c in calls if not c.kernel.startswith("conv2d")):
            mine = {c: n for c, n in calls.items() if c.kernel == kernel}
            moved = [sum(n * traffic(c, batch, p) for c, n in mine.items()) / 1e6 for p in ("fp32", "bf16")]
            gigaflops = sum(n * c.flops(batch) for c, n in mine.items()) / 1e9
            micro = [
                [1e6 * sum(n * seconds(c, batch, p, gpu) for c, n in mine.items()) for p in PEAKS]
                for gpu in GPUS.values()
            ]
            row = [f"`{net}`", f"`{kernel}`", sum(mine.values()), len(mine), f"{gigaflops:.3g}", joined(moved)]
            yield [*row, *map(joined, micro)]


HEAD = """# The least time that a GPU needs, on paper

Computed, not measured: no figure here comes from a GPU. `python benchmarks/roofline.py` writes this page.

Bytes and operations are counted from the kernels that a training step calls (SGD with momentum, weight decay): each
array read once and written once, batch norm's inputs twice where its sums must be known first, a strided convolution's
image as far as its windows see it. A multiply-accumulate is two operations. The least time is the longer one of bytes /
bandwidth and operations / peak. Kernels are those of `kernels/cuda`, so a step has also the passes that a better fusion
would save (ReLU's gradient, sums of gradients). fp32, tf32 and bf16 name the products' precision; with bf16, images
and weights have two bytes, the optimizer works in float32, and each weight and its gradient are cast once.

Left out: the time of a launch, so that small layers take longer than this; and caches that keep an array from one
kernel to the next, so that small arrays may move fewer bytes.
"""
OF_PASSES = "Microseconds of forward / input gradient / weight gradient; one figure where all are equal."
SOURCE = """Peaks without sparsity: NVIDIA, "H100 Tensor Core GPU Architecture" (2022), table of the H100 SXM5,
whose processor the H200 has, too. Bandwidth: NVIDIA's data sheets of the H100 SXM and the H200 SXM.
"""


def page(nets, batches):
    """The lines of the page."""
    steps, first = {net: training_step(net) for net in nets}, batches[0]
    yield HEAD
    peaks = [(g.name, g.bandwidth / 1e12, *(f / 1e12 for f in g.flops.values())) for g in GPUS.values()]
    yield from table(["GPU", "TB/s", *(f"TFLOP/s {p}" for p in PEAKS)], peaks)
    yield SOURCE
    yield f"## Training steps\n\nMilliseconds and images a second as {' / '.join(PEAKS)}.\n"
    names = [f"ms {g}" for g in GPUS] + [f"images/s {g}" for g in GPUS]
    yield from table(["net", "batch", "kernels", "TFLOP", "GB fp32 / bf16", *names], step_rows(steps, batches))
    for precision in ("tf32", "bf16"):
        yield f"## Where the time goes: {precision}, batch {first}, H200, milliseconds\n"
        yield from family_table(steps, first, precision, GPUS["H200"])
    yield f"## Convolutions, batch {first}\n\n{OF_PASSES}\n"
    columns = [f"{name} {p}" for name in GPUS for p in PEAKS]
    yield from table(["layer", "nets", "GFLOP a pass", "MB fp32", "MB bf16", *columns], layer_rows(steps, first))
    yield f"## Other kernels, batch {first}\n\nAll calls of a step together. Microseconds as {' / '.join(PEAKS)}.\n"
    header = ["net", "kernel", "calls", "shapes", "GFLOP", "MB fp32 / bf16", *(f"µs {g}" for g in GPUS)]
    steps |= {"alexnet_paper": training_step("alexnet_paper")} if nets == NETS else {}  # the one with LRN
    adam = {"resnet50, Adam": optimizer_alone("resnet50", optim.Adam)} if nets == NETS else {}
    yield from table(header, other_rows(steps | adam, first))


def optimizer_alone(net, optimizer):
    return Counter({c: n for c, n in training_step(net, optimizer).items() if c.kernel in OPTIMIZERS})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", nargs="+", default=NETS, help="these nets (default: one of each of the five families)")
    parser.add_argument("--batch", type=int, nargs="+", default=BATCHES, help="batch sizes; the layers' is the first")
    args = parser.parse_args()
    print("\n".join(page(tuple(args.net), args.batch)).rstrip())


if __name__ == "__main__":
    main()
