"""Matrix products by cuBLAS, through a binding of our own that is as thin as it can be.

CuPy's binding refuses to work while a CUDA graph is captured, and does not take 16-bit types in products of more than
two axes. Here one function is bound, cublasGemmEx: the sums are float32 for 16-bit types, double for double; float32
operands are rounded to TF32 only where that is allowed (precision.py). The workspace is ours: cuBLAS then allocates
nothing, which a graph demands, and gives the same bits again.

cuBLAS counts matrices by columns. A matrix (rows, columns) in C order is, to it, the transposed one, so a product
C = A B is asked for as C^T = B^T A^T: the operands change places.
"""

import ctypes
import functools

import numpy as np

from ..reference.arrays import array_module
from .precision import tf32_allowed
from .rows import AMPERE, capability

LIBRARIES = "libcublas.so.13", "libcublas.so.12", "cublas64_13.dll", "cublas64_12.dll"
TYPES = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 14}  # cudaDataType
COMPUTE_32F, COMPUTE_64F, COMPUTE_32F_FAST_TF32 = 68, 70, 77  # cublasComputeType_t
NOT_TRANSPOSED, TRANSPOSED = 0, 1
DEFAULT_ALGORITHM = -1
WORKSPACE_BYTES = 32 << 20  # what NVIDIA recommends for Hopper


def packaged():
    """The path of the library among installed packages, which the system's loader doesn't search."""
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib  # comes with CuPy

        return [load_nvidia_dynamic_lib("cublas").abs_path]
    except (ImportError, RuntimeError):
        return []


@functools.cache
def library():
    """cuBLAS, from where CuPy finds it (packages of pip and conda, the toolkit) or the system; None where it is not."""
    for name in (*packaged(), *LIBRARIES):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


class Handle:
    """A cuBLAS handle with a workspace. All calls check cuBLAS's status; RuntimeError names the call that failed."""

    def __init__(self, cublas, xp):
        self.cublas, self.pointer = cublas, ctypes.c_void_p()
        self.call("cublasCreate_v2", ctypes.byref(self.pointer))
        self.workspace = xp.empty(WORKSPACE_BYTES, np.uint8)
        self.xp, self.stream = xp, None

    def call(self, name, *args):
        status = getattr(self.cublas, name)(*args)
        if status:
            raise RuntimeError(f"{name} failed with cuBLAS status {status}")

    def follow_stream(self):
        """Work on CuPy's current stream. Setting a stream resets the workspace, so that is set again."""
        stream = self.xp.cuda.get_current_stream().ptr
        if stream != self.stream:
            self.call("cublasSetStream_v2", self.pointer, ctypes.c_void_p(stream))
            workspace = ctypes.c_void_p(self.workspace.data.ptr)
            self.call("cublasSetWorkspace_v2", self.pointer, workspace, ctypes.c_size_t(WORKSPACE_BYTES))
            self.stream = stream


@functools.cache
def handle(xp, device):
    """One for each GPU."""
    return Handle(library(), xp)


def leading_dimension(a):
    """(transposed?, step from row to row) of a matrix whose rows or columns are contiguous, else None."""
    (rows, columns), (down, right) = a.shape, (s // a.itemsize for s in a.strides)
    if (right == 1 or columns == 1) and (down >= columns or rows == 1):
        return False, max(down if rows > 1 else columns, 1)
    if (down == 1 or rows == 1) and (right >= rows or columns == 1):
        return True, max(right if columns > 1 else rows, 1)
    return None


def compute_type(dtype):
    if dtype == np.float64:
        return COMPUTE_64F
    return COMPUTE_32F_FAST_TF32 if dtype == np.float32 and tf32_allowed() else COMPUTE_32F


def operand(a):
    """(array, operation, leading dimension) for cuBLAS; a copy where neither rows nor columns are contiguous."""
    layout = leading_dimension(a)
    if layout is None:
        a = array_module(a).ascontiguousarray(a)
        layout = leading_dimension(a)
    return a, TRANSPOSED if layout[0] else NOT_TRANSPOSED, layout[1]


def gemm(cublas, a, b, c):
    """c = a b for matrices of one type, c with contiguous rows; c may be float32 where a and b have 16 bits."""
    (m, k), n, dtype = a.shape, b.shape[1], a.dtype
    (a, op_a, step_a), (b, op_b, step_b), (_, step_c) = operand(a), operand(b), leading_dimension(c)
    scalar = ctypes.c_double if dtype == np.float64 else ctypes.c_float
    one, zero, kind = scalar(1), scalar(0), TYPES[dtype.name]
    cublas.follow_stream()
    cublas.call(
        "cublasGemmEx", cublas.pointer, op_b, op_a, n, m, k,
        ctypes.byref(one), ctypes.c_void_p(b.data.ptr), kind, step_b, ctypes.c_void_p(a.data.ptr), kind, step_a,
        ctypes.byref(zero), ctypes.c_void_p(c.data.ptr), TYPES[c.dtype.name], step_c,
        compute_type(dtype), DEFAULT_ALGORITHM,
    )  # fmt: skip


def available(a):
    """Whether products of this array can go to cuBLAS: it is on a GPU that has a number, and there is a cuBLAS.

    Products of bfloat16 on GPUs before Ampere are left to our own kernels.
    """
    xp = array_module(a)
    cuda = getattr(xp, "cuda", None)
    numbered = hasattr(cuda, "Device") and hasattr(cuda.Device(), "id") and library() is not None
    return numbered and (a.dtype.name != "bfloat16" or capability(xp) >= AMPERE)


def matmul(a, b, dtype=None):
    """a (M, K) times b (K, N), of one type, as a fresh array (M, N) of that type, or of `dtype`: that of sums."""
    xp, dtype = array_module(a), dtype or a.dtype
    if not a.size or not b.size:
        return xp.zeros((a.shape[0], b.shape[1]), dtype)
    c = xp.empty((a.shape[0], b.shape[1]), dtype)
    gemm(handle(xp, xp.cuda.Device().id), a, b, c)
    return c


def as_rows(a):
    """(..., C) -> (rows, C)"""
    return array_module(a).ascontiguousarray(a).reshape(a.size // max(a.shape[-1], 1), a.shape[-1])
