"""Mistakes that a GPU would punish now and then, planted in the kernels: the emulator must see each."""

import shutil

import numpy as np
import pytest
import test_cuda_graph_steps as graph_steps
from cuda_cases import BFLOAT16, needs_emulator, normal, to_device
from emulator import ORDERS, thread_order

from kernels import cuda, reference
from kernels.cuda import graphed, loader
from kernels.cuda.precision import allow_tf32
from minigrad import optim
from minigrad.train import loop
from minigrad.train.graph import GraphedStep

pytestmark = [needs_emulator, pytest.mark.long]
WAIT, BARRIER, FETCH = "cp_async_wait<STAGES - 2>();", "__syncthreads();  // the step's", "fetch(step + STAGES - 1);"
MUTANTS = {  # file, what is there, what the mutant has there
    "copies over a tile that others still read": ("gemm.cuh", BARRIER, f"{FETCH} {BARRIER}", FETCH),
    "reads a tile before it has arrived": ("gemm.cuh", WAIT, "cp_async_wait<STAGES - 1>();", None),
    "reads what others copied without a barrier": ("gemm.cuh", BARRIER, "// the step's", None),
}
TYPES = [np.dtype("f4"), BFLOAT16]  # float32 as TF32, whose rounding must not make a number of the poison


@pytest.fixture
def mutated(monkeypatch, tmp_path):
    """A function that lets kernels be compiled from sources with a piece of text replaced."""

    def mutate(file, there, instead, moved):
        folder = tmp_path / "src"
        shutil.copytree(loader.SOURCES, folder)
        text = (folder / file).read_text()
        assert text.count(there) == 1 and (moved is None or text.count(moved) == 1)
        text = text if moved is None else text.replace(moved, "")
        (folder / file).write_text(text.replace(there, instead))
        monkeypatch.setattr(loader, "OPTIONS", (f"-I{folder}",))
        loader.compiled.cache_clear()

    yield mutate
    loader.compiled.cache_clear()


def is_right(dtype):
    """Is a product of ten steps right, and without anything that was not computed?"""
    tolerance = 2e-2 if dtype == BFLOAT16 else 4e-3
    x, w = normal((1, 3, 23, 160), dtype, 1), normal((17, 1, 1, 160), dtype, 2)
    settings = None, (1, 1), (0, 0), (1, 1), 1
    expected = reference.conv2d_forward(x.astype("f8"), w.astype("f8"), *settings)
    y = cuda.conv2d_forward(to_device(x), to_device(w), *settings).get().astype("f8")
    return bool(np.abs(y - expected).max() <= tolerance * np.abs(expected).max())


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("mutant", [None, *MUTANTS])
def test_a_race_shows_in_some_order_of_threads(mutant, dtype, mutated):
    if mutant is not None:
        mutated(*MUTANTS[mutant])
    right = []
    with allow_tf32():
        for order in ORDERS:
            with thread_order(order):
                right.append(is_right(dtype))
    assert all(right) == (mutant is None), right


def test_tables_that_end_before_their_graph_show(monkeypatch):
    """The launches of a graph know addresses; nothing that the emulator keeps of them may hold the arrays."""

    def keep(self, numbers):
        there = self.room(numbers.shape, numbers.dtype)
        self.unsent.append((there, numbers))
        return there

    def losses(step):
        return graph_steps.trained(step, lambda p: optim.SGD(p, 0.1), clip_grad_norm=graph_steps.CLIP)[0]

    expected = losses(loop.op_by_op)
    assert losses(GraphedStep(pytest.fail)) == expected
    monkeypatch.setattr(graphed.GraphedUpdates, "keep", keep)
    with pytest.raises((AssertionError, FloatingPointError, RuntimeError)):
        assert losses(GraphedStep(pytest.fail)) == expected
