"""Compile the kernels before they are needed: python -m kernels.cpu.warm_up [--dtype float64].

Compiling takes as long as it takes, but two processes that begin at opposite ends of the list need half as long: what
one has compiled the other finds in the cache. So a program that finds the cache empty starts such a second process,
which begins with the kernels of the backward pass while the first step goes forward. It stays in the background (nice),
ends with the program, and is started once for each cache. MINIGRAD_WARM_UP=0 does without.
"""

import argparse
import atexit
import os
import subprocess
import sys

import numpy as np

DTYPES = ("float32", "float64")
ONE, NONE = (1, 1), (0, 0)


def tasks(dtype):
    """(name, call) for every kernel, on a few numbers: those of the backward pass first."""
    from .. import cpu, reference

    def a(*shape):
        return np.ones(shape, dtype)

    def convolution(image, channels, filters, size, stride=ONE, groups=1):
        """One task a pass."""
        x, w = a(1, image, image, channels), a(filters, size, size, channels // groups)
        how = stride, (size // 2,) * 2, ONE, groups
        y = np.ones((1, -(-image // stride[0]), -(-image // stride[0]), filters), dtype)
        return (
            lambda: cpu.conv2d_backward_weight(y, x, w.shape, *how),
            lambda: cpu.conv2d_backward_input(y, w, x.shape, *how),
            lambda: cpu.conv2d_forward(x, w, a(filters), *how, True),
        )

    shapes = {
        "3x3": (8, 32, 32, 3),
        "1x1": (4, 24, 24, 1),
        "stem": (9, 3, 8, 7, (2, 2)),
        "depthwise": (6, 8, 8, 3, ONE, 8),
    }
    convolutions = {name: convolution(*shape) for name, shape in shapes.items()}
    image, vectors, window = a(2, 6, 6, 8), [a(8) for _ in range(4)], ((3, 3), (2, 2), ONE)
    pooled, winner = reference.max_pool2d_forward(image, *window, ONE, False)
    averaged = reference.avg_pool2d_forward(image, *window, False, True)

    def dense(size, forward):
        """A bottleneck layer's halves: 1x1 from a slice of a wider buffer, 3x3 into one."""
        buffer, y = a(1, 8, 8, 48), a(1, 8, 8, 16)
        x, w = (buffer[..., :24], a(16, 1, 1, 24)) if size == 1 else (y, a(12, 3, 3, 16))
        given = x, *(a(x.shape[-1]) for _ in range(4)), 1e-5, w
        if forward:
            out = None if size == 1 else buffer[..., 24:36]
            return lambda: cpu.norm_relu_conv_forward(*given, moments=True, out=out)
        dy, k = (y, 16) if size == 1 else (buffer[..., 24:36], 12)
        moments, add_to = (dy, *(a(k) for _ in range(3))), (a(1, 8, 8, 48)[..., :24] if size == 1 else None)
        return lambda: cpu.norm_relu_conv_backward(dy, moments, *given, add_to=add_to)

    def passes(which, text, *names):
        return [(f"convolution {name}{text}", convolutions[name][which]) for name in names]

    return [
        *passes(0, ", weight gradient", "3x3", "1x1", "stem"),
        ("batch norm, backward", lambda: cpu.batch_norm_backward(image, image, *vectors, 1e-5, True)),
        ("dense layer 3x3, backward", dense(3, False)),
        ("dense layer 1x1, backward", dense(1, False)),
        *passes(1, ", input gradient", "3x3", "1x1", "stem"),
        ("max pooling, backward", lambda: cpu.max_pool2d_backward(pooled, winner, image.shape, *window, ONE)),
        ("average pooling, backward", lambda: cpu.avg_pool2d_backward(averaged, image.shape, *window, True)),
        ("SGD", lambda: cpu.sgd_step([a(9)], [a(9)], [a(9)], 0.1, 0.9, 0.0, 1e-4, True)),
        ("sum over channels", lambda: cpu.channel_sum(image)),
        ("global pooling, backward", lambda: cpu.adaptive_avg_pool2d_backward(a(2, 1, 1, 8), image.shape)),
        ("ReLU, backward", lambda: cpu.relu_backward(image, image)),
        ("linear, input gradient", lambda: cpu.linear_backward_input(a(4, 8), a(8, 8))),
        ("linear, weight gradient", lambda: cpu.linear_backward_weight(a(4, 8), a(4, 8))),
        ("Adam", lambda: cpu.adam_step([a(9)], [a(9)], [a(9)], [a(9)], 1, 0.1, 0.9, 0.99, 1e-8, 0.0, False)),
        ("response norm, backward", lambda: cpu.local_response_norm_backward(image, image, image, 5, 1e-4, 0.75)),
        *passes(0, ", weight gradient", "depthwise"),
        *passes(1, ", input gradient", "depthwise"),
        *passes(2, "", "depthwise"),
        ("response norm", lambda: cpu.local_response_norm_forward(image, 5, 1e-4, 0.75, 1.0)),
        ("dropout", lambda: cpu.dropout_forward(image, 0.5, 1)),
        ("concatenation", lambda: cpu.concat_forward([image, image])),
        ("average pooling", lambda: cpu.avg_pool2d_forward(image, *window, False, True)),
        ("sum of two, ReLU", lambda: cpu.add_relu_forward(image, image)),
        ("global pooling", lambda: cpu.adaptive_avg_pool2d_forward(image, ONE)),
        ("linear, small batch", lambda: cpu.linear_forward(a(4, 8), a(8, 8), a(8), True)),
        ("linear, large batch", lambda: cpu.linear_forward(a(40, 8), a(8, 8), a(8), True)),
        ("max pooling", lambda: cpu.max_pool2d_forward(image, *window, ONE, False)),
        ("ReLU", lambda: cpu.relu_forward(image)),
        ("batch norm", lambda: cpu.batch_norm_forward(image, *vectors[:2], 1e-5, True)),
        ("dense layer 1x1", dense(1, True)),
        ("dense layer 3x3", dense(3, True)),
        *passes(2, "", "3x3", "1x1", "stem"),
    ]


def claimed(folder):
    """Whether this process is the first to ask for a second one for this cache."""
    try:
        os.close(os.open(os.path.join(folder, "warm-up"), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except OSError:
        return False
    return True


def start_second(*flags):
    """The process that compiles from the other end of the list; it ends, at the latest, with this one."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "kernels.cpu.warm_up", "--alone", *flags]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env=environment)  # fmt: skip

    def end():
        process.terminate()
        process.wait()

    atexit.register(end)
    return process


def help_once():
    """Start the second process where nothing was compiled yet, and there is a core for it."""
    from numba import config

    wanted = os.environ.get("MINIGRAD_WARM_UP", "1") != "0" and (os.cpu_count() or 1) > 1 and not config.DISABLE_JIT
    if wanted and sys.executable and claimed(config.CACHE_DIR):
        start_second()


def compile_all(dtype, backwards, show):
    from tqdm import tqdm

    todo = tasks(dtype)[:: -1 if backwards else 1]
    with tqdm(todo, unit="kernel", disable=None if show else True) as bar:
        for name, call in bar:
            bar.set_postfix_str(name)
            call()


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
    start_second("--dtype", args.dtype)
    compile_all(args.dtype, backwards=True, show=True)


if __name__ == "__main__":
    main()
