"""What keeps a GPU from being used, and which package helps: the words of errors and of the doctor."""

import ctypes
from contextlib import suppress


def why_not(error):
    """What an error on the way to a GPU means: CuPy's own words, and the package for this machine's driver."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, ModuleNotFoundError) and error.name == "cupy":
        said = "CuPy is not installed"
    else:
        said = f"CuPy {'is broken' if isinstance(error, ImportError) else 'finds no GPU'}: {line}"
    return f"{said}; {cupy_advice(driver_version())}"


def cupy_advice(driver):
    """Which package is for the driver of this version of CUDA, (13, 0); () where there is none."""
    if not driver:
        return "this machine has no NVIDIA driver"
    package = f"cupy-cuda{13 if driver >= (13,) else 12}x[ctk]"
    return f"for this driver (CUDA {'.'.join(map(str, driver))}): pip install '{package}'"


def driver_version():
    """The version of CUDA that the installed driver is for, (13, 0); () where there is no driver."""
    number = ctypes.c_int()
    for name in ("libcuda.so.1", "nvcuda.dll"):
        with suppress(OSError, AttributeError):
            if ctypes.CDLL(name).cuDriverGetVersion(ctypes.byref(number)) == 0:
                return number.value // 1000, number.value % 1000 // 10
    return ()
