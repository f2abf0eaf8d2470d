"""CUDA graphs on the emulated GPU, which refuses in a capture what CUDA refuses, and does nothing until a launch."""

import gc

import emulator
import numpy as np
import pytest
from cuda_cases import needs_emulator
from places import prepare
from small_nets import batch, small_net
from train_runs import QUICK, arrays, records, same, train

import minigrad as mg
from minigrad import optim
from minigrad.device import get_device
from minigrad.train import loop
from minigrad.train.graph import GraphedStep

prepare("emulated")
pytestmark = [needs_emulator, pytest.mark.long]
FEW = ("-a", "resnet8", *QUICK, "--image-size", 8, "-b", 2, "--limit-train-batches", 3, "--limit-test-batches", 1)


@pytest.fixture
def device():
    return get_device("emulated")


def on(device, *numbers):
    return device.asarray(np.array(numbers, np.float32))


WAITS_AND_LAUNCHES = [
    (emulator.ndarray, "item"), (emulator.ndarray, "get"), (emulator.cuda.Stream, "synchronize"),
    (emulator.module.Function, "__call__"), (emulator.graph.Graph, "launch"),
]  # fmt: skip

# The emulated capture


def test_a_graph_does_nothing_until_it_is_launched_and_then_all_of_it(device):
    x, y = on(device, 1, 2), on(device, 10, 20)

    def work():
        y[...] = x * 2 + y
        return device.kernels.relu_forward(y - 15)

    graph, z = device.capture(work)
    assert y.get().tolist() == [10, 20] and not (z.get() == z.get()).any(), "poisoned, until it is launched"
    graph.launch()
    assert y.get().tolist() == [12, 24] and z.get().tolist() == [0, 9]
    x[...] = on(device, 5, 5)
    graph.launch()
    assert y.get().tolist() == [22, 34] and z.get().tolist() == [7, 19]


@pytest.mark.parametrize("read", [
    lambda x: x.get(), lambda x: x.sum().item(), lambda x: bool(x.any()), lambda x: float(x.sum()), lambda x: x[x > 1],
    lambda x: get_device("emulated").asarray(np.ones(3)), lambda x: emulator.cuda.get_current_stream().synchronize(),
    lambda x: mg.optim.clip_grad_norm_([tensor_with_grad(x)], 1.0),
])  # fmt: skip
def test_what_needs_the_host_is_refused_in_a_capture(device, read):
    x = on(device, 1, 2)
    with pytest.raises(RuntimeError, match="not permitted when stream is capturing"):
        device.capture(lambda: read(x))
    assert x.get().tolist() == [1, 2] and not device.capturing()


def tensor_with_grad(x):
    t = mg.Tensor(x, requires_grad=True)
    t.grad = x
    return t


def noting_calls(monkeypatch):
    """A list that gets the name of each wait for the GPU, each kernel's launch, and each launch of a graph."""
    calls = []

    def note(owner, name, real):
        monkeypatch.setattr(owner, name, lambda *args, **kwargs: calls.append(name) or real(*args, **kwargs))

    for owner, name in WAITS_AND_LAUNCHES:
        note(owner, name, getattr(owner, name))
    return calls


@pytest.mark.parametrize("clip_grad_norm", [None, 1.0])
@pytest.mark.parametrize("scaled", [False, True])
def test_a_replayed_step_is_one_launch_and_one_wait(clip_grad_norm, scaled, monkeypatch):
    """Op by op the host waits for: the classes, the loss, how many were right; the norm, if gradients are clipped;
    whether they are finite, if scaled."""
    net, steps, calls = small_net().to("emulated"), GraphedStep(pytest.fail), noting_calls(monkeypatch)
    optimizer, scaler = optim.AdamW(net.parameters(), 0.1), mg.GradScaler(enabled=scaled)
    for step in range(4):
        calls.clear()
        loop.train_step(
            net.train(), optimizer, *batch(4, step), step=steps, clip_grad_norm=clip_grad_norm, scaler=scaler
        )
        if step == 0:
            assert calls.count("item") == 3 + scaled + (clip_grad_norm is not None) and "__call__" in calls
        if step > 1:
            assert calls == ["launch", "get"]


def test_what_is_written_before_a_launch_lies_apart_from_the_memory_of_the_graph(device):
    def work():
        rooms = device.empty_apart(2, np.float32), device.xp.empty(2, np.float32)
        return rooms, [room * 1 for room in rooms]

    graph, (rooms, (apart, within)) = device.capture(work)
    for room in rooms:
        room[...] = on(device, 1, 2)
    graph.launch()
    assert apart.get().tolist() == [1, 2] and np.isnan(within.get()).all()


def test_the_emulator_insists_on_a_stream_and_a_pool_of_its_own():
    with pytest.raises(RuntimeError, match="the default stream can't be captured"):
        emulator.cuda.get_current_stream().begin_capture()
    with emulator.cuda.Stream() as stream:
        stream.begin_capture()
        with pytest.raises(RuntimeError, match="memory of the common pool in a graph"):
            emulator.empty((3,))
        stream.end_capture()


# The command


@pytest.mark.parametrize("amp", ["none", "fp16"])
def test_a_run_is_the_same_bit_for_bit(tmp_path, amp, capsys):
    for name, flags in (("graph", ["--cuda-graph"]), ("plain", [])):
        settings = ("--device", "emulated", "--amp", amp, "--model-ema", 0.5, "--epochs", 1)
        assert train(tmp_path / name, *FEW, *settings, *flags) == 0
    assert "can't be captured" not in capsys.readouterr().out
    same(arrays(tmp_path / "graph"), arrays(tmp_path / "plain"))
    assert records(tmp_path / "graph") == records(tmp_path / "plain")


@pytest.mark.parametrize("arch", ["resnet8", "googlenet_small", "densenet_small"])
def test_the_nets_can_be_captured(arch):
    import architectures

    results = []
    for steps in (GraphedStep(pytest.fail), loop.op_by_op):
        net = architectures.create(arch, num_classes=10, image_size=8, in_channels=1).to("emulated")
        optimizer = optim.SGD(net.parameters(), 0.1)
        rng = np.random.default_rng(0)
        images = rng.standard_normal((3, 2, 8, 8, 1), np.float32)
        step = [loop.train_step(net.train(), optimizer, x, np.array([1, 3]), step=steps).loss for x in images]
        results.append(step)
    assert results[0] == results[1]


def test_it_needs_a_gpu(tmp_path, capsys):
    assert train(tmp_path, "-a", "lenet5", "--cuda-graph") == 2
    assert "--cuda-graph needs a GPU" in capsys.readouterr().err


# A net's evaluation


def test_an_evaluation_is_captured_and_gives_the_nets_bits(device):
    net = small_net().to(device).eval()
    captured = mg.capture(net)
    for seed in range(4):
        x = mg.Tensor(device.asarray(batch(seed=seed)[0]))
        with mg.no_grad():
            assert (captured(x).numpy() == net(x).numpy()).all()
    assert captured.why is None and [type(plan).__name__ for plan in captured.plans.values()] == ["Plan"]
    captured.reset()
    gc.collect()
    device.free_unused()
    assert not device._ended
