"""Memory of CUDA graphs, on the emulated GPU: what is captured keeps what it needs, and gives back all when it ends."""

import functools
import gc
import operator

import emulator
import numpy as np
import pytest
from cuda_cases import needs_emulator
from places import prepare
from small_nets import batch, small_net

from minigrad import optim
from minigrad.device import get_device
from minigrad.train import loop
from minigrad.train.graph import GraphedStep

prepare("emulated")
pytestmark = needs_emulator
MEMORY = emulator.memory


@pytest.fixture
def device():
    return get_device("emulated")


@pytest.fixture
def held(device):
    """A function: bytes that the device holds beyond those at the start of the test."""

    def now():
        gc.collect()
        device.free_unused()
        return MEMORY.Held.now

    before = now()
    return lambda: now() - before


def held_at_once():
    return MEMORY.Held.now


def doubled(device, x):
    return lambda: device.kernels.relu_forward(x * 2) * 3


def test_ten_graphs_that_were_dropped_hold_nothing(device, held):
    x = device.asarray(np.ones(5000, np.float32))
    before = held()
    for _ in range(10):
        now = held_at_once()
        graph, y = device.capture(doubled(device, x))
        assert held_at_once() > now
        del graph, y
    assert held() == before


def test_close_gives_the_memory_back_at_once(device, held):
    x = device.asarray(np.ones(5000, np.float32))
    before, now = held(), held_at_once()
    graph, y = device.capture(doubled(device, x))
    graph.launch()
    del y
    graph.close()
    assert held_at_once() == now and held() == before
    with pytest.raises(RuntimeError, match="the graph was closed"):
        graph.launch()


def test_arrays_outlive_their_graph(device, held):
    x = device.asarray(np.ones(5000, np.float32))
    before = held()
    graph, y = device.capture(doubled(device, x))
    graph.launch()
    graph.close()
    assert held() > before and (y.get() == 6).all()
    del y
    assert held() == before


def test_a_capture_that_failed_holds_nothing(device, held):
    x = device.asarray(np.ones(5000, np.float32))
    before = held()
    for _ in range(10):
        with pytest.raises(RuntimeError, match="not permitted"):
            device.capture(lambda: (x * 2).sum().item())
    assert held() == before


def steps_of(net, optimizer, steps, count):
    for number in range(count):
        loop.train_step(net.train(), optimizer, *batch(4, number), step=steps)


@pytest.mark.long
def test_a_step_that_is_captured_again_gives_the_memory_of_the_first_back(held):
    net, steps = small_net().to("emulated"), GraphedStep(pytest.fail)
    optimizer = optim.SGD(net.parameters(), 0.1)
    sizes = []
    for _ in range(3):
        steps_of(net, optimizer, steps, 3)
        sizes.append(held())
        net[0].weight.data = net[0].weight.data * 2  # noticed: captured again
    assert sizes[0] == sizes[1] == sizes[2]


def test_memory_that_a_graph_reads_is_poisoned_when_it_is_given_back(device):
    """As on a GPU, where others then have it: the emulator must see a graph that outlives what it reads."""
    x = device.asarray(np.ones(4, np.float32))
    graph, y = device.capture(functools.partial(operator.mul, x, 2))
    graph.launch()
    assert (y.get() == 2).all()
    del x
    graph.launch()
    assert np.isnan(y.get()).all()


def test_memory_of_the_graph_is_poisoned_where_it_was_given_back(device):
    def late(keep):
        x = device.asarray(2.0) * device.xp.ones(4, np.float32)
        kept = x if keep else None
        address = device.xp.ndarray(MEMORY.not_owning(x.on_host))  # as a kernel knows it
        del x
        return kept, address * 2

    for keep in (True, False):
        graph, (_, y) = device.capture(lambda keep=keep: late(keep))
        graph.launch()
        assert np.isnan(y.get()).all() != keep


# Too little memory


def test_a_graph_without_memory_is_refused_and_frees_nothing_on_the_way(device):
    x = device.asarray(np.ones(5000, np.float32))
    device.free_unused()
    with MEMORY.limited_to(50_000), pytest.raises(MemoryError, match=r"bytes more for the graph: .*out of memory"):
        device.capture(lambda: [x * number for number in range(9)])


@pytest.mark.long
def test_steps_run_op_by_op_where_memory_is_short_for_a_graph(monkeypatch, held):
    def memory(size):
        raise RuntimeError("cudaErrorMemoryAllocation: out of memory")

    said = []
    net, steps = small_net().to("emulated"), GraphedStep(said.append)
    optimizer = optim.SGD(net.parameters(), 0.1)
    steps_of(net, optimizer, steps, 1)
    before = held()
    monkeypatch.setattr(emulator.cuda, "Memory", memory)  # what graphs take theirs from
    steps_of(net, optimizer, steps, 2)
    (line,) = said
    assert "the step can't be captured and runs op by op" in line and "more for the graph" in line
    assert held() == before
