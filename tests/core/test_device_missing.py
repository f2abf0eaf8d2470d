"""Where there is no GPU, the error gives CuPy's own reason and the package for the driver that is there."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from minigrad import device, driver


class OfTheDriver(RuntimeError):
    """As CuPy's."""


def cupy_that_says(error):
    def count():
        raise error

    return SimpleNamespace(cuda=SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=count)))


TOO_OLD = OfTheDriver("cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version")
BROKEN = "\n\nCuPy is there, but libcudart.so.13 can't be loaded.\n=====\n more"
CASES = [
    (None, (13, 0), "CuPy is not installed; for this driver (CUDA 13.0): pip install 'cupy-cuda13x[ctk]'"),
    (None, (12, 4), "CuPy is not installed; for this driver (CUDA 12.4): pip install 'cupy-cuda12x[ctk]'"),
    (None, (), "CuPy is not installed; this machine has no NVIDIA driver"),
    (TOO_OLD, (12, 4), f"CuPy finds no GPU: {TOO_OLD}; for this driver (CUDA 12.4): pip install 'cupy-cuda12x[ctk]'"),
    (TOO_OLD, (), f"CuPy finds no GPU: {TOO_OLD}; this machine has no NVIDIA driver"),
    (ImportError(BROKEN), (13, 1), "CuPy is broken: CuPy is there, but libcudart.so.13 can't be loaded.; for this"),
    (
        ModuleNotFoundError("No module named 'cuda'", name="cuda"),
        (13, 0),
        "CuPy is broken: No module named 'cuda'; ",
    ),
]


@pytest.mark.parametrize("error, version, said", CASES)
def test_the_reason_and_the_package(error, version, said, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", cupy_that_says(error) if error else None)  # None: as if not installed
    monkeypatch.setattr(driver, "driver_version", lambda: version)
    with pytest.raises(RuntimeError) as raised:
        device.cuda.__wrapped__()
    assert str(raised.value).startswith(f"device cuda: {said}")


def test_the_driver_is_asked_for_its_version(monkeypatch):
    def ask(number):
        number._obj.value = 12040
        return 0

    monkeypatch.setattr(driver.ctypes, "CDLL", lambda name: SimpleNamespace(cuDriverGetVersion=ask))
    assert driver.driver_version() == (12, 4)
    monkeypatch.setattr(driver.ctypes, "CDLL", lambda name: SimpleNamespace(cuDriverGetVersion=lambda number: 35))
    assert driver.driver_version() == ()

    def nothing(name):
        raise OSError

    monkeypatch.setattr(driver.ctypes, "CDLL", nothing)
    assert driver.driver_version() == ()


def test_without_numba_the_reference_kernels_run_and_a_line_says_so():
    code = """
import sys
sys.modules["numba"] = None  # as if it were not installed
import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F
net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3))
optimizer = mg.optim.SGD(net.parameters(), lr=0.1)
for _ in range(2):
    F.cross_entropy(net(mg.randn(4, 6, 6, 1)), mg.tensor([0, 1, 2, 0])).backward()
    optimizer.step()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    line = "minigrad: numba is not installed, so the reference kernels run (right, but slower)\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, "", line)
