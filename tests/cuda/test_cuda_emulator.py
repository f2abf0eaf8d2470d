"""The emulated GPU itself: what it computes, and that it notices the faults that kernels have."""

import pathlib
import shutil
import subprocess
import sys

import emulator
import ml_dtypes
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
FOLDERS = (f"-I{ROOT}/tests/emulator/examples", f"-I{ROOT}/kernels/cuda/src")
pytestmark = [pytest.mark.skipif(emulator.missing() is not None, reason=str(emulator.missing())), pytest.mark.long]
in_any_order = pytest.mark.parametrize("order", emulator.ORDERS)


def example(name, *faults):
    """A kernel of examples.cu, with faults planted."""
    options = (*FOLDERS, *(f"-D{fault}" for fault in faults))
    module = emulator.RawModule(code='#include "examples.cu"\n', options=options, name_expressions=(name,))
    return module.get_function(name)


def random(shape, dtype="f", seed=0):
    return emulator.asarray(np.random.default_rng(seed).standard_normal(shape).astype(dtype))


def reversed_blocks(n=77, dtype="f", faults=()):
    c_type = {"f": "float", "d": "double"}[dtype]
    x, y = random(n, dtype), emulator.empty(n, dtype)
    example(f"reverse<{c_type}, 32>", *faults)((3,), (32,), (x, y, np.int32(n)))
    return y.get(), np.concatenate([part[::-1] for part in np.split(x.get(), [32, 64])])


def swapped(faults=()):
    x, y = random(32), emulator.empty(32, "f")
    example("swap_in_warp", *faults)((1,), (32,), (x, y))
    return y.get(), x.get().reshape(16, 2)[:, ::-1].ravel()


