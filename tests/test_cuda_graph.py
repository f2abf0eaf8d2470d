"""CUDA graphs on the emulated GPU, which refuses in a capture what CUDA refuses, and does nothing until a launch."""

import emulator
import numpy as np
import pytest
from cuda_cases import needs_emulator
from places import prepare
from test_device import batch, small_net
from train_runs import QUICK, arrays, records, same, train, without_speed

import minigrad as mg
from minigrad import nn, optim
from minigrad.device import get_device
from minigrad.train import loop
from minigrad.train.gradients import GraphedGradients

prepare("emulated")
pytestmark = needs_emulator
FEW = ("-a", "resnet8", *QUICK, "--image-size", 8, "-b", 2, "--limit-train-batches", 3, "--limit-test-batches", 1)


@pytest.fixture
def device():
    return get_device("emulated")


def on(device, *numbers):
    return device.asarray(np.array(numbers, np.float32))


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


@pytest.mark.parametrize("clip_grad_norm, scaler, waits", [
    (None, None, 2), (1.0, None, 3), (None, mg.GradScaler(), 3), (1.0, mg.GradScaler(), 4),
])  # fmt: skip
def test_a_step_waits_for_the_gpu_once_for_each_number_that_it_needs(clip_grad_norm, scaler, waits, monkeypatch):
    """The loss, how many images were right; the norm, if gradients are clipped; whether they are finite, if scaled.

    And once more before a replay, to look at the classes.
    """
    net, passes, read, item = small_net().to("emulated"), GraphedGradients(pytest.fail), [], emulator.ndarray.item
    optimizer = optim.SGD(net.parameters(), 0.1)
    settings = dict(passes=passes, clip_grad_norm=clip_grad_norm, scaler=scaler)
    monkeypatch.setattr(emulator.ndarray, "item", lambda array: read.append(array) or item(array))
    for step in range(3):
        read.clear()
        loop.train_step(net.train(), optimizer, *batch(4, step), **settings)
    assert len(read) == waits + 1


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


# Steps


