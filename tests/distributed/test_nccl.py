"""Gradients that NCCL carries, on the emulated GPU: the messages are a stream's work, and whose turn it is matters."""

import emulator
import numpy as np
import pytest
from emulator import nccl
from mpi_runs import many, needs_mpi
from numpy.testing import assert_allclose, assert_array_equal
from train_runs import ROOT, arrays, same

import minigrad as mg
from minigrad.command.errors import UsageError
from minigrad.distributed import GradientReducer, Group
from minigrad.distributed.nccl import NcclGroup
from minigrad.train.config import Config
from minigrad.train.setup import chosen_device
from minigrad.train.together import check_device

HERE = ROOT / "tests" / "distributed"


class Echo(Group):
    """Two processes, of which the other one has the same numbers plus one."""

    size = 2

    def all_reduce(self, x):
        x += x + 1
        return x

    def broadcast(self, x, src=0):
        x += 10 * src
        return x


@pytest.fixture
def gpu(monkeypatch):
    """The first emulated GPU, with an NCCL that echoes."""
    device = emulator.register()
    monkeypatch.setattr(emulator.cuda, "nccl", None)
    nccl.join(Echo())
    with mg.use_kernels("reference"):
        yield device


def test_arrays_on_the_gpu_travel_by_nccl(gpu):
    group = NcclGroup(gpu, Echo())
    x = mg.tensor([1.0, 2.0], device=gpu)
    assert group.all_reduce(x) is x
    assert_array_equal(x.numpy(), [3.0, 5.0])
    assert_array_equal(group.broadcast(x, 1).numpy(), [13.0, 15.0])
    assert group.communicator.sent == [2, 2]
    assert_array_equal(group.all_reduce(np.array([1.0])), [3.0])  # of the host: as before
    assert group.communicator.sent == [2, 2]


def test_a_message_arrives_when_its_turn_comes(gpu):
    group = NcclGroup(gpu, Echo())
    array = gpu.asarray(np.ones(3, np.float32))
    message = group.start_all_reduce(array)
    assert not message.test()
    assert_array_equal(array.get(), np.ones(3))
    message.wait()
    assert message.test()
    assert_array_equal(array.get(), np.full(3, 3.0))


def test_gradients_are_averaged_on_the_gpu(gpu):
    """Of g here and g + 1 there: g + 1/2. A weight that nobody used has none: its mark is not above 0 either way."""
    w, b = (mg.tensor(np.array(a, np.float32), device=gpu, requires_grad=True) for a in ([1.0, 2.0], [5.0]))
    reducer = GradientReducer([w, b], NcclGroup(gpu, Echo()))
    assert [type(bucket.array) for bucket in reducer.buckets] == [emulator.ndarray]
    reducer.backward((w * 3.0).sum() + (b * 4.0).sum())
    assert_array_equal(w.grad.get(), [3.5, 3.5])
    assert_array_equal(b.grad.get(), [4.5])


class Two(Group):
    size, local_rank = 2, 1


def test_each_process_takes_a_gpu_of_its_own(gpu):
    assert chosen_device(Config(device="emulated"), Two()) is gpu.numbered(1)
    assert chosen_device(Config(device="emulated")) is gpu
    assert chosen_device(Config(), Two()).name == "cpu"
    far = Two()
    far.local_rank = 2
    with pytest.raises(UsageError, match="emulated:2 is not there; GPUs here: 2"):
        chosen_device(Config(device="emulated"), far)


def test_without_nccl_several_processes_are_refused(gpu, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(UsageError, match="CuPy finds no NCCL, which several processes need"):
        chosen_device(Config(device="emulated"), Two())


@pytest.mark.parametrize(
    "settings, says",
    [
        ({"device": "cuda:1"}, "--device cuda:1: each of 2 processes takes its own: --device cuda"),
        ({"device": "cuda", "cuda_graph": True}, "--cuda-graph is for one process; 2 were started"),
    ],
)
def test_what_several_processes_cannot_ask(settings, says):
    check_device(Config(**settings), Group())
    with pytest.raises(UsageError, match=says):
        check_device(Config(**settings), Two())


@pytest.mark.long
@needs_mpi
def test_the_command_on_two_emulated_gpus(tmp_path):
    """The weights are those of two processes on the CPU; each has a GPU, and one communicator."""
    run = ("--arch", f"{HERE / 'net.py'}:Net", "-b", "16", "-j", "0", "--lr", "0.02", "--epochs", "1")
    run = (*run, "--limit-train-batches", "4", "--limit-test-batches", "2")
    on_gpus = (HERE / "nccl_run.py", *run, "--device", "emulated")
    for name, arguments in (
        ("a", on_gpus),
        ("b", on_gpus),
        ("cpu", ("-m", "minigrad.train", "--kernels", "reference", *run)),
    ):
        done = many(2, *arguments, "--output-dir", tmp_path / name, PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}")
        assert done.returncode == 0, done.stderr
        if name == "a":
            line = done.stdout.splitlines()[-1]
            assert line.startswith("communicators, messages, numbers: (1, ") and line.endswith(", 1)"), done.stdout
    same(arrays(tmp_path / "a"), arrays(tmp_path / "b"))
    for name, a in arrays(tmp_path / "cpu").items():
        assert_allclose(arrays(tmp_path / "a")[name], a, rtol=1e-3, atol=1e-5, err_msg=name)
