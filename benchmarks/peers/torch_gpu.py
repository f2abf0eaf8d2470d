"""PyTorch on a GPU: eager, channels last, cuDNN's benchmark mode. On the CPU where ours is emulated."""

import contextlib

import torch
from torch.nn import functional as F

from .gpu import by_clock, by_events, is_held, repeats_of
from .torch_nets import NETS

TYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}
PASSES = {"backward_input": (True, False, False), "backward_weight": (False, True, False)}


def noise(device, shape, dtype):
    return torch.randn(*shape, device=device).to(dtype)


def images(device, shape, dtype):
    """Channels last, from our order of axes: (N, H, W, C) as (N, C, H, W)."""
    return noise(device, shape, dtype).permute(0, 3, 1, 2)


def copy(device, dtype, megabytes):
    source, target = (noise(device, (megabytes << 18,), torch.float32) for _ in range(2))
    return lambda: target.copy_(source)


def gemm(device, dtype, size):
    a, b = (noise(device, (size, size), dtype) for _ in range(2))
    return lambda: F.linear(a, b)


def launch(device, dtype):
    x = noise(device, (1,), dtype)
    y = torch.empty_like(x)
    return lambda: torch.clamp_min(x, 0, out=y)


def conv(device, dtype, part, x, w, y, stride, padding, dilation, groups):
    x, w, dy = (images(device, shape, dtype) for shape in (x, w, y))
    if part == "forward":
        return lambda: F.conv2d(x, w, None, stride, padding, dilation, groups)
    settings = None, stride, padding, dilation, False, [0, 0], groups, PASSES[part]
    return lambda: torch.ops.aten.convolution_backward(dy, x, w, *settings)


def net(device, dtype, net, image, channels, classes, batch):
    """A training step."""
    with torch.device(device):
        model = NETS[net](channels, classes)
    x = images(device, (batch, image, image, channels), torch.float32)
    with torch.no_grad():
        model(x[:2])  # a lazy layer takes its size from here
    model = model.to(device, memory_format=torch.channels_last).train()
    y = torch.randint(0, classes, (batch,), device=device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4, fused=True)
    low = torch.autocast(device, torch.bfloat16) if dtype == torch.bfloat16 else contextlib.nullcontext()

    def run():
        optimizer.zero_grad(set_to_none=True)
        with low:
            out = model(x)
            main, *auxiliary = out if isinstance(out, tuple) else (out,)
            loss = F.cross_entropy(main, y) + 0.3 * sum(F.cross_entropy(a, y) for a in auxiliary)
        loss.backward()
        optimizer.step()

    return run


KINDS = {"copy": copy, "gemm": gemm, "launch": launch, "conv": conv, "net": net}


def build(kind, device, precision, **task):
    device = "cuda" if device == "cuda" else "cpu"
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    if device == "cuda":
        torch.cuda.empty_cache()  # of the last task
    run = KINDS[kind](device, TYPES[precision], **task)
    if device == "cpu":
        return lambda: by_clock(run)
    hold = torch.cuda._sleep if is_held(kind) else None

    def event():
        return torch.cuda.Event(enable_timing=True)

    return lambda: by_events(run, repeats_of(kind), event, torch.cuda.Event.elapsed_time, hold)
