"""The binding of cuBLAS, on a stand-in that reads and writes memory as the library does; and the layers that use it."""

import ctypes
import sys
from types import SimpleNamespace

import emulator
import numpy as np
import pytest
from cuda_cases import BFLOAT16, agrees, close, needs_emulator, normal, to_device

from kernels import cuda
from kernels.cuda import blas
from kernels.cuda.precision import allow_tf32
from kernels.cuda.rows import compute_type

pytestmark = needs_emulator
NUMPY = {0: np.float32, 1: np.float64, 2: np.float16, 14: BFLOAT16}


def column_major(address, kind, rows, columns, step):
    """The matrix that cuBLAS sees at an address."""
    dtype = np.dtype(NUMPY[kind])
    count = (columns - 1) * step + rows
    memory = (ctypes.c_char * (count * dtype.itemsize)).from_address(address.value)
    return np.ndarray((rows, columns), dtype, memory, strides=(dtype.itemsize, step * dtype.itemsize))


class StandIn:
    """cuBLAS, as far as blas.py knows it."""

    def __init__(self, status=0):
        self.status, self.calls, self.computed = status, [], []

    def __getattr__(self, name):
        return lambda *args: self.calls.append(name) or self.status

    def cublasGemmEx(self, handle, op_a, op_b, m, n, k, alpha, a, a_kind, lda, b, b_kind, ldb, beta, c, c_kind, ldc,
                     compute, algorithm):  # fmt: skip
        assert min(lda, ldb, ldc) >= 1 and lda >= (k if op_a else m) and ldb >= (n if op_b else k) and ldc >= m
        left = column_major(a, a_kind, *((k, m) if op_a else (m, k)), lda).astype("d")
        right = column_major(b, b_kind, *((n, k) if op_b else (k, n)), ldb).astype("d")
        product = (left.T if op_a else left) @ (right.T if op_b else right)
        target = column_major(c, c_kind, m, n, ldc)
        target[...] = alpha._obj.value * product
        self.computed.append(compute)
        return self.status


@pytest.fixture
def pathfinder(monkeypatch):
    """What CuPy finds libraries with; it finds this one."""
    found = SimpleNamespace(load_nvidia_dynamic_lib=lambda name: SimpleNamespace(abs_path="libm.so.6"))
    monkeypatch.setitem(sys.modules, "cuda.pathfinder", found)
    blas.library.cache_clear()
    yield found
    blas.library.cache_clear()


def missing(name):
    raise RuntimeError(f"no {name} in any package")


def test_the_library_is_found_among_packages_or_by_the_system(pathfinder, monkeypatch):
    assert blas.library()._name == "libm.so.6"
    pathfinder.load_nvidia_dynamic_lib = missing
    monkeypatch.setattr(blas, "LIBRARIES", ("no such library", "libc.so.6"))
    blas.library.cache_clear()
    assert blas.library()._name == "libc.so.6"
    monkeypatch.setattr(blas, "LIBRARIES", ())
    blas.library.cache_clear()
    assert blas.library() is None


@pytest.fixture
def cublas(monkeypatch):
    """A stand-in library, and an emulated GPU that has streams."""
    library = StandIn()
    stream = SimpleNamespace(ptr=7)
    here = SimpleNamespace(id=0, attributes={})
    runtime = SimpleNamespace(getDevice=lambda: 0)
    gpu = SimpleNamespace(get_current_stream=lambda: stream, Device=lambda *number: here, runtime=runtime)
    monkeypatch.setattr(emulator, "cuda", gpu, raising=False)
    monkeypatch.setattr(blas, "library", lambda: library)
    monkeypatch.setattr("kernels.cuda.rows.multiprocessors", lambda xp: 1)
    monkeypatch.setattr("kernels.cuda.conv.multiprocessors", lambda xp: 1)
    blas.handle.cache_clear()
    library.stream = stream
    yield library
    blas.handle.cache_clear()


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", BFLOAT16], ids=str)
def test_products_of_every_layout(cublas, dtype):
    dtype = np.dtype(dtype)
    for m, k, n in [(1, 1, 1), (3, 5, 7), (4, 1, 6), (1, 8, 3), (6, 2, 1)]:
        a, b = normal((m, k), dtype, 1), normal((k, n), dtype, 2)
        expected = a.astype("d") @ b.astype("d")
        turned_a, turned_b = to_device(a.T.copy()).T, to_device(b.T.copy()).T
        wide = to_device(np.zeros((m, k + 3), dtype))
        wide[:, 1 : k + 1] = to_device(a)
        for left in (to_device(a), turned_a, wide[:, 1 : k + 1]):
            for right in (to_device(b), turned_b):
                close(blas.matmul(left, right), expected, dtype, 2)
    assert set(cublas.computed) == {blas.COMPUTE_64F if dtype == np.float64 else blas.COMPUTE_32F}


