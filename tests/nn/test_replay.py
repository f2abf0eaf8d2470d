"""A captured evaluation gives the net's own bits, for all inputs of a shape, or says why it can't be replayed."""

import copy
import gc
import itertools
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from op_table import CASES
from small_nets import small_net

import architectures
import minigrad as mg
from kernels import recording
from minigrad import nn
from minigrad.device import CPU, use_kernels
from minigrad.nn import functional as F
from minigrad.replay import Plan


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def images(count=2, seed=0):
    return mg.tensor(numbers(count, 6, 6, 1, seed=seed))


@pytest.fixture
def net():
    return small_net().eval()


def bits(net, x):
    with mg.no_grad():
        return net(x).numpy().tobytes()


def plan_of(captured):
    (plan,) = captured.plans.values()
    return plan


# ---------------------------------------------------------------------------- every op
@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_op_is_replayed_on_other_numbers(case):
    """Recorded with some inputs and launched with others: the bits of the op on those others."""
    for dtype in (np.float32, np.float64):
        tensors, others = ([mg.Tensor(t.data) for t in case.tensors(dtype, seed=seed)] for seed in (0, 1))
        recorded, y = CPU.capture(lambda tensors=tensors: case.run(tensors), [t.data for t in tensors])
        for t, other in zip(tensors, others):
            t.data[...] = other.data
        recorded.launch()
        assert y.data.tobytes() == case.run(others).data.tobytes() and y.dtype == case.run(others).dtype


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_ops_gradients_are_replayed_on_other_numbers(case):
    """Forward and backward pass, recorded with some inputs and gradients and launched with others."""
    for dtype in (np.float32, np.float64):
        tensors, others = (case.tensors(dtype, seed=seed) for seed in (0, 1))
        given = [(y := case.run(tensors)).data, case.run(others).data]
        if y.node is None:
            return
        dy, other_dy = (
            np.random.default_rng(seed).standard_normal(a.shape).astype(a.dtype) for seed, a in enumerate(given)
        )

        def both(tensors=tensors, dy=dy):
            case.run(tensors).backward(dy)
            return [t.grad for t in tensors]

        recorded, grads = CPU.capture(both, [*(t.data for t in tensors), dy])
        for t, other in zip(tensors, others):
            t.data[...] = other.data
        dy[...] = other_dy
        recorded.launch()
        for grad, wanted in zip(grads, both(others, other_dy)):
            assert (grad is None) == (wanted is None)
            assert grad is None or (grad.tobytes() == wanted.tobytes() and grad.dtype == wanted.dtype)


@pytest.mark.parametrize("fn", [
    lambda x: F.avg_pool2d(x, 9, 2), lambda x: F.adaptive_avg_pool2d(x, 1), lambda x: F.relu(x.transpose(1, 2)),
    lambda x: F.conv2d(x.transpose(1, 3), np.ones((4, 3, 3, 12), np.float32)),
    lambda x: F.linear(x.reshape(2, -1), np.ones((3, 12 * 12 * 12), np.float32)),
], ids=["large windows", "global", "turned", "turned image", "two rows"])  # fmt: skip
def test_what_numpy_computes_between_kernels_is_replayed(fn):
    """Conversions, copies of layouts that no kernel takes, sums that are finished."""
    x, other = (mg.Tensor(numbers(2, 12, 12, 12, seed=seed)) for seed in (0, 1))
    recorded, y = CPU.capture(lambda: fn(x), [x.data])
    x.data[...] = other.data
    recorded.launch()
    assert y.data.tobytes() == fn(other).data.tobytes()


@pytest.mark.parametrize("fn", [lambda x: x + x, lambda x: F.relu(x) * F.relu(x * 2) + x], ids=["same", "three"])
def test_gradients_that_meet_are_added_in_each_replay(fn):
    x, dy = mg.tensor(numbers(3, 4), requires_grad=True), numbers(3, 4, seed=1)

    def grad():
        x.grad = None
        fn(x).backward(dy)
        return x.grad

    recorded, got = CPU.capture(grad, [x.data, dy])
    x.data[...], dy[...] = numbers(3, 4, seed=2), numbers(3, 4, seed=3)
    recorded.launch()
    assert got.tobytes() == grad().tobytes()


