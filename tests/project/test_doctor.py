"""python -m minigrad.doctor: what it finds, and that it notices what is broken."""

import numpy as np
import pytest

import kernels.cpu
from minigrad import device
from minigrad.doctor import findings, selftest
from minigrad.doctor.__main__ import main


def lines(capsys):
    return {line[5:29].strip(): line for line in capsys.readouterr().out.splitlines() if len(line) > 5}


def test_a_sound_machine(capsys):
    assert main(["--device", "cpu"]) == 0
    found = lines(capsys)
    assert found["numpy"].startswith("ok") and np.__version__ in found["numpy"]
    assert found["cpu"].startswith("ok") and "largest error" in found["cpu"]
    assert found["vector registers"].startswith("ok") and "cache of kernels" in found


def test_a_kernel_that_gives_wrong_results(capsys, monkeypatch):
    right = kernels.cpu.relu_backward
    monkeypatch.setattr(kernels.cpu, "relu_backward", lambda dy, y, **how: right(dy, y, **how) * np.float32(1.01))
    assert main(["--device", "cpu"]) == 1
    assert lines(capsys)["cpu"].startswith("FAIL")


def test_a_kernel_that_raises(monkeypatch):
    def broken(*args, **kwargs):
        raise OSError("no space left")

    monkeypatch.setattr(kernels.cpu, "conv2d_forward", broken)
    (finding,) = selftest.self_test("cpu")
    assert finding.ok is False and "OSError: no space left" in finding.found


def test_a_device_that_is_not_here(capsys, monkeypatch):
    def missing():
        raise RuntimeError("device cuda: CuPy finds no GPU or no driver on this machine")

    monkeypatch.setattr(device, "cuda", missing)
    assert main(["--device", "cuda"]) == 0
    assert "not tested: device cuda: CuPy finds no GPU" in lines(capsys)["cuda"]


def test_a_device_that_does_not_exist(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--device", "tpu"])
    assert stop.value.code == 2 and "device: 'tpu' is not one of 'cpu', 'cuda'" in capsys.readouterr().err


def test_a_package_that_is_missing(monkeypatch):
    monkeypatch.setattr(findings, "distributions", lambda: [])
    found = {f.what: f for f in findings.packages()}
    assert found["numba"].ok is False and found["numba"].advice == "pip install numba"
    assert found["torch"].ok is None and "not installed" in found["torch"].found


def test_the_versions_of_cuda():
    assert findings.cuda_version(13000) == "13.0" and findings.cuda_version(12080) == "12.8"