def test_tf32_only_where_it_is_allowed(cublas):
    a = to_device(normal((2, 2), np.dtype("f4")))
    with allow_tf32():
        blas.matmul(a, a)
    blas.matmul(a, a)
    assert cublas.computed == [blas.COMPUTE_32F_FAST_TF32, blas.COMPUTE_32F]


def test_the_handle_follows_the_stream_and_keeps_its_workspace(cublas):
    a = to_device(normal((2, 2), np.dtype("f4")))
    blas.matmul(a, a)
    blas.matmul(a, a)
    assert cublas.calls == ["cublasCreate_v2", "cublasSetStream_v2", "cublasSetWorkspace_v2"]
    cublas.stream.ptr = 8
    blas.matmul(a, a)
    assert cublas.calls[3:] == ["cublasSetStream_v2", "cublasSetWorkspace_v2"]


def test_a_status_that_is_not_success(cublas):
    cublas.status = 13
    a = to_device(normal((2, 2), np.dtype("f4")))
    with pytest.raises(RuntimeError, match="cublasCreate_v2 failed with cuBLAS status 13"):
        blas.matmul(a, a)


def test_an_empty_sum_is_zero():
    assert not blas.matmul(to_device(np.zeros((2, 0), "f")), to_device(np.zeros((0, 3), "f"))).get().any()


def check_linear(dtype):
    x, w, b, dy = (normal(s, dtype, i) for i, s in enumerate([(3, 2, 5), (7, 5), (7,), (3, 2, 7)]))
    for relu in (False, True):
        agrees("linear_forward", x, w, b, relu, dtype=dtype, tolerance=2)
        agrees("linear_forward", x, w, None, relu, dtype=dtype, tolerance=2)
    agrees("linear_backward_input", dy, w, dtype=dtype, tolerance=2)
    agrees("linear_backward_weight", dy, x, dtype=compute_type(dtype), tolerance=2)


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", BFLOAT16], ids=str)
def test_linear_on_our_own_kernels(dtype):
    check_linear(np.dtype(dtype))


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", BFLOAT16], ids=str)
def test_linear_by_cublas(cublas, dtype):
    check_linear(np.dtype(dtype))
    assert cublas.computed


def test_pointwise_convolution_by_cublas(cublas):
    dtype, how = np.dtype("f4"), ((1, 1), (0, 0), (1, 1), 1)
    x, w, b, dy = (normal(s, dtype, i) for i, s in enumerate([(2, 3, 5, 8), (6, 1, 1, 8), (6,), (2, 3, 5, 6)]))
    agrees("conv2d_forward", x, w, b, *how, True, dtype=dtype, tolerance=2)
    agrees("conv2d_backward_input", dy, w, x.shape, *how, dtype=dtype, tolerance=2)
    agrees("conv2d_backward_weight", dy, x, w.shape, *how, dtype=compute_type(dtype), tolerance=2)
    assert len(cublas.computed) == 3
    out = to_device(np.zeros((2, 3, 5, 9), "f"))[..., 1:7]
    assert cuda.conv2d_forward(to_device(x), to_device(w), None, *how, out=out) is out
    agrees("conv2d_forward", x, w, None, (2, 2), *how[1:], dtype=dtype, tolerance=2)
    assert len(cublas.computed) == 4  # a stride is not a product