# ---------------------------------------------------------------------------- every net
LARGE = [
    ("alexnet_owt", 64), ("vgg11", 32), ("vgg11_bn", 32), ("googlenet_torchvision", 64), ("googlenet_bn", 96),
    ("resnet18", 64), ("resnet50", 64), ("densenet121", 64),
]  # fmt: skip
SMALL = [("lenet5", 28), ("resnet20", 32), ("densenet_small", 28)]


@pytest.mark.parametrize("name, size", [*SMALL, *(pytest.param(*row, marks=pytest.mark.long) for row in LARGE)])
@pytest.mark.parametrize("count", [1, 5])
def test_each_architecture_is_replayed_bit_for_bit(name, size, count):
    net = architectures.create(name, 7, size).eval()
    captured, channels = mg.capture(net), net.made.in_channels
    for seed in range(4):
        x = mg.tensor(numbers(count, size, size, channels, seed=seed))
        assert captured(x).numpy().tobytes() == bits(net, x)
    assert isinstance(plan_of(captured), Plan) and captured.why is None


def test_a_replay_calls_no_python_of_the_net(net, monkeypatch):
    captured = mg.capture(net)
    for _ in range(2):
        captured(images())
    monkeypatch.setattr(nn.Conv2d, "forward", lambda *_: pytest.fail("the net was called"))
    captured(images(seed=5))


def test_shapes_that_change_are_captured_anew_and_the_last_ones_are_kept(net):
    captured = mg.capture(net)
    for count, _ in itertools.product((1, 2, 3, 4, 5, 6), range(3)):
        assert captured(images(count)).numpy().tobytes() == bits(net, images(count))
    assert len(captured.plans) == 4 and all(isinstance(plan, Plan) for plan in captured.plans.values())


def test_results_are_the_callers_own(net):
    captured = mg.capture(net)
    first, *_, third = [captured(images(seed=seed)) for seed in range(4)]
    kept = first.numpy().copy(), third.numpy().copy()
    third.data[...] = 0
    captured(images(seed=9))
    assert (first.numpy() == kept[0]).all() and not third.numpy().any() and not third.requires_grad


def test_threads_may_share_a_capture(net):
    captured = mg.capture(net)
    for _ in range(3):
        captured(images())
    given = [images(seed=seed) for seed in range(40)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(captured, given))
    assert [r.numpy().tobytes() for r in results] == [bits(net, x) for x in given]


def test_no_images_and_images_that_lie_otherwise(net):
    captured, turned = mg.capture(net), mg.Tensor(images().data.transpose(0, 2, 1, 3))
    for x in (images(0), turned, images()):
        for _ in range(3):
            assert captured(x).numpy().tobytes() == bits(net, x)
    assert captured.why is None


# ---------------------------------------------------------------------------- weights
def written_by_an_optimizer(net):
    net.train()
    loss = F.cross_entropy(net(images()), np.array([0, 1]))
    loss.backward()
    mg.optim.SGD(net.parameters(), 0.1).step()
    net.eval()


CHANGES = {
    "loaded": lambda net: net.load_state_dict({k: v * 2 for k, v in net.state_dict().items()}),
    "trained": written_by_an_optimizer,
    "another array": lambda net: setattr(net[0].weight, "data", net[0].weight.data + 1),
    "copy_": lambda net: net[0].weight.requires_grad_(False).copy_(net[0].weight.data * 3),
    "a running statistic": lambda net: net[1].running_mean.copy_(net[1].running_mean.data + 1),
    "another module": lambda net: net.__setitem__(6, nn.Linear(36, 3, rng=np.random.default_rng(4)).eval()),
    "a setting": lambda net: setattr(net[1], "eps", 0.5),
    "another activation": lambda net: net.__setitem__(2, nn.LeakyReLU().eval()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_net_that_changed_is_captured_anew(net, change):
    captured, x = mg.capture(net), images()
    for _ in range(3):
        captured(x)
    plan = plan_of(captured)
    change(net)
    for _ in range(3):
        assert captured(x).numpy().tobytes() == bits(net, x)
    assert isinstance(plan_of(captured), Plan) and plan_of(captured) is not plan


def test_numbers_written_past_the_tensor_need_a_reset(net):
    captured, x = mg.capture(net), images()
    for _ in range(3):
        captured(x)
    net[6].weight.data[...] = 0.25
    captured.reset()
    for _ in range(3):
        assert captured(x).numpy().tobytes() == bits(net, x)


# ---------------------------------------------------------------------------- what can't be replayed
class Asks(nn.Module):
    """A net whose forward is given."""

    def __init__(self, forward):
        self.ask, self.layer = forward, nn.Linear(4, 4, rng=np.random.default_rng(0))

    def forward(self, x):
        return self.ask(self.layer(x))


class Flips(nn.Module):
    def __init__(self):
        self.rng = np.random.default_rng(0)

    def forward(self, x):
        return F.dropout(x, 0.5, True, int(self.rng.integers(99)))


def in_place(y):
    y.copy_(y.data + 1)
    return y


REFUSED = {
    "a branch": (Asks(lambda y: y if y.max() > 0 else -y), "reading a tensor's numbers"),
    "numpy": (Asks(lambda y: mg.tensor(y.numpy() * 2)), "reading a tensor's numbers"),
    "in place": (Asks(in_place), "writing into a tensor"),
    "past the ops": (Asks(lambda y: mg.Tensor(y.data * 2)), "other numbers"),
    "random": (nn.Sequential(nn.Linear(4, 4), Flips()).eval(), "other numbers"),
    "training": (nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)).train(), "training mode"),
}


