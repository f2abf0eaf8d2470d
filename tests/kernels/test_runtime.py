"""The runtime of the CPU kernels: where compiled kernels are kept, threads, memory."""

import ctypes
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import threadpoolctl
from kernel_cases import dispatchers

from kernels import cpu
from kernels.cpu import runtime

ROOT = pathlib.Path(__file__).parent.parent.parent
needs_two_cores = pytest.mark.skipif(
    runtime.numba.config.NUMBA_NUM_THREADS < 2, reason="this machine has one core, or Numba was given one"
)


def python(code, **environment):
    """Run the code in a new process in the repository's root."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MINIGRAD_", "OMP_"))} | environment
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=env)


def output(code, **environment):
    done = python(code, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# ------------------------------------------------------------------------------------- cache
EVERY_KERNEL = """
import sys
sys.path.append("tests")
import numpy as np
from kernels import cpu
from kernel_cases import dispatchers

x, v, w = np.ones((2, 6, 6, 4), "f"), np.ones(4, "f"), np.ones((4, 3, 3, 4), "f")
how = (1, 1), (1, 1), (1, 1), 1
window = (2, 2), (2, 2), (0, 0)
cpu.conv2d_forward(x, w, v, *how), cpu.conv2d_backward_input(x, w, x.shape, *how)
cpu.conv2d_backward_weight(x, x, w.shape, *how)
cpu.linear_forward(x, w[:, 0, 0], v), cpu.linear_forward(x[0, 0, :1], w[:, 0, 0], v)
cpu.linear_backward_input(x, w[:, 0, 0]), cpu.linear_backward_weight(x, x)
cpu.batch_norm_forward(x, v, v, 1e-5, True)
cpu.batch_norm_backward(x, x, v, v, v, v, 1e-5), cpu.channel_sum(x[..., :2])
y, d = cpu.local_response_norm_forward(x, 5, 1.0, 0.75, 2.0)
cpu.local_response_norm_backward(x, x, d, 5, 1.0, 0.75)
cpu.relu_forward(x), cpu.relu_backward(x, x), cpu.add_relu_forward(x, x), cpu.dropout_forward(x, 0.5, 1)
cpu.concat_forward([x, x])
y, winner = cpu.max_pool2d_forward(x, *window, (1, 1), False)
cpu.max_pool2d_backward(y, winner, x.shape, *window, (1, 1))
cpu.avg_pool2d_backward(cpu.avg_pool2d_forward(x, *window, False, True), x.shape, *window, True)
cpu.adaptive_avg_pool2d_backward(cpu.adaptive_avg_pool2d_forward(x, (1, 1)), x.shape)
cpu.sgd_step([x], [x.copy()], None, 0.1, 0.0, 0.0, 0.0, False)
cpu.sgd_step([x], [x.copy()], [x.copy()], 0.1, 0.9, 0.0, 0.0, False)
cpu.adam_step([x], [x.copy()], [x.copy()], [x.copy()], 1, 0.1, 0.9, 0.99, 1e-8, 0.0, True)

