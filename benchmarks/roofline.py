"""How fast a GPU could be at best, on paper: bytes, operations and the least time of each kernel and of whole steps.

python benchmarks/roofline.py                            prints the table of benchmarks/results/gpu_roofline.md
python benchmarks/roofline.py --net resnet50 --batch 32  one net

Counts come from the kernels that a training step calls (kernel_calls.py), peaks from what NVIDIA publishes. Nothing
here was measured.
"""

import argparse
import itertools
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]
from gpu_table import table  # noqa: E402 (needs the path)
from kernel_calls import PRODUCTS, training_step  # noqa: E402

from minigrad import optim  # noqa: E402
from minigrad.train.loop import LOW_TYPES  # noqa: E402


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
OPTIMIZERS = "sgd_step", "adam_step"
NETS = "alexnet_owt", "vgg16", "googlenet_torchvision", "resnet50", "densenet121"
BATCHES = 64, 256
FAMILIES = {  # everything else is element-wise
    "convolution": ("conv2d",), "linear": ("linear",), "batch norm": ("batch_norm", "channel_mean", "through_moments"),
    "pooling": ("max_pool", "avg_pool", "adaptive"), "element-wise": (), "concat, copies": ("concat", "copy"),
    "loss": ("cross",), "dropout": ("dropout",), "bias": ("channel_sum",), "LRN": ("local",), "SGD": ("sgd_step",),
    "casts": ("cast",),
}  # fmt: skip


def steps_of(net, **options):
    """{precision: Counter of the Calls of a training step}"""
    return {precision: training_step(net, LOW_TYPES.get(precision), **options) for precision in PEAKS}


def seconds(call, batch, precision, gpu):
    """The longer of what the bytes and what the operations take. All but products compute in float32."""
    peak = gpu.flops[precision if call.kernel in PRODUCTS else "fp32"]
    return max(call.bytes(batch) / gpu.bandwidth, call.flops(batch) / peak)


def step_seconds(calls, batch, precision, gpu):
    """The least time of a whole training step."""
    return sum(n * seconds(c, batch, precision, gpu) for c, n in calls.items())


def moved(calls, batch):
    """Bytes that the calls read and write."""
    return sum(n * c.bytes(batch) for c, n in calls.items())


def by_family(calls, batch, precision, gpu):
    """{family: seconds} of a training step."""
    found = Counter()
    for c, n in calls.items():
        families = (name for name, starts in FAMILIES.items() if starts and c.kernel.startswith(starts))
        found[next(families, "element-wise")] += n * seconds(c, batch, precision, gpu)
    return found


# Text


def joined(numbers, digits=3):
    """Numbers with a few significant digits, between slashes."""
    return " / ".join(f"{n:.{digits}g}" if n < 1000 else f"{n:.0f}" for n in numbers)


def of_passes(numbers):
    """One number where all passes have the same, else all of them."""
    texts = [joined([n]) for n in numbers]
    return " / ".join(texts[:1] if len(set(texts)) == 1 else texts)


def both(function, steps):
    """A figure of the float32 step and of the bf16 one."""
    return joined(function(steps[precision]) for precision in ("fp32", "bf16"))


def step_rows(nets, batches):
    """A row for each net and batch size."""
    for net, batch in itertools.product(nets, batches):
        steps = nets[net]
        times = {name: [step_seconds(steps[p], batch, p, gpu) for p in PEAKS] for name, gpu in GPUS.items()}
        flops = sum(2 * n * c.macs(batch) for c, n in steps["fp32"].items()) / 1e12
        gigabytes = both(lambda calls, batch=batch: moved(calls, batch) / 1e9, steps)
        row = [f"`{net}`", batch, both(Counter.total, steps), f"{flops:.3g}", gigabytes]
        row += [joined(1000 * t for t in times[name]) for name in GPUS]
        yield [*row, *(joined(batch / t for t in times[name]) for name in GPUS)]


def family_table(nets, batch, precision, gpu):
    found = {net: by_family(steps[precision], batch, precision, gpu) for net, steps in nets.items()}
    families = [name for name in FAMILIES if any(times[name] for times in found.values())]
    cells = [[f"{1000 * times[f]:.2f}" if times[f] else "" for f in families] for times in found.values()]
    return table(["net", *families], [[f"`{net}`", *row] for net, row in zip(found, cells)])


def layers(nets):
    """{layer_key: ({(pass, precision): Call}, {net: count})} of the different convolutions."""
    found = {}
    for net, steps in nets.items():
        for precision, calls in steps.items():
            for c in (c for c in calls if c.kernel.startswith("conv2d")):
                passes, counts = found.setdefault(layer_key(c), ({}, {}))
                passes[c.kernel, precision], counts[net] = c, calls[c]
    return found


def layer_key(call):
    """What the three passes of a layer have in common."""
    settings, (x, w, _) = dict(call.settings), call.conv_shapes(1)
    return x[1:], tuple(w), *(settings[name] for name in ("stride", "padding", "dilation", "groups"))


def layer_name(key):
    (h, w, c), (k, r, s, _), stride, *_, groups = key
    more = [f"/{stride[0]}" if stride != (1, 1) else "", f", groups {groups}" if groups > 1 else ""]
    return f"{h}x{w}x{c}, {r}x{s}{more[0]} to {k}{more[1]}"


