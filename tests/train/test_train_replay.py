"""The passes of a training step, replayed on the CPU: the same bits, or a reason why not."""

import random

import numpy as np
import pytest
from small_nets import small_net
from train_runs import arrays, records, same, train

import architectures
import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F
from minigrad.optim import SGD, GradScaler
from minigrad.tensor import Tensor
from minigrad.train import replay
from minigrad.train.config import Config
from minigrad.train.replay import ReplayedGradients, step_for
from minigrad.train.step import op_by_op


def batch(number, size, channels, seed=0, soft=False):
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((number, size, size, channels)).astype(np.float32)
    labels = rng.dirichlet(np.ones(3), number).astype(np.float32) if soft else rng.integers(0, 3, number)
    return Tensor(images), Tensor(labels)


def trained(net, batches, *, between=lambda step, net: None, criterion=F.cross_entropy, **settings):
    """(losses, bits of the weights and buffers) after a step for each batch; between: called before each."""
    optimizer, losses = SGD(list(net.parameters()), 0.01, momentum=0.9, weight_decay=1e-3), []
    for step, (images, labels) in enumerate(batches):
        between(step, net)
        nn.reseed(net, 3, step)
        optimizer.param_groups[0]["lr"] = 0.01 / (step + 1)
        result = op_by_op(
            net, optimizer, images, labels, scaler=GradScaler(enabled=False), criterion=criterion, **settings
        )
        losses.append((result.loss, result.correct))
    return losses, [a.tobytes() for a in net.state_dict().values()]


def both(make, batches, **settings):
    """The ReplayedGradients, after training so gave the bits of training op by op."""
    said = []
    replayed = ReplayedGradients(said.append)
    with_it = trained(make(), batches, gradients=replayed, **settings)
    assert with_it == trained(make(), batches, **settings)
    replayed.said = said
    return replayed


def small(size=8, channels=1):
    return [batch(4, size, channels, seed) for seed in range(6)]


NETS = [
    ("lenet5", 28), ("alexnet_small", 28), ("vgg_small_bn", 28), ("googlenet_small", 28), ("resnet20", 28),
    ("densenet_small", 28),
]  # fmt: skip
LARGE = [("resnet18", 64), ("resnet50", 64), ("googlenet_torchvision", 96), ("densenet121", 64), ("vgg11_bn", 32)]
LARGE += [("alexnet_owt", 64), ("alexnet_paper", 67), ("inception_v4", 96), ("densenet_bc_100_12", 32)]


@pytest.mark.parametrize("name, size", [*NETS, *(pytest.param(*row, marks=pytest.mark.long) for row in LARGE)])
def test_each_architecture_trains_to_the_same_bits(name, size):
    channels = 1 if size == 28 else 3

    def make():
        mg.manual_seed(5)
        return architectures.create(name, 3, size, in_channels=channels).train()

    replayed = both(make, [batch(3, size, channels, seed) for seed in range(5)])
    assert replayed.plan is not None and not replayed.said


def test_from_the_third_step_on_no_python_of_the_net_runs(monkeypatch):
    calls = []
    monkeypatch.setattr(replay, "gradients", lambda *args, **settings: calls.append(1) or real(*args, **settings))
    real = __import__("minigrad.train.gradients", fromlist=["gradients"]).gradients
    trained(small_net(), small(6), gradients=ReplayedGradients())
    assert len(calls) == 3, "op by op twice, and the capture"


def noisy():
    rng = np.random.default_rng(1)
    layers = (
        nn.Conv2d(1, 4, 3, rng=rng),
        nn.BatchNorm2d(4, momentum=None),
        nn.ReLU(),
        nn.Dropout(0.4),
        nn.Dropout2d(0.3),
    )
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(144, 3, rng=rng))


def test_dropout_draws_anew_and_running_means_are_those_of_all_batches():
    replayed = both(noisy, small())
    assert replayed.plan is not None, replayed.said


def test_soft_labels_weights_of_classes_and_a_last_batch_that_is_smaller():
    batches = [batch(4 if seed % 4 else 3, 6, 1, seed, soft=True) for seed in range(1, 10)]

    def criterion(outputs, labels):
        return F.cross_entropy(outputs, labels, weight=np.array([1, 2, 3], np.float32), label_smoothing=0.1)

    assert both(small_net, batches, criterion=criterion).plan is not None


def test_frozen_weights_and_later_thawed_ones():
    def between(step, net):
        for p in list(net.parameters())[:2]:
            p.requires_grad_(step >= 5)

    batches = [batch(4, 6, 1, seed) for seed in range(9)]
    replayed = both(small_net, batches, between=between)
    assert replayed.plan is not None and replayed.tries == 2


def test_clipping_and_statistics_of_a_norm_that_is_not_trained():
    def between(step, net):
        next(m for m in net.modules() if isinstance(m, nn.BatchNorm2d)).eval()

    assert both(small_net, small(6), between=between, clip_grad_norm=0.1).plan is not None


def test_gradients_that_are_added_up_are_those_of_all_parts():
    both(small_net, small(6), portions=2)


def test_a_hook_sees_each_step_and_then_it_goes_on():
    seen = []

    def between(step, net):
        if step == 3:
            between.handle = net.register_forward_hook(lambda *_: seen.append(step))
        if step == 5:
            between.handle.remove()

    replayed = both(small_net, [batch(4, 6, 1, seed) for seed in range(8)], between=between)
    assert replayed.plan is not None and len(seen) == 4


