"""What is installed and what the machine has: each function yields findings."""

import os
import platform
import re
import shutil
import sys
from importlib import import_module
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

from ..device import get_device
from ..driver import cupy_advice, driver_version


class Finding(NamedTuple):
    """ok: True, False (broken), or None (absent, and not needed by everybody). advice: what to do about it."""

    ok: bool | None
    what: str
    found: str
    advice: str = ""


# ---------------------------------------------------------------------------- packages
NEEDED = ("numpy", "numba", "safetensors", "threadpoolctl", "tqdm", "pillow", "matplotlib")
USEFUL = {"jupyterlab": 'the notebooks: pip install -e ".[notebooks]"', "torch": "a peer in benchmarks and tests"}


def packages():
    """Python, minigrad and what it stands on."""
    yield Finding(sys.version_info >= (3, 11), "Python", f"{platform.python_version()} ({sys.executable})")
    installed = {d.metadata["Name"].lower(): d.version for d in distributions() if d.metadata["Name"]}
    for name in NEEDED:
        found = installed.get(name)
        yield Finding(bool(found), name, found or "not installed", "" if found else f"pip install {name}")
    for name, purpose in USEFUL.items():
        found = installed.get(name)
        yield Finding(True if found else None, name, found or f"not installed; only for {purpose}")


# ---------------------------------------------------------------------------- processor
def processor_name():
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", info.read_text()) if info.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


def processor():
    """Cores, vectors, threads, BLAS, and the cache of compiled kernels."""
    yield Finding(True, "processor", f"{processor_name()}, {os.cpu_count()} cores")
    try:
        runtime, tile = (import_module(f"kernels.cpu.{name}") for name in ("runtime", "tile"))
    except Exception as error:  # whatever Numba or its libraries raise, the doctor reports it
        yield Finding(
            False,
            "Numba",
            f"{type(error).__name__}: {error}",
            'pip install -U "numba>=0.67"; until then, run within minigrad.use_kernels("reference")',
        )
        return
    rows, vectors = tile.tile_shape()
    size, registers = tile.vector_registers()
    yield Finding(True, "vector registers", f"{registers} of {8 * size} bits; tile of {rows} rows x {vectors} vectors")
    yield threads(runtime)
    for pool in blas_pools():
        yield Finding(True, "BLAS", f"{pool['internal_api']} {pool['version']}, {pool['num_threads']} threads")
    yield cache(runtime)


def threads(runtime):
    layer, count = runtime.numba.threading_layer(), runtime.get_num_threads()
    slow = layer == "workqueue"
    advice = "install an OpenMP runtime (libgomp1): each kernel call then costs 20 times less" if slow else ""
    return Finding(None if slow else True, "threads of the kernels", f"{count}, by {layer}", advice)


def blas_pools():
    return [p for p in import_module("threadpoolctl").threadpool_info() if p["user_api"] == "blas"]


def cache(runtime):
    folder = Path(runtime.numba.config.CACHE_DIR)
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 1e6
    free = shutil.disk_usage(folder).free / 1e9
    advice = "free some space: kernels are compiled anew in each process" if free < 0.1 else ""
    return Finding(not advice, "cache of kernels", f"{folder} ({size:.0f} MB, {free:.0f} GB free)", advice)


# ---------------------------------------------------------------------------- GPU
def gpu():
    """CuPy, driver, GPU, compiler and cuBLAS."""
    cupy = next((d for d in distributions() if (d.metadata["Name"] or "").startswith("cupy-cuda")), None)
    advice = "" if cupy else cupy_advice(driver_version())
    yield Finding(True if cupy else None, "CuPy", cupy.version if cupy else "not installed", advice)
    yield compiler()
    try:
        device = get_device("cuda")
    except RuntimeError as error:
        yield Finding(None, "GPU", str(error))
        return
    yield from gpu_details(device.xp)


def compiler():
    """Whether a kernel compiles, for the newest architecture that the kernels are checked for. Needs no GPU."""
    report = import_module("kernels.cuda.report")
    try:
        report.compiled("bias.cu", ["add_bias<float, true>"], report.ARCHITECTURES[-1])
    except (RuntimeError, OSError) as error:
        first = str(error).splitlines()[0]
        return Finding(None, "CUDA compiler", first, f"NVRTC comes with CuPy; {cupy_advice(driver_version())}")
    return Finding(True, "CUDA compiler", f"compiles for {report.ARCHITECTURES[-1]}")


def gpu_details(xp):
    runtime = xp.cuda.runtime
    for number in range(runtime.getDeviceCount()):
        about = runtime.getDeviceProperties(number)
        capability = f"{about['major']}.{about['minor']}"
        text = f"{about['name'].decode()}, {about['totalGlobalMem'] / 2**30:.0f} GiB, compute capability {capability}"
        old = (about["major"], about["minor"]) < (7, 0)
        yield Finding(not old, f"GPU {number}", text, "the kernels need compute capability 7.0" if old else "")
    driver, toolkit = (cuda_version(f()) for f in (runtime.driverGetVersion, runtime.runtimeGetVersion))
    yield Finding(
        True, "CUDA", f"driver {driver}, runtime {toolkit}, NVRTC {'.'.join(map(str, xp.cuda.nvrtc.getVersion()))}"
    )
    blas = import_module("kernels.cuda.blas").library()
    advice = "" if blas else "linear layers run on minigrad's own kernels; for cuBLAS: pip install nvidia-cublas"
    yield Finding(True if blas else None, "cuBLAS", "found" if blas else "not found", advice)


def cuda_version(number):
    return f"{number // 1000}.{number % 1000 // 10}"
