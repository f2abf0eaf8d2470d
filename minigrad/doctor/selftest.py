"""A small net's loss and gradients on each device, beside the reference kernels in float64."""

import time

import numpy as np

from .. import nn
from ..device import get_device, use_kernels
from ..tensor import tensor
from .findings import Finding

TOLERANCE = 1e-4  # of the largest value: float32 arithmetic errs by some 1e-6
LABELS = np.array([0, 1, 2, 1])


def net():
    """Every family of kernels once."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3),
    )  # fmt: skip


def loss_and_gradients(device, dtype):
    """{name: array} on the host."""
    model = net()
    rng = np.random.default_rng(0)
    for p in model.parameters():
        p.data = (rng.standard_normal(p.shape) * 0.5).astype(dtype)
    model.to(device)
    x = tensor(rng.standard_normal((4, 16, 16, 3)).astype(dtype), device=device)
    loss = nn.functional.cross_entropy(model(x), LABELS)
    loss.backward()
    found = {name: p.grad for name, p in model.named_parameters()}
    return {name: get_device("cpu").asarray(a) for name, a in {"loss": loss.data, **found}.items()}


def self_test(name):
    """The findings for one device: whether it agrees with the reference, and how long a step takes."""
    try:
        device = get_device(name)
    except (RuntimeError, ValueError) as error:
        yield Finding(None, name, f"not tested: {error}")
        return
    try:
        with use_kernels("reference"):
            expected = loss_and_gradients(get_device("cpu"), np.float64)
        start = time.perf_counter()
        actual = loss_and_gradients(device, np.float32)
        first = time.perf_counter() - start
        start = time.perf_counter()
        loss_and_gradients(device, np.float32)
        again = time.perf_counter() - start
    except Exception as error:  # whatever a broken driver or compiler raises, the doctor reports it
        yield Finding(False, name, f"{type(error).__name__}: {error}")
        return
    worst = max(expected, key=lambda key: relative_error(actual[key], expected[key]))
    error = relative_error(actual[worst], expected[worst])
    text = f"largest error {error:.1e} ({worst}); first step {first:.2f} s, next {1000 * again:.1f} ms"
    advice = "" if error < TOLERANCE else "results are wrong on this machine: please report it with this page"
    yield Finding(error < TOLERANCE, name, text, advice)


def relative_error(actual, expected):
    difference = np.abs(np.asarray(actual, np.float64) - expected).max()
    return float(difference / max(np.abs(expected).max(), 1e-12)) if np.isfinite(difference) else np.inf
