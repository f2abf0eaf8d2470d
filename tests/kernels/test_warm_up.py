"""Compiling ahead: the list is complete, what is compiled is told, and a second process is started once."""

import os
import subprocess
import sys

import numpy as np
import pytest
from kernel_cases import compiled_versions

import architectures
from kernels.cpu import compiling, runtime, warm_up
from minigrad import nn, optim, tensor


def step(net, image, channels):
    model = architectures.create(net, num_classes=10, image_size=image, in_channels=channels)
    x = tensor(np.random.default_rng(0).standard_normal((2, image, image, channels), dtype=np.float32))
    outputs = model(x)
    architectures.training_loss(nn.functional.cross_entropy, outputs, np.array([1, 2])).backward()
    optim.SGD(model.parameters(), lr=1e-3, momentum=0.9).step()


def test_after_it_no_net_compiles_anything():
    """Of float32, in training with SGD: with other inputs nothing new may be compiled, as there is one form of each."""
    warm_up.compile_all("float32", backwards=True, show=False)
    before = compiled_versions()
    assert sum(before.values()) > 30
    for family in ("densenet", "resnet", "vgg", "alexnet", "googlenet"):
        step(architectures.resolve(family, 28)[0], 28, 1)
    step("resnet18", 48, 3)
    assert {name: n for name, n in compiled_versions().items() if n != before.get(name, 0)} == {}


def test_after_it_the_cache_is_complete():
    warm_up.compile_all("float32", backwards=True, show=False)
    assert compiling.complete("float32") and compiling.ready() == len(runtime.KERNELS) > 30
    assert not compiling.complete("float16")


def test_what_is_compiled_is_told_and_counted():
    def one_more(x):
        return x + 1

    before, spent, told = compiling.compiled(), compiling.seconds(), []
    kernel = runtime.numba.njit(one_more)
    with compiling.watched(told.append):
        assert kernel(1) == kernel(1) == 2
    assert compiling.compiled()[len(before) :] == ("one_more",) and compiling.seconds() > spent
    assert [p.kernel for p in told] == ["one_more", ""]
    assert all(0 <= p.ready <= p.total == len(runtime.KERNELS) for p in told)
    assert told[1].seconds == compiling.seconds() > told[0].seconds
    kernel(1.0)
    assert len(told) == 2 and compiling.compiled()[-1] == "one_more"


def test_the_import_starts_no_process():
    code = "import subprocess; subprocess.Popen = None; import kernels.cpu, kernels.cpu.warm_up"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "MINIGRAD_WARM_UP": "1"}, check=True)


def test_a_cache_is_claimed_once(tmp_path):
    assert compiling.claimed(tmp_path) and not compiling.claimed(tmp_path)
    assert not compiling.claimed(tmp_path / "missing")


CODE = """
from kernels.cpu import compiling
import subprocess
real, started = subprocess.Popen, []
def popen(command, **how):
    started.append(command)
    return real([command[0], "-c", "import time; time.sleep(60)"])
subprocess.Popen = popen
import numba
numba.config.CACHE_DIR = {folder!r}
compiling.start_first_compilation()
compiling.start_first_compilation()
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
