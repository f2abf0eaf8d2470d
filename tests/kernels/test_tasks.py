"""The loop that the threads share: each task once, whatever their number; a task that fails is told."""

import numpy as np
import pytest
from kernel_cases import dispatchers

from kernels.cpu import activation, runtime
from kernels.cpu.tasks import share

MOST = runtime.numba.config.NUMBA_NUM_THREADS


@runtime.serial
def mark(i, calls, threads, scale):
    calls[i] += 1
    threads[i] = runtime.numba.get_thread_id()
    scale[0][i] = scale[1] * i


def marked(count):
    """What `count` tasks did, by a kernel that is compiled here (its cache would outlive a change of tasks.py)."""

    @runtime.numba.njit(**runtime.OPTIONS)
    def kernel(count, calls, threads, scale):
        share(mark, count, (calls, threads, scale))

    calls, threads, scaled = np.zeros(20, np.int64), np.full(20, -1), np.zeros(20)
    kernel(count, calls, threads, (scaled, 0.5))
    return calls, threads, scaled


@pytest.mark.parametrize("threads", sorted({1, MOST}))
@pytest.mark.parametrize("count", [0, 1, 2, 3, 20])
def test_each_task_runs_once(count, threads):
    before = runtime.get_num_threads()
    runtime.set_num_threads(threads)
    try:
        calls, by, scaled = marked(count)
    finally:
        runtime.set_num_threads(before)
    assert calls.tolist() == [1] * count + [0] * (20 - count)
    assert scaled[:count].tolist() == [0.5 * i for i in range(count)]
    assert all(0 <= thread < threads for thread in by[:count])


@pytest.mark.skipif(MOST < 2, reason="this machine has one core, or Numba was given one")
def test_threads_share_the_tasks_in_one_piece_each():
    _, by, _ = marked(20)
    assert set(by) == set(range(runtime.get_num_threads())) and (np.diff(by) >= 0).all()


@runtime.serial
def too_much(i, sizes):
    np.zeros(sizes[i], np.float64)[0] = 1


@pytest.mark.parametrize("count", [1, 2])
def test_a_task_that_fails_is_told(count):
    @runtime.numba.njit(**runtime.OPTIONS)
    def kernel(sizes):
        share(too_much, len(sizes), (sizes,))

    kernel(np.array([1] * count))
    with pytest.raises(MemoryError, match="a kernel's task failed"):
        kernel(np.array([1] * (count - 1) + [1 << 60]))


def test_what_only_kernels_call_has_no_machine_code():
    activation.relu_forward(np.ones((2, 3), "f"))
    helpers = [f for f in dispatchers().values() if f.py_func not in runtime.KERNELS]
    compiled = [each for f in helpers for each in f.overloads.values()]
    assert len(helpers) > 30
    assert all(each.library.get_pointer_to_function(each.fndesc.llvm_func_name) == 0 for each in compiled)
