"""The same numbers give the same bits: whoever compiled the kernels, and however many threads run them.

Bit for bit, because nothing in a result is left to the compiler or to the threads: every sum is added in the order in
which it is written, fma says where a product and a sum are rounded once, and what threads share is cut by shape alone.
Between processors bits may differ: a sum runs in as many lanes as a vector has.
"""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from kernel_cases import normal

from kernels import cpu
from kernels.cpu import runtime

ROOT = pathlib.Path(__file__).parent.parent.parent
needs_two_cores = pytest.mark.skipif(
    runtime.numba.config.NUMBA_NUM_THREADS < 2, reason="this machine has one core, or Numba was given one"
)

CONVOLUTIONS = {  # images, size, channels, filters, window, stride, groups
    "3x3": (2, 19, 16, 24, 3, 1, 1),
    "3x3, few channels": (4, 32, 16, 16, 3, 1, 1),
    "3x3 by Winograd": (2, 24, 32, 48, 3, 1, 1),
    "1x1": (4, 20, 64, 96, 1, 1, 1),
    "1x1, wide": (2, 7, 600, 300, 1, 1, 1),
    "1x1, one panel": (8, 16, 40, 12, 1, 1, 1),
    "5x5": (4, 14, 16, 48, 5, 1, 1),
    "strided": (4, 17, 24, 40, 3, 2, 1),
    "stem": (2, 40, 3, 64, 7, 2, 1),
    "grouped": (2, 14, 24, 48, 3, 1, 2),
    "depthwise": (2, 21, 24, 24, 3, 1, 24),
}


def passes(images, size, channels, filters, window, stride, groups, dtype):
    """The three passes of a convolution."""
    x = normal((images, size, size, channels), dtype, 0)
    w = normal((filters, window, window, channels // groups), dtype, 1)
    how = (stride, stride), (window // 2,) * 2, (1, 1), groups
    y = cpu.conv2d_forward(x, w, None, *how)
    dy = normal(y.shape, dtype, 2)
    return y, cpu.conv2d_backward_input(dy, w, x.shape, *how), cpu.conv2d_backward_weight(dy, x, w.shape, *how)


def other_kernels(dtype):
    """Sums of other kernels: over a batch's pixels, over channels, over rows."""
    x, dy, c = normal((3, 40, 41, 24), dtype, 0), normal((3, 40, 41, 24), dtype, 1), normal((4, 24), dtype, 2) ** 2
    rows, w = normal((33, 200), dtype, 3), normal((70, 200), dtype, 4)
    yield from cpu.batch_norm_forward(x, c[0], c[1], 1e-5, True)
    yield from cpu.batch_norm_backward(dy, x, *c, 1e-5, True)
    yield cpu.channel_sum(x)
    for few in 1, 5, 33:
        y = cpu.linear_forward(rows[:few], w, None)
        yield from (y, cpu.linear_backward_input(y, w), cpu.linear_backward_weight(y, rows[:few]))
    for size in 1, 3:
        filters = normal((20, size, size, 24), dtype, 5)
        y, mean, var = cpu.norm_relu_conv_forward(x, *c, 1e-5, filters, True)
        yield from (y, mean, var)
        yield from cpu.norm_relu_conv_backward(y, None, x, *c, 1e-5, filters)


def with_threads(n, call):
    before = runtime.get_num_threads()
    runtime.set_num_threads(n)
    try:
        return list(call())
    finally:
        runtime.set_num_threads(before)


@needs_two_cores
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_the_number_of_threads_changes_no_convolution(name, dtype):
    results = (with_threads(n, lambda: passes(*CONVOLUTIONS[name], dtype)) for n in (1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(*results))


@needs_two_cores
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_number_of_threads_changes_no_other_sum(dtype):
    results = (with_threads(n, lambda: other_kernels(dtype)) for n in (1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(*results))


@pytest.mark.parametrize("count", [1, 7, 16, 63, 64, 65, 200, 300])
def test_the_order_of_a_long_sum_is_the_written_one(count):
    """One row of a linear layer: 4 vectors of 64 bytes of sums, joined in halves, then the rest one by one."""
    x, w, b = normal((1, count), "f", 0), normal((3, count), "f", 1), normal((3,), "f", 2)
    expected = [written_sum(x[0], row, start) for row, start in zip(w, b)]
    assert np.array_equal(cpu.linear_forward(x, w, b)[0], expected)


def fma(a, b, c):
    """a b + c in float32, rounded once: float64 holds the product exactly."""
    return np.float32(np.float64(a) * np.float64(b) + np.float64(c))


def written_sum(x, w, start):
    """start + the sum of x w, in the order of kernels/cpu/linear.py's dot."""
    lanes, done = 64 // x.itemsize, 0
    sums = np.zeros((4, lanes), x.dtype)
    for vectors in 4, 1:
        while done + vectors * lanes <= len(x):
            for v in range(vectors):
                here = slice(done + v * lanes, done + (v + 1) * lanes)
                sums[v] = [fma(*term) for term in zip(x[here], w[here], sums[v])]
            done += vectors * lanes
    total = (sums[:2] + sums[2:]).sum(0)
    while len(total) > 1:
        total = total[: len(total) // 2] + total[len(total) // 2 :]
    result = start + total[0]
    for a, b in zip(x[done:], w[done:]):
        result = fma(a, b, result)
    return result


TRAIN = """
import hashlib, sys
import numpy as np
import architectures
from kernels.cpu import compiling
from minigrad import nn, optim, tensor

digest = hashlib.sha256()
for family in architectures.families():
    model = architectures.create(architectures.resolve(family, 28)[0], num_classes=10, image_size=28, in_channels=1)
    numbers, optimizer = np.random.default_rng(0), optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for step in range(3):
        x, labels = numbers.standard_normal((12, 28, 28, 1), dtype=np.float32), numbers.integers(0, 10, 12)
        optimizer.zero_grad()
        architectures.training_loss(nn.functional.cross_entropy, model(tensor(x)), labels).backward()
        optimizer.step()
    for array in model.state_dict().values():
        digest.update(np.ascontiguousarray(array).tobytes())
print(digest.hexdigest(), len(compiling.compiled()))
"""


def python(cache, threads, helper, *command):
    """Run Python in a new process: with this cache of kernels, so many threads, with the second process or without."""
    settings = {
        "MINIGRAD_CACHE": str(cache),
        "MINIGRAD_NUM_THREADS": str(threads),
        "MINIGRAD_WARM_UP": str(int(helper)),
    }
    done = subprocess.run(
        [sys.executable, *command], env={**os.environ, **settings}, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done


def trained(cache, threads, helper):
    """(hash of all weights after training a net of each family for three steps, kernels compiled meanwhile)"""
    bits, compiled = python(cache, threads, helper, "-c", TRAIN).stdout.split()
    return bits, int(compiled)


@pytest.mark.long
@needs_two_cores
def test_every_family_trains_to_the_same_bits_everywhere(tmp_path):
    """In the process that compiles, in later ones, beside the second process, after warm_up, with 1 and 2 threads."""
    expected, compiled = trained(tmp_path / "alone", 1, helper=False)
    assert compiled > 20
    assert trained(tmp_path / "alone", 2, helper=False) == (expected, 0)
    bits, compiled = trained(tmp_path / "helped", 2, helper=True)
    assert bits == expected and compiled > 0
    done = python(tmp_path / "helped", 2, True, "-W", "error", "-m", "kernels.cpu.warm_up")
    assert "kernels for float32 are" in done.stdout and "Warning" not in done.stderr
    assert trained(tmp_path / "helped", 1, helper=True) == (expected, 0)