kernels = dispatchers()
print("called", sum(bool(f.stats.cache_hits or f.stats.cache_misses) for f in kernels.values()))
print("compiled", [name for name, f in kernels.items() if f.stats.cache_misses])
"""


@pytest.mark.long
def test_a_second_process_compiles_nothing():
    output(EVERY_KERNEL)
    called, compiled = output(EVERY_KERNEL).splitlines()
    assert int(called.removeprefix("called ")) >= 20
    assert compiled == "compiled []"


def test_a_read_only_input_compiles_nothing_new():
    x = np.ones((2, 3), "f")
    cpu.relu_forward(x)
    kernel = runtime_kernel("activation", "relu_rows")
    versions = len(kernel.signatures)
    x.flags.writeable = False
    cpu.relu_forward(x)
    cpu.relu_forward(np.ones((2, 3, 4), "f")[..., 1:3])
    assert len(kernel.signatures) == versions


def runtime_kernel(module, name):
    return dispatchers()[f"kernels.cpu.{module}.{name}"]


WHERE = "from kernels.cpu import runtime; print(runtime.numba.config.CACHE_DIR)"


def test_the_cache_is_where_it_was_asked_to_be(tmp_path):
    folder = pathlib.Path(output(WHERE, MINIGRAD_CACHE=str(tmp_path / "new")))
    assert folder.parent == tmp_path / "new" / "kernels" and folder.is_dir()
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "XDG_CACHE_HOME": ""}
    assert output(WHERE, **home).startswith(str(tmp_path / ".cache" / "minigrad"))


def test_a_home_that_cannot_be_written_falls_back_to_temporary_files(tmp_path):
    """A file in place of the folder can't be written even by root, for whom permissions mean nothing."""
    (tmp_path / "file").touch()
    (tmp_path / "tmp").mkdir()
    unwritable, temporary = str(tmp_path / "file" / "below"), str(tmp_path / "tmp")
    for name in ("MINIGRAD_CACHE", "XDG_CACHE_HOME"):
        first, second = (output(WHERE, TMPDIR=temporary, TEMP=temporary, **{name: unwritable}) for _ in range(2))
        assert first.startswith(temporary) and first == second


def test_no_writable_folder_at_all(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(runtime, "temporary_cache", lambda: str(tmp_path / "file"))
    with pytest.raises(OSError, match=r"no writable folder for compiled kernels: tried .*file.*; set MINIGRAD_CACHE"):
        runtime.cache_directory()


def test_temporary_files_that_someone_else_prepared_are_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ours = runtime.temporary_cache()
    assert ours == runtime.temporary_cache()
    if hasattr(os, "getuid"):
        owner = os.stat(ours).st_uid
        monkeypatch.setattr(os, "getuid", lambda: owner + 1)
        (tmp_path / f"minigrad-{owner + 1}").mkdir()  # by `owner`, for the name of another
        assert runtime.temporary_cache() != str(tmp_path / f"minigrad-{owner + 1}")


def test_a_system_without_user_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delattr(os, "getuid", raising=False)
    monkeypatch.setenv("LOGNAME", "somebody")
    assert runtime.temporary_cache() == str(tmp_path / "minigrad-somebody")


def test_a_changed_source_is_another_version(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "kernels" / "cpu", tmp_path / "cpu")
    monkeypatch.setattr(runtime, "__file__", str(tmp_path / "cpu" / "runtime.py"))
    before = runtime.source_key()
    assert before == runtime.source_key()
    with open(tmp_path / "cpu" / "rows.py", "a") as source:
        source.write("\n")
    assert runtime.source_key() != before


def test_kernels_compile_nothing_from_outside_their_folder():
    """source_key hashes this folder alone, so what is compiled may use no function and no number from elsewhere."""
    for name, kernel in dispatchers().items():
        used = [kernel.py_func.__globals__.get(n) for n in kernel.py_func.__code__.co_names]
        origins = {getattr(u, "__module__", None) or "" for u in used if callable(u)}
        assert not any(o.startswith(("kernels.reference", "kernels.shapes")) for o in origins), name


def test_old_versions_are_removed(tmp_path):
    """The last used are kept; and what is no version at all, as where MINIGRAD_CACHE is this very repository."""
    versions = [tmp_path / f"{number:016x}" for number in range(5)]
    for age, folder in enumerate([*versions, tmp_path / "cpu"]):
        folder.mkdir()
        os.utime(folder, (age, age))
    os.utime(tmp_path / "cpu", (0, 0))
    runtime.remove_old_versions(versions[0])  # used just now
    assert sorted(tmp_path.iterdir()) == [versions[0], *versions[3:], tmp_path / "cpu"]
    runtime.remove_old_versions(tmp_path / "gone")  # by another process, say


# ------------------------------------------------------------------------------------- threads
@pytest.mark.parametrize("text", ["many", "0", "-1", "1.5", "100000", "²"])
def test_a_wrong_number_of_threads_is_refused(text, monkeypatch):
    monkeypatch.setenv("MINIGRAD_NUM_THREADS", text)
    with pytest.raises(ValueError, match=r"MINIGRAD_NUM_THREADS: expected a number from 1 to \d+.*got '" + text):
        runtime.threads_wanted()


@pytest.mark.parametrize("n", [0, -1, 100_000])
def test_set_num_threads_refuses(n):
    with pytest.raises(ValueError, match=rf"set_num_threads: n must be from 1 to \d+, the number of cores; got {n}"):
        runtime.set_num_threads(n)


def blas_threads():
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]