def layer_rows(nets, batch):
    """A row for each different convolution; figures are forward / input gradient / weight gradient."""
    for key, (passes, counts) in layers(nets).items():
        of = {p: [passes[name, p] for name in PRODUCTS if (name, p) in passes] for p in PEAKS}
        where = ", ".join(f"{net.partition('_')[0]} {n}" for net, n in counts.items())
        megabytes = [of_passes(c.bytes(batch) / 1e6 for c in of[p]) for p in ("fp32", "bf16")]
        times = [[1e6 * seconds(c, batch, p, gpu) for c in of[p]] for gpu in GPUS.values() for p in PEAKS]
        yield [layer_name(key), where, f"{of['fp32'][0].flops(batch) / 1e9:.3g}", *megabytes, *map(of_passes, times)]


def other_rows(nets, batch):
    """A row for each kernel that is no convolution, its different shapes summed, for each net."""
    for net, steps in nets.items():
        for kernel in dict.fromkeys(c.kernel for c in steps["bf16"] if not c.kernel.startswith("conv2d")):
            mine = {p: Counter({c: n for c, n in steps[p].items() if c.kernel == kernel}) for p in PEAKS}
            gigaflops = both(lambda calls: sum(n * c.flops(batch) for c, n in calls.items()) / 1e9, mine)
            row = [f"`{net}`", f"`{kernel}`", both(Counter.total, mine), both(len, mine), gigaflops]
            row.append(both(lambda calls: moved(calls, batch) / 1e6, mine))
            times = [[1e6 * step_seconds(mine[p], batch, p, gpu) for p in PEAKS] for gpu in GPUS.values()]
            yield [*row, *map(joined, times)]


HEAD = """# The least time that a GPU needs, on paper

Computed, not measured: no figure here comes from a GPU. `python benchmarks/roofline.py` writes this page.

Bytes and operations are counted from the kernels that a training step calls (SGD with momentum, weight decay): each
array read once and written once, batch norm's inputs twice where its sums must be known first, a strided convolution's
image as far as its windows see it. A multiply-accumulate is two operations. The least time is the longer one of bytes /
bandwidth and operations / peak. Kernels are those of `kernels/cuda`, so a step has also the passes that a better fusion
would save (ReLU's gradient, sums of gradients). fp32, tf32 and bf16 name the products' precision; a bf16 step is one
within `autocast("bfloat16")`, its casts included, and with float32 weights in the optimizer.

Left out: the time of a launch, so that small layers take longer than this; and caches that keep an array from one
kernel to the next, so that small arrays may move fewer bytes.
"""
OF_PASSES = "Microseconds of forward / input gradient / weight gradient; one figure where all are equal."
OF_KERNELS = "All calls of a step together. Two figures: of the fp32 step / of the bf16 step."
SOURCE = """Peaks without sparsity: NVIDIA, "H100 Tensor Core GPU Architecture" (2022), table of the H100 SXM5,
whose processor the H200 has, too. Bandwidth: NVIDIA's data sheets of the H100 SXM and the H200 SXM.
"""


def page(names, batches):
    """The lines of the page."""
    nets, first = {net: steps_of(net) for net in names}, batches[0]
    yield HEAD
    peaks = [(g.name, g.bandwidth / 1e12, *(f / 1e12 for f in g.flops.values())) for g in GPUS.values()]
    yield from table(["GPU", "TB/s", *(f"TFLOP/s {p}" for p in PEAKS)], peaks)
    yield SOURCE
    yield f"## Training steps\n\nMilliseconds and images a second as {' / '.join(PEAKS)}; the rest fp32 / bf16.\n"
    columns = [f"ms {g}" for g in GPUS] + [f"images/s {g}" for g in GPUS]
    yield from table(["net", "batch", "kernels", "TFLOP", "GB", *columns], step_rows(nets, batches))
    for precision in ("tf32", "bf16"):
        yield f"## Where the time goes: {precision}, batch {first}, H200, milliseconds\n"
        yield from family_table(nets, first, precision, GPUS["H200"])
    yield f"## Convolutions, batch {first}\n\n{OF_PASSES}\n"
    columns = [f"{name} {p}" for name in GPUS for p in PEAKS]
    yield from table(["layer", "nets", "GFLOP a pass", "MB fp32", "MB bf16", *columns], layer_rows(nets, first))
    yield f"## Other kernels, batch {first}\n\n{OF_KERNELS} Microseconds as {' / '.join(PEAKS)}.\n"
    header = ["net", "kernel", "calls", "shapes", "GFLOP", "MB", *(f"µs {g}" for g in GPUS)]
    yield from table(header, other_rows(nets | (extra() if names == NETS else {}), first))


def extra():
    """What no step above has: AlexNet's local response normalisation, and Adam."""
    adam = {p: Counter({c: n for c, n in calls.items() if c.kernel == "adam_step"})
            for p, calls in steps_of("resnet50", optimizer=optim.Adam).items()}  # fmt: skip
    return {"alexnet_paper": steps_of("alexnet_paper"), "resnet50 with Adam": adam}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", nargs="+", default=NETS, help="these nets (default: one of each of the five families)")
    parser.add_argument("--batch", type=int, nargs="+", default=BATCHES, help="batch sizes; the layers' is the first")
    args = parser.parse_args()
    print("\n".join(page(tuple(args.net), args.batch)).rstrip())


if __name__ == "__main__":
    main()
