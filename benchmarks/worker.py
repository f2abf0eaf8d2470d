"""One candidate in a process of its own: builds a net, then runs as many steps as it is told, on standard input.

    python worker.py ours|torch NET IMAGE BATCH train|forward contiguous|channels_last THREADS

Reads a number of seconds a line, answers with a JSON line {seconds: the step times, busy: processor use of others}.
"""

import json
import os
import resource
import sys
import time


def build_ours(net, image, batch, mode, _layout, threads):
    import numpy as np

    import architectures
    import minigrad
    from minigrad import nn, optim

    minigrad.set_num_threads(threads)
    classes = 10 if image <= 64 else 1000
    model = architectures.create(net, num_classes=classes, image_size=image)
    rng = np.random.default_rng(0)
    x = minigrad.tensor(rng.standard_normal((batch, image, image, 3), dtype=np.float32))
    y = rng.integers(0, classes, batch)
    model.train(mode == "train")
    optimizer = optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)

    def train():
        optimizer.zero_grad()
        architectures.training_loss(nn.functional.cross_entropy, model(x), y).backward()
        optimizer.step()

    def forward():
        with minigrad.no_grad():
            model(x)

    return train if mode == "train" else forward


def build_torch(net, image, batch, mode, layout, threads):
    import torch
    from peers.torch_nets import NETS
    from torch.nn import functional as F

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    form = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    model = NETS[net]().to(memory_format=form).train(mode == "train")
    x = torch.randn(batch, 3, image, image).to(memory_format=form)
    y = torch.randint(0, 10 if image <= 64 else 1000, (batch,))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4, fused=True)

    def train():
        optimizer.zero_grad(set_to_none=True)
        out = model(x)
        main, *aux = out if isinstance(out, tuple) else (out,)
        (F.cross_entropy(main, y) + 0.3 * sum(F.cross_entropy(a, y) for a in aux)).backward()
        optimizer.step()

    def forward():
        with torch.inference_mode():
            model(x)

    return train if mode == "train" else forward


def processor_seconds():
    """Seconds that all processors together have worked, since the machine started (Linux; elsewhere 0)."""
    try:
        with open("/proc/stat") as f:
            ticks = [int(v) for v in f.readline().split()[1:]]
    except OSError:
        return 0.0
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def window(step, seconds):
    """Run steps for about this long."""
    own, everybody, start, times = time.process_time(), processor_seconds(), time.perf_counter(), []
    while not times or time.perf_counter() - start < seconds:
        t = time.perf_counter()
        step()
        times.append(time.perf_counter() - t)
    elapsed = time.perf_counter() - start
    others = (processor_seconds() - everybody - (time.process_time() - own)) / elapsed
    return {"seconds": times, "busy": max(others, 0.0)}


def main():
    who, net, image, batch, mode, layout, threads = sys.argv[1:]
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:0] = [here, os.path.dirname(here)]
    build = build_ours if who == "ours" else build_torch
    start = time.perf_counter()
    step = build(net, int(image), int(batch), mode, layout, int(threads))
    step()
    first = time.perf_counter() - start
    step()
    print(json.dumps({"first_step": first}), flush=True)
    for line in sys.stdin:
        result = window(step, float(line))
        result["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