@needs_two_cores
def test_one_number_rules_numba_and_blas():
    before = runtime.get_num_threads()
    try:
        for n in (1, 2):
            runtime.set_num_threads(n)
            assert runtime.get_num_threads() == n and set(blas_threads()) == {n}
    finally:
        runtime.set_num_threads(before)


IN_A_NEW_THREAD = """
import threading, numba, numpy as np
from kernels import cpu
from kernels.cpu import runtime

def in_a_new_thread(work):
    found = []
    thread = threading.Thread(target=lambda: found.extend((work(), numba.get_num_threads())))
    thread.start(), thread.join()
    return found

print(in_a_new_thread(runtime.get_num_threads), end=" ")
print(in_a_new_thread(lambda: cpu.relu_forward(np.ones(3, "f")).size), end=" ")
runtime.set_num_threads(2)
print(in_a_new_thread(runtime.get_num_threads))
"""


@needs_two_cores
def test_a_new_python_thread_has_the_number_of_the_process():
    """Numba gives a new Python thread all cores, whatever was set."""
    assert output(IN_A_NEW_THREAD, MINIGRAD_NUM_THREADS="1") == "[1, 1] [3, 1] [2, 2]"


def test_the_environment_sets_the_threads_and_stays_as_it_was():
    names = "get_num_threads(), *map(os.environ.get, ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT'))"
    code = f"import os; from kernels.cpu.runtime import *; print({names})"
    assert output(code, MINIGRAD_NUM_THREADS="1") == "1 None None"
    assert output(code, MINIGRAD_NUM_THREADS="1", OMP_WAIT_POLICY="active") == "1 active None"
    assert output(code, MINIGRAD_NUM_THREADS="1", GOMP_SPINCOUNT="7") == "1 None 7"


CROWD = """
import threading
import numpy as np
from kernels import cpu

x, results = np.random.default_rng(0).standard_normal((64, 33)).astype("f"), []
expected = cpu.channel_mean_var(x)

def work():
    for _ in range(50):
        results.append(all(np.array_equal(a, b) for a, b in zip(cpu.channel_mean_var(x), expected)))

threads = [threading.Thread(target=work) for _ in range(4)]
for t in threads: t.start()
for t in threads: t.join()
print(all(results), len(results))
"""


@pytest.mark.parametrize("layer", ["default", "workqueue"])
def test_kernels_may_be_called_from_several_threads(layer):
    """Numba's workqueue aborts the process if two threads meet in it; it is what remains where there is no OpenMP."""
    assert output(CROWD, NUMBA_THREADING_LAYER=layer) == "True 200"


# ------------------------------------------------------------------------------------- memory
@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_memory_settings_are_left_alone_elsewhere(platform, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: pytest.fail("opened the C library"))
    runtime.keep_freed_memory()


def test_a_c_library_without_mallopt(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    runtime.keep_freed_memory()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's mallopt")
def test_freed_memory_is_used_again():
    """Page faults of writing a fresh 64 MB array, after one such array was freed: none but for a handful."""
    code = """
import resource
import numpy as np
from kernels.cpu import runtime

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(16 << 20, np.float32)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
print(faults())
"""
    assert int(output(code)) < 10
