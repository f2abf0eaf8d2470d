"""Ourselves on a GPU, or on the emulated one."""

import math

import numpy as np
from places import prepare

import architectures
import minigrad
from minigrad import optim
from minigrad.precision import bfloat16
from minigrad.train.gradients import gradients
from minigrad.train.graph import GraphedStep

from .gpu import by_clock, by_events, is_held, repeats_of

TYPES = {"fp32": np.dtype(np.float32), "tf32": np.dtype(np.float32), "bf16": bfloat16()}
SPIN = """extern "C" __global__ void spin(long long cycles) {
    for (long long start = clock64(); clock64() - start < cycles;) {}
}"""


def noise(device, shape, dtype):
    """Random numbers on the device: a million of them, over and over."""
    size, whole = math.prod(shape), np.dtype(f"u{dtype.itemsize}")
    few = np.random.default_rng(size).standard_normal(min(size, 1 << 20), np.float32).astype(dtype)
    return device.xp.tile(device.asarray(few.view(whole)), -(-size // few.size))[:size].view(dtype).reshape(shape)


def copy(device, dtype, megabytes):
    source, target = (noise(device, (megabytes << 18,), np.dtype(np.float32)) for _ in range(2))

    def run():
        target[...] = source

    return run


def gemm(device, dtype, size):
    a, b = (noise(device, (size, size), dtype) for _ in range(2))
    return lambda: device.kernels.linear_forward(a, b, None)


def launch(device, dtype):
    x = noise(device, (1,), dtype)
    y = device.xp.empty_like(x)
    return lambda: device.kernels.relu_forward(x, out=y)


def conv(device, dtype, part, x, w, y, stride, padding, dilation, groups):
    """One pass of a convolution: "forward", "backward_input" or "backward_weight"."""
    settings, k = (tuple(stride), tuple(padding), tuple(dilation), groups), device.kernels
    x_shape, w_shape = tuple(x), tuple(w)
    x = None if part == "backward_input" else noise(device, x_shape, dtype)
    w = None if part == "backward_weight" else noise(device, w_shape, dtype)
    dy = None if part == "forward" else noise(device, tuple(y), dtype)
    return {
        "forward": lambda: k.conv2d_forward(x, w, None, *settings),
        "backward_input": lambda: k.conv2d_backward_input(dy, w, x_shape, *settings),
        "backward_weight": lambda: k.conv2d_backward_weight(dy, x, w_shape, *settings),
    }[part]


def net(device, dtype, net, image, channels, classes, batch, graph=False):
    """A training step, op by op or as one CUDA graph, after which the host waits for the loss."""
    model = architectures.create(net, num_classes=classes, image_size=image, in_channels=channels).to(device).train()
    x = minigrad.Tensor(noise(device, (batch, image, image, channels), np.dtype(np.float32)))
    y = minigrad.Tensor(device.asarray(np.random.default_rng(0).integers(0, classes, batch)))
    optimizer = optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)
    low, step = "bfloat16" if dtype.itemsize == 2 else None, GraphedStep(refuse)
    scaler = minigrad.GradScaler(enabled=False)

    def replayed():
        step(model, optimizer, x, y, scaler=scaler, low_type=low)

    def op_by_op():
        optimizer.zero_grad()
        gradients(model, x, y, low_type=low)
        optimizer.step()

    return replayed if graph else op_by_op


def refuse(why):
    raise ValueError(why)


KINDS = {"copy": copy, "gemm": gemm, "launch": launch, "conv": conv, "net": net}


def timer(device, kind):
    """run -> its seconds on the device."""
    if device.name != "cuda":
        return by_clock
    cupy = device.xp
    spin = cupy.RawKernel(SPIN, "spin")
    hold = (lambda cycles: spin((1,), (1,), (np.int64(cycles),))) if is_held(kind) else None
    events = cupy.cuda.Event, cupy.cuda.get_elapsed_time
    return lambda run: by_events(run, repeats_of(kind), *events, hold)


def build(kind, device, precision, **task):
    if missing := prepare(device):
        raise ValueError(missing)
    device = minigrad.get_device(device)
    if device.name == "cuda":
        device.free_unused()  # of the last task
    run, seconds = KINDS[kind](device, TYPES[precision], **task), timer(device, kind)

    def step():
        with minigrad.allow_tf32(precision == "tf32"):
            return seconds(run)

    return step