def product(dtype, m=32, n=24, k=48, faults=()):
    a, b, c = random((m, k), dtype, 1), random((k, n), dtype, 2), emulator.empty((m, n), "f")
    c_type = {np.float16: "__half", ml_dtypes.bfloat16: "__nv_bfloat16"}[dtype]
    kernel, shared = example(f"matmul_16bit<{c_type}>", *faults), (16 * 24 + 16 * 8) * 2
    kernel((n // 8, m // 16), (32,), (a, b, c, np.int32(n), np.int32(k)), shared_mem=shared)
    return c.get(), a.get().astype("f") @ b.get().astype("f")


# What it computes


@in_any_order
@pytest.mark.parametrize("dtype", ["f", "d"])
def test_shared_memory_and_barriers(order, dtype):
    with emulator.thread_order(order):
        np.testing.assert_array_equal(*reversed_blocks(dtype=dtype))
        np.testing.assert_array_equal(*swapped())


@in_any_order
def test_shuffles(order):
    x, sums = random(1000), emulator.empty(3, "f")
    with emulator.thread_order(order):
        example("block_sum")((3,), (96,), (x, sums, np.int32(1000)))
    owner = np.arange(1000) // 96 % 3
    np.testing.assert_allclose(sums.get(), np.bincount(owner, x.get()), rtol=1e-4, atol=1e-4)


@in_any_order
def test_atomics(order):
    x, counts = np.random.default_rng(0).integers(0, 5, 300, np.int32), emulator.zeros(5, np.int32)
    with emulator.thread_order(order):
        example("histogram")((10,), (32,), (emulator.asarray(x), counts, np.int32(300)))
    np.testing.assert_array_equal(counts.get(), np.bincount(x))


@in_any_order
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_tensor_cores_with_16_bits(order, dtype):
    with emulator.thread_order(order):
        np.testing.assert_allclose(*product(dtype), rtol=1e-5, atol=1e-5)


def test_tensor_cores_with_tf32():
    a, b, c = random((16, 8), seed=1), random((8, 8), seed=2), emulator.empty((16, 8), "f")
    example("matmul_tf32")((1,), (32,), (a, b, c))
    exact = a.get() @ b.get()
    np.testing.assert_allclose(c.get(), exact, atol=1e-2)
    assert np.abs(c.get() - exact).max() > 1e-5, "the operands were not rounded to TF32"


@pytest.mark.parametrize("size", [4, 8, 16])
def test_asynchronous_copies(size):
    n = 8 * size  # all 32 lanes copy size / 4 elements
    x, y = random(n), emulator.empty(n, "f")
    example(f"copy_valid<{size}>")((1,), (32,), (x, y, np.int32(n // 2)))
    np.testing.assert_array_equal(y.get(), np.where(np.arange(n) < n // 2, x.get(), 0))


def test_rounds_to_bfloat16_as_ml_dtypes_does():
    x = np.concatenate([random(1000).get(), [1 + 2**-8, 1 + 3 * 2**-8, np.inf, -0.0, 3e38]]).astype("f")
    ours = emulator.asarray(x)
    kernel = emulator.RawModule(
        code='#include "types.cuh"\n__global__ void narrow(const float* x, __nv_bfloat16* y) {'
        "y[blockIdx.x] = __nv_bfloat16(x[blockIdx.x]); }\n",
        options=FOLDERS[1:], name_expressions=("narrow",),
    ).get_function("narrow")  # fmt: skip
    y = emulator.empty(x.shape, ml_dtypes.bfloat16)
    kernel((len(x),), (1,), (ours, y))
    np.testing.assert_array_equal(y.get().view("u2"), x.astype(ml_dtypes.bfloat16).view("u2"))


# Faults it must notice


@pytest.mark.parametrize("run", [reversed_blocks, swapped])
def test_a_missing_barrier_shows_in_some_order(run):
    wrong = []
    for order in emulator.ORDERS:
        with emulator.thread_order(order):
            actual, expected = run(faults=("NO_BARRIER",))
        wrong.append(not np.array_equal(actual, expected))
    assert any(wrong)


def test_a_missing_wait_leaves_poison():
    with pytest.raises(RuntimeError, match="never waited for"):
        product(np.float16, faults=("NO_WAIT",))
    x, y = random(32), emulator.empty(32, "f")
    for order in emulator.ORDERS:
        with emulator.thread_order(order), pytest.raises(RuntimeError, match="never waited for"):
            example("copy_valid<4>", "NO_WAIT")((1,), (32,), (x, y, np.int32(32)))
        assert np.isnan(y.get()).all() == (order == "forward")


FAULTS = {
    "half_at_barrier": "after some threads of the block returned",
    "two_barriers": "divergent __syncthreads",
    "absent_lanes": "deadlock: a warp operation waits for lanes",
    "uninvited_lane": "whose mask does not name it",
}


@pytest.mark.parametrize("name, message", FAULTS.items(), ids=FAULTS)
def test_a_barrier_that_not_all_reach(name, message):
    with pytest.raises(RuntimeError, match=message):
        example(name)((1,), (64,), (random(64),))


@pytest.mark.parametrize("beyond", [0, 3, -33])
def test_a_write_outside_an_array(beyond):
    x = random(64)
    with pytest.raises(RuntimeError, match=r"wrote outside array 0 \(64,\)"):
        example("write_beyond")((1,), (32,), (x, np.int32(64 + beyond if beyond >= 0 else beyond)))


def test_a_misaligned_copy():
    with pytest.raises(RuntimeError, match="not aligned"):
        example("misaligned_copy")((1,), (32,), (random(64), random(64)))


def test_a_misaligned_load_names_the_argument():
    """A GPU ends the process there, and so would this machine's processor."""
    x, y = random(64), emulator.empty(32, "f")
    with pytest.raises(RuntimeError, match=r"16 bytes at an address that 16 does not .*cu:\d+ \(argument 0, byte 20\)"):
        example("misaligned_load")((1,), (32,), (x, y, np.int32(5)))
    example("misaligned_load")((1,), (32,), (x, y, np.int32(8)))
    np.testing.assert_array_equal(y.get(), np.tile(x.get()[8:12], 8))


def test_arguments_of_the_wrong_kind():
    x, y, kernel = random(32), emulator.empty(32, "f"), example("reverse<float, 32>")
    for arguments, message in {
        "too few": ((x, y), "3 arguments expected"),
        "another type": ((x.astype("d"), y, np.int32(32)), "argument 0 is an array of float64"),
        "a wide number": ((x, y, np.int64(32)), "argument 2 is int64"),
        "a Python number": ((x, y, 32), "argument 2 is a int, whose size in C"),
        "an array of the host": ((x.get(), y, np.int32(32)), "argument 0 is a ndarray"),
    }.values():
        with pytest.raises(TypeError, match=message):
            kernel((1,), (32,), arguments)
    with pytest.raises(RuntimeError, match="1 to 1024 threads"):
        kernel((1,), (2048,), (x, y, np.int32(32)))
    with pytest.raises(RuntimeError, match="the grid is too large"):
        kernel((1, 70000), (32,), (x, y, np.int32(32)))
    with pytest.raises(RuntimeError, match="were not asked for"):
        kernel((1,), (32,), (x, y, np.int32(32)), shared_mem=50 * 1024)


def test_arrays_stay_where_they_are():
    host, x = np.ones(3), emulator.ones(3)
    for mixed in (lambda: x + host, lambda: host + x, lambda: np.asarray(x), lambda: emulator.maximum(x, host)):
        with pytest.raises(TypeError):
            mixed()
    assert isinstance(x.sum(), emulator.ndarray) and x.sum().ndim == 0
    assert np.isnan(emulator.empty(5).get()).all()
    x[1:][:1] = 5  # slices are views
    np.testing.assert_array_equal(x.get(), [1, 5, 1])


# Under the compiler's sanitizers, in a process of its own: they must be loaded before Python


def sanitized(kind, code):
    """What a process in which kernels run under this sanitizer says on stderr, and its status."""
    library = subprocess.run(["g++", f"-print-file-name=lib{'a' if kind == 'address' else 't'}san.so"],
                             capture_output=True, text=True, check=True).stdout.strip()  # fmt: skip
    setarch = shutil.which("setarch")
    if not pathlib.Path(library).is_absolute() or setarch is None:
        pytest.skip(f"the run-time library of -fsanitize={kind}, or setarch, is not installed")
    environment = {
        "PATH": "/usr/bin:/bin", "LD_PRELOAD": library, "PYTHONPATH": f"{ROOT}:{ROOT}/tests:{ROOT}/tests/cuda",
        "MINIGRAD_EMULATOR_SANITIZE": kind, "MINIGRAD_CACHE": str(emulator.build.cache().parent),
        "ASAN_OPTIONS": "detect_leaks=0", "TSAN_OPTIONS": "exitcode=66", "PYTHONMALLOC": "malloc",
    }  # fmt: skip
    without_address_randomisation = [setarch, "-R", sys.executable, "-c", f"from test_cuda_emulator import *\n{code}"]
    done = subprocess.run(without_address_randomisation, env=environment, capture_output=True, text=True)
    return done.returncode, done.stderr


CLEAN = """
for order in emulator.ORDERS:
    with emulator.thread_order(order):
        for result in (reversed_blocks(), swapped(), product(np.float16, 16, 8, 32)):
            np.testing.assert_allclose(*result, rtol=1e-5)
"""


@pytest.mark.parametrize("kind", ["address", "thread"])
def test_right_kernels_are_clean(kind):
    status, said = sanitized(kind, CLEAN)
    assert status == 0, said


@pytest.mark.parametrize(
    "code, message",
    [
        ('example("write_beyond")((1,), (32,), (random(64), np.int32(60)))', "heap-buffer-overflow"),
        ('example("shared_beyond")((1,), (32,), (random(32),))', "index 32 out of bounds for type 'float [32]'"),
    ],
    ids=["global memory", "shared memory"],
)
def test_address_sanitizer_names_the_line(code, message):
    status, said = sanitized("address", code)
    assert status != 0 and message in said and "examples.cu:" in said, said


@pytest.mark.parametrize("code", ['reversed_blocks(faults=["NO_BARRIER"])', 'swapped(faults=["NO_BARRIER"])'])
def test_thread_sanitizer_finds_races(code):
    status, said = sanitized("thread", code)
    assert status == 66 and "data race" in said and "examples.cu:" in said, said