@pytest.mark.parametrize("net, why", REFUSED.values(), ids=REFUSED)
def test_what_cant_be_replayed_runs_as_always_and_says_why_once(net, why):
    captured, x = mg.capture(net if "training" in why else net.eval()), mg.tensor(numbers(3, 4))
    with pytest.warns(UserWarning, match=why):
        results = [captured(x) for _ in range(2)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results += [captured(x) for _ in range(3)]
    assert why in captured.why and all(r.shape == (3, 4) for r in results)
    assert recording.HERE.recording is None


def test_observers_see_the_net_itself(net):
    captured, seen = mg.capture(net), []
    for _ in range(3):
        captured(images())
    handle = net[0].register_forward_hook(lambda *_: seen.append(1))
    with pytest.warns(UserWarning, match="hooks"):
        for _ in range(3):
            captured(images())
    assert len(seen) >= 3
    handle.remove()
    for _ in range(3):
        captured(images())
    assert isinstance(plan_of(captured), Plan)


def test_other_kernels_are_another_capture(net):
    captured, x = mg.capture(net), images()
    for _ in range(3):
        captured(x)
    with use_kernels("reference"):
        for _ in range(3):
            assert captured(x).numpy().tobytes() == bits(net, x)
    assert len(captured.plans) == 2


def test_inputs_that_are_no_tensors_are_refused_by_the_net(net):
    with pytest.warns(UserWarning, match="tensors"):
        assert mg.capture(net)(images().data).shape == (2, 3)


def test_a_user_s_op_with_a_branch_on_its_numbers_is_called_anew():
    @mg.op
    def flipped(ctx, x):
        return (-x if x.max() > 0 else x + 1), lambda dy: (dy,)

    captured = mg.capture(Asks(flipped).eval())
    for sign in (1, 1, 1, -1, 1, -100):
        x = mg.tensor(sign * np.abs(numbers(3, 4)))
        assert captured(x).numpy().tobytes() == bits(captured.net, x)
    assert captured.why is None


def test_a_copy_and_a_pickle_start_without_captures(net):
    captured = mg.capture(net)
    for _ in range(3):
        captured(images())
    again = copy.deepcopy(captured)
    assert not again.plans and again(images()).numpy().tobytes() == captured(images()).numpy().tobytes()


# ---------------------------------------------------------------------------- memory
@pytest.mark.parametrize("size", [1, 3])
def test_a_deep_net_needs_no_more_memory_than_a_shallow_one(size):
    def memory(depth):
        rng = np.random.default_rng(0)
        net = nn.Sequential(*(nn.Conv2d(4, 4, size, padding=size // 2, rng=rng) for _ in range(depth))).eval()
        captured = mg.capture(net)
        for _ in range(3):
            captured(mg.tensor(numbers(1, 8, 8, 4)))
        return plan_of(captured).graph.arena.nbytes()

    assert memory(12) == memory(4)


def test_a_dropped_capture_gives_its_memory_back(net):
    captured = mg.capture(net)
    for _ in range(3):
        captured(images())
    graph = plan_of(captured).graph
    graph.close()
    assert not graph.calls and not graph.arena.chunks
    captured.reset()
    del graph
    gc.collect()
    assert not captured.plans
