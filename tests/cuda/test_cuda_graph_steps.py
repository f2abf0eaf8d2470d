"""Training steps that are replayed as a CUDA graph, on the device: the same bits as op by op."""

import functools

import numpy as np
import pytest
from cuda_cases import DEVICE, needs_device
from places import prepare
from small_nets import batch, small_net
from train_runs import same

import minigrad as mg
from minigrad import nn, optim
from minigrad.device import get_device
from minigrad.train import loop
from minigrad.train import step as one_step
from minigrad.train.graph import GraphedStep

prepare(DEVICE)
pytestmark = [needs_device, pytest.mark.long]


class Counted(nn.Sequential):
    """A net that counts the calls of its forward."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x)


def counted(device):
    return Counted(*(layer for _, layer in small_net().named_children())).to(device)


SMOOTHED = functools.partial(nn.functional.cross_entropy, label_smoothing=0.1)


def sgd(params):
    return optim.SGD(params, 0.1, momentum=0.9)


def trained(steps, make=sgd, sizes=(6,) * 6, scaler=None, change=None, **settings):
    """(losses, net, optimizer) of steps whose learning rate falls and whose dropout masks differ."""
    net = counted(DEVICE)
    optimizer, losses = make(net.parameters()), []
    for number, n in enumerate(sizes):
        for group in optimizer.param_groups:
            group["lr"] *= 0.9
        nn.reseed(net, 5, number)
        images, labels = batch(n, number)
        if change is not None:
            images = images * np.float32(change(number, net, optimizer) or 1)
        settings |= dict(step=steps, scaler=scaler, criterion=SMOOTHED)
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


def mean_of_all_batches(number, net, optimizer):
    """From the first step on, running statistics are the mean over all batches."""
    for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d) and number == 0):
        norm.momentum, norm.num_batches_tracked = None, nn.BatchNorm2d(1, momentum=None).to(DEVICE).num_batches_tracked


def test_running_statistics_that_are_the_mean_of_all_batches():
    """The share of a batch in them is another one in each step."""
    graphed = trained(GraphedStep(pytest.fail), change=mean_of_all_batches)
    assert_same(graphed, trained(loop.op_by_op, change=mean_of_all_batches))
    assert {m.num_batches_tracked.item() for m in graphed[1].modules() if isinstance(m, nn.BatchNorm2d)} == {6}


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
        scaler = NotingScaler(init_scale=2.0**21, growth_interval=3)

        def change(number, net, optimizer, scaler=scaler):
            scaler.current = 2.0**21 if number == 8 else scaler.current
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
        net = counted(DEVICE)
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
        net = nn.Sequential(nn.Flatten(), nn.Linear(1, 2, bias=False)).to(DEVICE)
        net[1].weight.data[...] = get_device(DEVICE).asarray(np.array([[1], [-1]], np.float32))
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
            net[0].bias = nn.Parameter(get_device(DEVICE).asarray(np.ones(4, np.float32)))

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
        net = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(5, 3, rng=rng)).to(DEVICE)
        nn.reseed(net, 1)
        optimizer = optim.SGD(net.parameters(), 0.1)
        losses = [loop.train_step(net, optimizer, *batch(4, i), step=steps).loss for i in range(4)]
        results.append((losses, net, optimizer))
    assert_same(*results)
    assert said == ["cuda-graph: the step can't be captured and runs op by op: "
                    "reading a number: operation not permitted when stream is capturing"]  # fmt: skip


def test_a_wrong_class_is_refused_in_a_replay():
    net, steps = small_net().to(DEVICE), GraphedStep()
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

        model = Net().to(DEVICE)
        optimizer, found = optim.SGD(model.parameters(), 0.1), []
        for step in range(5):
            nn.reseed(model, 3, step)
            found.append(loop.train_step(model, optimizer, *batch(4, step), step=steps).loss)
        return found

    assert losses(GraphedStep()) == losses(loop.op_by_op)
