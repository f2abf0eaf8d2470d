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
from minigrad.train import step as one_step
from minigrad.train.graph import GraphedStep

prepare("emulated")
pytestmark = needs_emulator
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


def trained(steps, make=sgd, sizes=(6,) * 6, scaler=None, change=None, **settings):
    """(losses, net, optimizer) of steps whose learning rate falls and whose dropout masks differ."""
    net = counted("emulated")
    optimizer, losses = make(net.parameters()), []
    for number, n in enumerate(sizes):
        for group in optimizer.param_groups:
            group["lr"] *= 0.9
        nn.reseed(net, 5, number)
        images, labels = batch(n, number)
        if change is not None:
            images = images * np.float32(change(number, net, optimizer) or 1)
        settings |= dict(step=steps, scaler=scaler, label_smoothing=0.1)
        result = loop.train_step(net.train(), optimizer, images, labels, **settings)
        losses.append((repr(result.loss), result.correct))
    return losses, net, optimizer


def assert_same(a, b):
    """Two results of `trained`, bit for bit: losses, weights, running statistics, the optimizer's arrays and counts."""
    assert a[0] == b[0]
    host = get_device("cpu").asarray
    same(*({name: host(array) for name, array in net.state_dict().items()} for _, net, _ in (a, b)))
    same(*(optimizer.state_dict()["state"] for _, _, optimizer in (a, b)))


def in_groups(params):
    """AdamW with weight decay, and without it for vectors."""
    params = list(params)
    vectors, others = ([p for p in params if (p.ndim == 1) == flat] for flat in (True, False))
    return optim.AdamW([{"params": others}, {"params": vectors, "weight_decay": 0.0}], 0.02)


OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, 0.1, weight_decay=0.01),
    "momentum": sgd,
    "nesterov": lambda p: optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    "dampened": lambda p: optim.SGD(p, 0.1, momentum=0.9, dampening=0.5),
    "adam": lambda p: optim.Adam(p, 0.02, weight_decay=0.01),
    "adamw": lambda p: optim.AdamW(p, 0.02),
    "groups": in_groups,
}
CLIP = 4.0  # some of the norms are greater


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("clip_grad_norm", [None, CLIP])
def test_replayed_steps_are_those_that_run_op_by_op(name, clip_grad_norm):
    """Other batches, learning rates, step counts and dropout masks in each step."""
    make, settings = OPTIMIZERS[name], dict(clip_grad_norm=clip_grad_norm)
    graphed = trained(GraphedStep(pytest.fail), make, **settings)
    assert_same(graphed, trained(loop.op_by_op, make, **settings))
    assert graphed[1].calls == 2, "one call that warms up, one that is captured"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_some_of_these_gradients_are_clipped_and_some_are_not(name, monkeypatch):
    norms, real = [], one_step.clip_grad_norm_
    monkeypatch.setattr(one_step, "clip_grad_norm_", lambda *args: norms.append(real(*args)))
    trained(loop.op_by_op, OPTIMIZERS[name], clip_grad_norm=CLIP)
    assert min(norms[1:]) < CLIP < max(norms[1:]), "of those that are replayed"


class NotingScaler(mg.GradScaler):
    """Notes of each step whether it was made."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.made = []

    def update(self):
        self.made.append(self.finite)
        super().update()


@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
@pytest.mark.parametrize("name", ["nesterov", "adamw"])
@pytest.mark.parametrize("clip_grad_norm", [None, CLIP])
def test_steps_that_overflow_are_skipped_in_a_replay(name, clip_grad_norm):
    """Some at the start, later one whose gradients overflow, and one whose loss does."""
    results, scalers = [], []
    for steps in (GraphedStep(pytest.fail), loop.op_by_op):
        scaler = NotingScaler(init_scale=2.0**18, growth_interval=3)

        def change(number, net, optimizer, scaler=scaler):
            scaler.current = 2.0**18 if number == 8 else scaler.current
            return 1e6 if number == 13 else 1

        settings = dict(scaler=scaler, low_type="float16", clip_grad_norm=clip_grad_norm)
        results.append(trained(steps, OPTIMIZERS[name], (6,) * 16, change=change, **settings))
        scalers.append(scaler)
    assert_same(*results)
    graphed, plain = scalers
    assert graphed.made == plain.made and graphed.state_dict() == plain.state_dict()
    made, (losses, net, optimizer) = graphed.made, results[0]
    assert not (made[0] or made[8] or made[13]) and losses[13][0] == "nan"
    assert sum(made[:8]) > 2 and net.calls == made.index(True) + 2, "all after the first that is made are replayed"
    if name == "adamw":
        assert [own["step"] for own in optimizer.state] == [sum(made)] * len(optimizer.params)


@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
@pytest.mark.parametrize("scaler", [None, mg.GradScaler(init_scale=1.0)])
def test_a_loss_that_is_not_finite_changes_no_weight_in_a_replay(scaler):
    results = []
    for steps in (GraphedStep(pytest.fail), loop.op_by_op):
        net = counted("emulated")
        optimizer, losses = optim.AdamW(net.parameters(), 0.02), []
        for number in range(5):
            nn.reseed(net, 5, number)
            images, labels = batch(6, number)
            if number == 3:
                with pytest.raises(FloatingPointError, match="the loss is nan"):
                    loop.train_step(net, optimizer, images * np.float32(np.inf), labels, step=steps, scaler=scaler)
                assert all(p.grad is None for p in net.parameters())
            else:
                losses.append(loop.train_step(net, optimizer, images, labels, step=steps, scaler=scaler).loss)
        results.append((losses, net, optimizer))
        assert optimizer.state[0]["step"] == 4
    assert_same(*results)


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("scaler", [None, mg.GradScaler(init_scale=1.0)])
def test_an_infinite_loss_is_refused_in_a_replay_though_the_gradients_are_finite(scaler):
    """Logits 3e38 and -3e38: their difference overflows, the gradients don't."""
    results = []
    for steps in (GraphedStep(pytest.fail), loop.op_by_op):
        net = nn.Sequential(nn.Flatten(), nn.Linear(1, 2, bias=False)).to("emulated")
        net[1].weight.data[...] = on(get_device("emulated"), 1, -1).reshape(2, 1)
        optimizer, image, label = optim.SGD(net.parameters(), 1e-3), np.ones((1, 1, 1, 1), np.float32), np.array([1])
        losses = [loop.train_step(net, optimizer, image, label, step=steps, scaler=scaler).loss for _ in range(3)]
        with pytest.raises(FloatingPointError, match="the loss is inf"):
            loop.train_step(net, optimizer, image * np.float32(3e38), label, step=steps, scaler=scaler)
        results.append((losses, net, optimizer))
    assert_same(*results)