class Counted(nn.Sequential):
    """A net that counts the calls of its forward."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x)


def counted(device):
    return Counted(*(layer for _, layer in small_net().named_children())).to(device)


def sgd(params):
    return optim.SGD(params, 0.1, momentum=0.9)


def trained(passes, make=sgd, sizes=(6,) * 6, scaler=None, change=None, **settings):
    """(losses, net) of steps whose learning rate falls and whose dropout masks differ."""
    net = counted("emulated")
    optimizer, losses = make(net.parameters()), []
    for step, n in enumerate(sizes):
        optimizer.param_groups[0]["lr"] *= 0.9
        nn.reseed(net, 5, step)
        if change is not None:
            change(step, net)
        result = loop.train_step(
            net.train(), optimizer, *batch(n, step), passes=passes, scaler=scaler, label_smoothing=0.1, **settings
        )
        losses.append((result.loss, result.correct))
    return losses, net


def assert_same(a, b):
    """Two results of `trained`, bit for bit: losses, weights, running statistics."""
    assert a[0] == b[0]
    host = get_device("cpu").asarray
    same(*({name: host(array) for name, array in net.state_dict().items()} for _, net in (a, b)))


@pytest.mark.parametrize("make", [sgd, lambda p: optim.AdamW(p, 0.02)])
def test_replayed_steps_are_those_that_run_op_by_op(make):
    """Other batches, learning rates, step counts and dropout masks in each step."""
    graphed = trained(GraphedGradients(), make, clip_grad_norm=1.0)
    assert_same(graphed, trained(loop.gradients, make, clip_grad_norm=1.0))
    assert graphed[1].calls == 2, "one call that warms up, one that is captured"


def test_batches_of_another_shape_run_op_by_op_between_replays():
    sizes = (6, 6, 4, 6, 4, 6)
    graphed = trained(GraphedGradients(), sizes=sizes)
    assert_same(graphed, trained(loop.gradients, sizes=sizes))
    assert graphed[1].calls == 4


def test_the_scale_of_the_loss_may_change_between_replays():
    results = []
    for passes in (GraphedGradients(), loop.gradients):
        scaler = mg.GradScaler(init_scale=2.0**8, growth_interval=2)
        results.append(trained(passes, scaler=scaler, low_type="float16"))
        assert scaler.get_scale() == 2.0**11
    assert_same(*results)


def test_weights_that_were_replaced_are_noticed():
    def replaced(step, net):
        if step == 3:
            net[0].weight.data = net[0].weight.data * 2

    graphed = trained(GraphedGradients(), change=replaced)
    assert_same(graphed, trained(loop.gradients, change=replaced))
    assert graphed[1].calls == 3


def test_a_weight_that_was_added_is_noticed():
    def added(step, net):
        if step == 3:
            net[0].bias = nn.Parameter(get_device("emulated").asarray(np.ones(4, np.float32)))

    graphed = trained(GraphedGradients(), change=added)
    assert_same(graphed, trained(loop.gradients, change=added))
    assert graphed[1].calls == 3


@mg.op
def looks_forward(ctx, x):
    """y = x, after a look at it;   dx = dy"""
    x.sum().item()
    return x + 0, lambda dy: (dy,)


@mg.op
def looks_backward(ctx, x):
    """y = x;   dx = dy, after a look at it"""

    def backward(dy):
        dy.sum().item()
        return (dy,)

    return x + 0, backward


@pytest.mark.parametrize("looks", [looks_forward, looks_backward])
def test_what_cannot_be_captured_runs_op_by_op_and_says_so_once(looks):
    class Looking(nn.Module):
        def forward(self, x):
            return looks(x)

    said, results = [], []
    for passes in (GraphedGradients(said.append), loop.gradients):
        rng = np.random.default_rng(0)
        hidden = nn.Linear(36, 5, rng=rng), nn.BatchNorm2d(5), nn.Dropout(0.5), Looking()
        net = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(5, 3, rng=rng)).to("emulated")
        nn.reseed(net, 1)
        optimizer = optim.SGD(net.parameters(), 0.1)
        losses = [loop.train_step(net, optimizer, *batch(4, i), passes=passes).loss for i in range(4)]
        results.append((losses, net))
    assert_same(*results)
    assert said == ["cuda-graph: the step can't be captured and runs op by op: "
                    "reading a number: operation not permitted when stream is capturing"]  # fmt: skip


def test_a_wrong_class_is_refused_before_a_replay():
    net, passes = small_net().to("emulated"), GraphedGradients()
    optimizer = optim.SGD(net.parameters(), 0.1)
    for i in range(3):
        loop.train_step(net, optimizer, *batch(4, i), passes=passes)
    before = net[0].weight.data.get()
    with pytest.raises(ValueError, match="target must hold classes from 0 to 2; found 3"):
        loop.train_step(net, optimizer, batch(4)[0], np.array([0, 3, 1, 1]), passes=passes)
    np.testing.assert_array_equal(net[0].weight.data.get(), before)


def test_a_checkpointed_piece_is_captured_with_its_dropout():
    def losses(passes):
        net = nn.Sequential(nn.Flatten(), nn.Linear(36, 8, rng=np.random.default_rng(0)), nn.Dropout(0.5))
        head = nn.Linear(8, 3, rng=np.random.default_rng(1))

        class Net(nn.Module):
            def __init__(self):
                self.net, self.head = net, head

            def forward(self, x):
                return self.head(mg.checkpoint(self.net, x))

        model = Net().to("emulated")
        optimizer, found = optim.SGD(model.parameters(), 0.1), []
        for step in range(5):
            nn.reseed(model, 3, step)
            found.append(loop.train_step(model, optimizer, *batch(4, step), passes=passes).loss)
        return found

    assert losses(GraphedGradients()) == losses(loop.gradients)


# The command


@pytest.mark.parametrize("amp", ["none", "fp16"])
def test_a_run_is_the_same_bit_for_bit(tmp_path, amp, capsys):
    for name, flags in (("graph", ["--cuda-graph"]), ("plain", [])):
        settings = ("--device", "emulated", "--amp", amp, "--model-ema", 0.5, "--epochs", 1)
        assert train(tmp_path / name, *FEW, *settings, *flags) == 0
    assert "can't be captured" not in capsys.readouterr().out
    same(arrays(tmp_path / "graph"), arrays(tmp_path / "plain"))
    assert without_speed(records(tmp_path / "graph")) == without_speed(records(tmp_path / "plain"))


@pytest.mark.parametrize("arch", ["resnet8", "googlenet_small", "densenet_small"])
def test_the_nets_can_be_captured(arch):
    import architectures

    results = []
    for passes in (GraphedGradients(pytest.fail), loop.gradients):
        net = architectures.create(arch, num_classes=10, image_size=8, in_channels=1).to("emulated")
        optimizer = optim.SGD(net.parameters(), 0.1)
        rng = np.random.default_rng(0)
        images = rng.standard_normal((3, 2, 8, 8, 1), np.float32)
        step = [loop.train_step(net.train(), optimizer, x, np.array([1, 3]), passes=passes).loss for x in images]
        results.append(step)
    assert results[0] == results[1]


def test_it_needs_a_gpu(tmp_path, capsys):
    assert train(tmp_path, "-a", "lenet5", "--cuda-graph") == 2
    assert "cuda_graph needs a GPU" in capsys.readouterr().err
