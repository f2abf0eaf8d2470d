"""Compile the kernels before they are needed: python -m kernels.cpu.warm_up [--dtype float64].

Two processes share the work, from both ends of the list (see compiling.py).
"""

import argparse
import os
import time

import numpy as np

from .. import reference
from ..pieces import LEAST
from . import compiling, runtime

DTYPES = ("float32", "float64")
ONE = (1, 1)


LAYERS = {  # size of the image, channels, filters, size of the window, stride, groups
    "3x3": (20, 32, 32, 3, ONE, 1),  # by Winograd
    "1x1": (16, 24, 24, 1, ONE, 1),  # more than one block of pixels: packed weights
    "stem": (9, 3, 8, 7, (2, 2), 1),
    "depthwise": (6, 8, 8, 3, ONE, 8),
}


def convolution(k, ones, name, which):
    """One pass of a layer, as a task."""
    image, channels, filters, size, stride, groups = LAYERS[name]
    x, w = ones(1, image, image, channels), ones(filters, size, size, channels // groups)
    y = ones(1, -(-image // stride[0]), -(-image // stride[0]), filters)
    how = stride, (size // 2,) * 2, ONE, groups
    calls = {
        "forward": lambda: k.conv2d_forward(x, w, ones(filters), *how, True),
        "input gradient": lambda: k.conv2d_backward_input(y, w, x.shape, *how),
        "weight gradient": lambda: k.conv2d_backward_weight(y, x, w.shape, *how),
    }
    return f"convolution {name}, {which}", calls[which]


def dense_layer(k, ones, size, which):
    """Half of a bottleneck layer, as a task: the 1x1 reads a slice of the block's buffer, the 3x3 writes one."""
    buffer, inner = ones(1, 20, 20, 48), ones(1, 20, 20, 16)  # as large as it must be for the fused kernels
    x, w, y = (
        (buffer[..., :24], ones(16, 1, 1, 24), None) if size == 1 else (inner, ones(12, 3, 3, 16), buffer[..., 24:36])
    )
    dy, add_to = (inner, ones(1, 20, 20, 48)[..., :24]) if size == 1 else (y, None)
    given = x, *(ones(x.shape[-1]) for _ in range(4)), 1e-5, w
    line = dy, *(ones(len(w)) for _ in range(3))
    calls = {
        "forward": lambda: k.norm_relu_conv_forward(*given, moments=True, out=y),
        "backward": lambda: k.norm_relu_conv_backward(dy, line, *given, add_to=add_to),
    }
    return f"dense layer {size}x{size}, {which}", calls[which]


def others_backward(k, ones):
    """Tasks of the other kernels that a backward pass and an optimizer need."""
    x, some, window, one = ones(2, 6, 6, 8), ones(4, 8), ((3, 3), (2, 2), ONE), [ones(9)]
    pooled, winner = reference.max_pool2d_forward(x, *window, ONE, False)
    return [
        ("max pooling, backward", lambda: k.max_pool2d_backward(pooled, winner, x.shape, *window, ONE)),
        ("average pooling, backward", lambda: k.avg_pool2d_backward(pooled, x.shape, *window, True)),
        ("SGD", lambda: k.sgd_step(one, one, [ones(9)], 0.1, 0.9, 0.0, 1e-4, True)),
        ("SGD without momentum", lambda: k.sgd_step(one, one, None, 0.1, 0.0, 0.0, 0.0, False)),
        ("sum over channels", lambda: k.channel_sum(x)),
        ("global pooling, backward", lambda: k.adaptive_avg_pool2d_backward(ones(2, 1, 1, 8), x.shape)),
        ("ReLU, backward", lambda: k.relu_backward(x, x)),
        ("gradient through moments", lambda: k.moments_line(ones(8), ones(8), ones(8), ones(8), 1e-5, 72.0)),
        ("linear, input gradient", lambda: k.linear_backward_input(some, ones(8, 8))),
        ("Adam", lambda: k.adam_step(one, one, [ones(9)], [ones(9)], 1, 0.1, 0.9, 0.99, 1e-8, 0.0, False)),
        ("response norm, backward", lambda: k.local_response_norm_backward(x, x, x, 5, 1e-4, 0.75)),
    ]


def others_forward(k, ones):
    """Tasks of the other kernels that a forward pass needs, the rarest first."""
    x, window = ones(2, 6, 6, 8), ((3, 3), (2, 2), ONE)
    return [
        ("response norm", lambda: k.local_response_norm_forward(x, 5, 1e-4, 0.75, 1.0)),
        ("functions of an element", lambda: k.each_element(np.tanh, ones(LEAST))),
        ("linear, one row", lambda: k.linear_forward(ones(1, 8), ones(8, 8), None)),
        ("dropout", lambda: k.dropout_forward(x, 0.5, 1)),
        ("concatenation", lambda: k.concat_forward([x, x])),
        ("average pooling", lambda: k.avg_pool2d_forward(x, *window, False, True)),
        ("sum of two, ReLU", lambda: k.add_relu_forward(x, x)),
        ("global pooling", lambda: k.adaptive_avg_pool2d_forward(x, ONE)),
        ("max pooling", lambda: k.max_pool2d_forward(x, *window, ONE, False)),
        ("ReLU", lambda: k.relu_forward(x)),
        ("running statistics", lambda: k.move_statistics(ones(8), ones(8), ones(8), ones(8), 0.1, 72)),
        ("batch norm", lambda: k.batch_norm_forward(x, ones(8), ones(8), 1e-5, True)),
    ]


def tasks(dtype):
    """(name, call) for every kernel, on a few numbers: what a backward pass needs first, and then what is rare."""
    from .. import cpu as k

    def ones(*shape):
        return np.ones(shape, dtype)

    def convolutions(which, *names):
        return [convolution(k, ones, name, which) for name in names]

    x, c = ones(2, 6, 6, 8), ones(8)
    return [
        *convolutions("weight gradient", "3x3", "1x1", "stem"),
        ("batch norm, backward", lambda: k.batch_norm_backward(x, x, c, c, c, c, 1e-5, True)),
        dense_layer(k, ones, 3, "backward"),
        dense_layer(k, ones, 1, "backward"),
        *convolutions("input gradient", "3x3", "1x1", "stem"),
        *others_backward(k, ones),
        *(convolution(k, ones, "depthwise", which) for which in ("weight gradient", "input gradient", "forward")),
        *others_forward(k, ones),
        dense_layer(k, ones, 1, "forward"),
        dense_layer(k, ones, 3, "forward"),
        *convolutions("forward", "3x3", "1x1", "stem"),
    ]


def compile_all(dtype, backwards, show):
    """Call every kernel once; then mark the cache as complete."""
    from tqdm import tqdm

    todo = tasks(dtype)[:: -1 if backwards else 1]
    with tqdm(todo, unit="kernel", disable=None if show else True) as bar:
        for name, call in bar:
            bar.set_postfix_str(name)
            call()
    compiling.mark(dtype).touch()


def summary(dtype, began):
    """What the command did, in a sentence."""
    here, folder = len(compiling.compiled()), runtime.cache_folder()
    if not here:
        return f"nothing to compile: all {len(runtime.KERNELS)} kernels for {dtype} are in {folder}"
    seconds = time.perf_counter() - began
    return f"all {len(runtime.KERNELS)} kernels for {dtype} are compiled, in {seconds:.0f} s; they are in {folder}"


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m kernels.cpu.warm_up", description=__doc__.split("\n")[0])
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--alone", action="store_true", help="start no second process, and show nothing")
    args = parser.parse_args(argv)
    if args.alone:
        if hasattr(os, "nice"):
            os.nice(5)
        compile_all(args.dtype, backwards=False, show=False)
        return
    began = time.perf_counter()
    if not compiling.complete(args.dtype):
        compiling.start_second("--dtype", args.dtype)
    compile_all(args.dtype, backwards=True, show=True)
    print(summary(args.dtype, began))


if __name__ == "__main__":
    main()