def test_batches_of_another_shape_run_op_by_op_between_replays():
    sizes = (6, 6, 4, 6, 4, 6)
    graphed = trained(GraphedStep(), sizes=sizes)
    assert_same(graphed, trained(loop.op_by_op, sizes=sizes))
    assert graphed[1].calls == 4


def test_the_scale_of_the_loss_may_change_between_replays():
    results = []
    for steps in (GraphedStep(), loop.op_by_op):
        scaler = mg.GradScaler(init_scale=2.0**8, growth_interval=2)
        results.append(trained(steps, scaler=scaler, low_type="float16"))
        assert scaler.get_scale() == 2.0**11
    assert_same(*results)


def test_weights_that_were_replaced_are_noticed():
    def replaced(number, net, optimizer):
        if number == 3:
            net[0].weight.data = net[0].weight.data * 2

    graphed = trained(GraphedStep(pytest.fail), change=replaced)
    assert_same(graphed, trained(loop.op_by_op, change=replaced))
    assert graphed[1].calls == 4, "op by op, and captured again"


def reset(optimizer):
    optimizer.state = [{} for _ in optimizer.params]


@pytest.mark.parametrize("change", [
    lambda optimizer: optimizer.load_state_dict(optimizer.state_dict()),
    lambda optimizer: optimizer.param_groups[0].update(nesterov=True),
    reset,
])  # fmt: skip
def test_an_optimizer_that_changed_is_noticed(change):
    def changed(number, net, optimizer):
        if number == 3:
            change(optimizer)

    graphed = trained(GraphedStep(pytest.fail), change=changed)
    assert_same(graphed, trained(loop.op_by_op, change=changed))
    assert graphed[1].calls == 4


class Plain(optim.Optimizer):
    """An optimizer whose steps the kernels don't know."""

    def update(self, ws, dws, states, group):
        for w, dw in zip(ws, dws):
            w -= group["lr"] * dw


def test_other_optimizers_run_op_by_op():
    said = []
    graphed = trained(GraphedStep(said.append), lambda p: Plain(p, lr=0.1))
    assert_same(graphed, trained(loop.op_by_op, lambda p: Plain(p, lr=0.1)))
    (line,) = said
    assert "can't be captured and runs op by op: the optimizer's step is none that the kernels make" in line


def test_a_weight_that_was_added_is_noticed():
    def added(number, net, optimizer):
        if number == 3:
            net[0].bias = nn.Parameter(get_device("emulated").asarray(np.ones(4, np.float32)))

    graphed, plain = trained(GraphedStep(pytest.fail), change=added), trained(loop.op_by_op, change=added)
    assert_same(graphed, plain)
    assert graphed[1].calls == 4
    sums = [net[0].bias.grad.get() for _, net, _ in (graphed, plain)]
    np.testing.assert_array_equal(*sums, "the optimizer, which doesn't know it, leaves its gradients to be added up")


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
    for steps in (GraphedStep(said.append), loop.op_by_op):
        rng = np.random.default_rng(0)
        hidden = nn.Linear(36, 5, rng=rng), nn.BatchNorm2d(5), nn.Dropout(0.5), Looking()
        net = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(5, 3, rng=rng)).to("emulated")
        nn.reseed(net, 1)
        optimizer = optim.SGD(net.parameters(), 0.1)
        losses = [loop.train_step(net, optimizer, *batch(4, i), step=steps).loss for i in range(4)]
        results.append((losses, net, optimizer))
    assert_same(*results)
    assert said == ["cuda-graph: the step can't be captured and runs op by op: "
                    "reading a number: operation not permitted when stream is capturing"]  # fmt: skip


def test_a_wrong_class_is_refused_in_a_replay():
    net, steps = small_net().to("emulated"), GraphedStep()
    optimizer = optim.SGD(net.parameters(), 0.1)
    for i in range(3):
        loop.train_step(net, optimizer, *batch(4, i), step=steps)
    before = net[0].weight.data.get()
    with pytest.raises(ValueError, match="target must hold classes from 0 to 2; found 3"):
        loop.train_step(net, optimizer, batch(4)[0], np.array([0, 3, 1, 1]), step=steps)
    np.testing.assert_array_equal(net[0].weight.data.get(), before)


def test_a_checkpointed_piece_is_captured_with_its_dropout():
    def losses(steps):
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
            found.append(loop.train_step(model, optimizer, *batch(4, step), step=steps).loss)
        return found

    assert losses(GraphedStep()) == losses(loop.op_by_op)


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
    assert "cuda_graph needs a GPU" in capsys.readouterr().err