def test_another_net_is_not_taken_for_the_first_and_losses_are_the_callers_own():
    gradients, (x, labels) = ReplayedGradients(), batch(4, 6, 1)
    first, second = small_net().train(), small_net().train()
    second.load_state_dict({name: a * 2 for name, a in second.state_dict().items()})
    losses = []
    for net in (first, first, first, first, second, second, second):
        nn.reseed(net, 1)
        losses.append(gradients(net, x, labels)[0])
        net.zero_grad()
    nn.reseed(second, 1)
    wanted = F.cross_entropy(second(x), labels).item()
    assert [loss.item() for loss in losses[4:]] == [wanted] * 3 != [loss.item() for loss in losses[:3]]


def test_an_evaluation_that_is_captured_sees_statistics_that_a_replay_moved():
    net, (x, labels) = small_net(), batch(4, 6, 1)
    gradients, fast = ReplayedGradients(), mg.capture(net)
    for _ in range(5):
        gradients(net.train(), x, labels)
        net.zero_grad()
        with mg.no_grad():
            wanted = net.eval()(x).numpy().tobytes()
        assert [fast(x).numpy().tobytes() for _ in range(3)] == [wanted] * 3
    assert gradients.plan is not None


# ---------------------------------------------------------------------------- what can't be replayed
class Odd(nn.Module):
    """A net whose forward does something besides ops."""

    def __init__(self, odd):
        self.fc, self.odd, self.rng = nn.Linear(36, 3, rng=np.random.default_rng(0)), odd, np.random.default_rng(3)
        self.calls = []

    def forward(self, x):
        self.calls.append(1)
        return self.odd(self, self.fc(x.reshape(len(x), -1)))


@pytest.mark.parametrize("odd, why", [
    (lambda net, y: y * random.random(), "draws random numbers"),
    (lambda net, y: y * np.random.rand(), "draws random numbers"),
    (lambda net, y: y * float(net.rng.random()), "draws random numbers"),
    (lambda net, y: y + mg.rand(len(y), 3), "draws random numbers"),
    (lambda net, y: y if float(y.detach().max()) > 0 else y * 2, "reading a tensor's numbers is not possible"),
    (lambda net, y: y * len(net.calls), "gives other numbers"),
    (lambda net, y: y + Tensor(y.data * 0.5), "gives other numbers"),
], ids=["random", "numpy", "own generator", "minigrad", "item", "counter", "array"])  # fmt: skip
def test_a_net_that_can_not_be_replayed_runs_op_by_op_and_says_why(odd, why):
    random.seed(1)
    np.random.seed(1)
    mg.manual_seed(1)
    said = []
    gradients = ReplayedGradients(said.append)
    trained(Odd(odd), small(6), gradients=gradients)
    assert gradients.off and len(said) == 1 and said[0].startswith("replay: steps run op by op: ") and why in said[0]


def test_after_a_capture_that_failed_the_step_is_the_one_op_by_op():
    assert both(lambda: Odd(lambda net, y: y + Tensor(y.data * 0.5)), small(6)).off


def test_a_net_that_changes_at_each_step_is_let_alone():
    def between(step, net):
        net.number = step

    replayed = both(small_net, [batch(4, 6, 1, seed) for seed in range(9)], between=between)
    assert replayed.off and replayed.said == ["replay: steps run op by op: the net changes from step to step"]


def test_which_runs_are_replayed_without_a_word():
    own, criterion = architectures.create("lenet5", 10, 28), __import__("functools").partial(F.cross_entropy)
    assert step_for(Config(), own, criterion) is not op_by_op
    assert step_for(Config(replay=False), own, criterion) is op_by_op
    for config in (Config(device="cuda"), Config(detect_anomaly=True), Config(grad_accum=2)):
        assert step_for(config, own, criterion) is op_by_op
    for net, loss in ((Odd(None), criterion), (own, lambda y, t: y.sum()), (own, nn.CrossEntropyLoss())):
        assert step_for(Config(), net, loss) is op_by_op
        assert step_for(Config(replay=True), net, loss) is not op_by_op


# ---------------------------------------------------------------------------- the command
FEW = ("-a", "resnet20", "-b", "16", "--epochs", "2", "--limit-train-batches", "5", "--limit-test-batches", "2")


def test_a_run_is_the_same_with_and_without(tmp_path):
    for name, flags in (("with", ["--replay"]), ("without", ["--no-replay"])):
        assert train(tmp_path / name, *FEW, "--model-ema", "0.9", "--mixup-alpha", "0.2", *flags) == 0
    same(arrays(tmp_path / "with"), arrays(tmp_path / "without"))
    assert records(tmp_path / "with") == records(tmp_path / "without")


@pytest.mark.parametrize("flags, why", [
    (["--device", "cuda"], "on a GPU it is --cuda-graph"), (["--kernels", "reference"], "replays compiled kernels"),
    (["--grad-accum", "2"], "adds up several"), (["--detect-anomaly"], "runs no op by itself"),
])  # fmt: skip
def test_what_it_can_not_be_together_with(flags, why, tmp_path, capsys):
    assert train(tmp_path / "run", "--replay", *flags) == 2
    assert why in capsys.readouterr().err
