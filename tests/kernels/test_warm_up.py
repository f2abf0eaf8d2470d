"""Compiling ahead: the list is complete, and a second process is started once, where it can help."""

import importlib
import os
import pkgutil
import subprocess
import sys

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

import architectures
import kernels.cpu
from kernels.cpu import warm_up
from minigrad import nn, optim, tensor


def compiled():
    """How many versions there are of each kernel."""
    modules = [importlib.import_module(f"kernels.cpu.{m.name}") for m in pkgutil.iter_modules(kernels.cpu.__path__)]
    found = {}
    for module in modules:
        for name, value in vars(module).items():
            kernel = value if isinstance(value, Dispatcher) else getattr(value, "__wrapped__", None)  # one_at_a_time
            if isinstance(kernel, Dispatcher):
                found[f"{module.__name__}.{name}"] = len(kernel.signatures)
    return found


def step(net, image, channels):
    model = architectures.create(net, num_classes=10, image_size=image, in_channels=channels)
    x = tensor(np.random.default_rng(0).standard_normal((2, image, image, channels), dtype=np.float32))
    outputs = model(x)
    architectures.training_loss(nn.functional.cross_entropy, outputs, np.array([1, 2])).backward()
    optim.SGD(model.parameters(), lr=1e-3, momentum=0.9).step()


def test_after_it_no_net_compiles_anything():
    """Of float32, in training with SGD: with other inputs nothing new may be compiled, as there is one form of each."""
    warm_up.compile_all("float32", backwards=True, show=False)
    before = compiled()
    assert sum(before.values()) > 30
    for family in ("densenet", "resnet", "vgg", "alexnet", "googlenet"):
        step(architectures.resolve(family, 28)[0], 28, 1)
    step("resnet18", 48, 3)
    assert {name: n for name, n in compiled().items() if n != before.get(name, 0)} == {}


def test_a_cache_is_claimed_once(tmp_path):
    assert warm_up.claimed(tmp_path) and not warm_up.claimed(tmp_path)
    assert not warm_up.claimed(tmp_path / "missing")


CODE = """
from kernels.cpu import runtime, warm_up
import subprocess
real, started = subprocess.Popen, []
def popen(command, **how):
    started.append(command)
    return real([command[0], "-c", "import time; time.sleep(60)"])
subprocess.Popen = popen
import numba
numba.config.CACHE_DIR = {folder!r}
warm_up.help_once()
warm_up.help_once()
print(len(started))
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="a second process is started only where there is a second core")
@pytest.mark.parametrize("wanted, count", [("1", "1"), ("0", "0")])
def test_the_second_process_is_started_once_and_ends_with_the_program(tmp_path, wanted, count):
    environment = {**os.environ, "MINIGRAD_WARM_UP": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    code = CODE.format(folder=str(tmp_path)).replace(
        "import subprocess", f"import os, subprocess; os.environ['MINIGRAD_WARM_UP'] = {wanted!r}"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=50)
    assert done.stdout.strip() == count and done.returncode == 0, done.stderr


def test_the_command_says_what_it_takes(capsys):
    with pytest.raises(SystemExit) as stop:
        warm_up.main(["--dtype", "float16"])
    assert stop.value.code == 2 and "invalid choice: 'float16'" in capsys.readouterr().err
