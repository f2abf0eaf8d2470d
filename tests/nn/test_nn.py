"""Modules and layers."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F

pytestmark = pytest.mark.usefixtures("reference_kernels")


def images(shape=(2, 6, 6, 4), seed=0, requires_grad=False):
    return mg.tensor(np.random.default_rng(seed).standard_normal(shape, np.float32), requires_grad=requires_grad)


class Net(nn.Module):
    """A parameter of its own, a shared layer, a list, and attributes that are no state."""

    def __init__(self):
        self.scale = nn.Parameter(np.ones(1, np.float32))
        self.first = nn.Linear(3, 3)
        self.again = self.first
        self.rest = nn.ModuleList([nn.Linear(3, 2, bias=False), nn.BatchNorm2d(2)])
        self.history, self.settings = [], {"a": 1}

    def forward(self, x):
        return self.rest[0](self.again(self.first(x))) * self.scale


# The tree


def test_names_follow_the_attributes_in_order():
    net = Net()
    assert [n for n, _ in net.named_children()] == ["first", "rest"]  # what is there twice counts once, as in torch
    assert [n for n, _ in net.named_modules()] == ["", "first", "rest", "rest.0", "rest.1"]
    assert [n for n, _ in net.named_parameters()] == [
        "scale", "first.weight", "first.bias", "rest.0.weight", "rest.1.weight", "rest.1.bias",
    ]  # fmt: skip
    assert [n for n, _ in net.named_buffers()] == ["rest.1.running_mean", "rest.1.running_var"]


def test_a_shared_layer_gets_both_gradients():
    net, x = Net(), images((5, 3))
    net(x).sum().backward()
    w, b, v = net.first.weight.data, net.first.bias.data, net.rest[0].weight.data.sum(0)
    hidden = x.data @ w.T + b
    expected = np.outer(v, hidden.sum(0)) + np.outer(w.T @ v, x.data.sum(0))
    np.testing.assert_allclose(net.first.weight.grad, expected, rtol=1e-4, atol=1e-5)
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_replacing_a_module_replaces_its_parameters():
    net = Net()
    net.first = nn.Identity()
    net.again = nn.Identity()
    assert [n for n, _ in net.named_parameters()][:2] == ["scale", "rest.0.weight"]


def test_modes_reach_everything_below():
    net = Net()
    assert net.training and net.eval() is net
    assert not any(m.training for m in net.modules())
    assert all(m.training for m in net.train().modules())


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="ModuleList defines no forward"):
        nn.ModuleList()(1)


# State


def test_state_goes_from_one_net_to_another():
    one, other = Net(), Net()
    one.rest[1].running_mean.data += 3
    assert other.load_state_dict(one.state_dict()) == ([], [])
    for name, array in one.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], array)
        assert not np.shares_memory(other.state_dict()[name], array)


def test_a_state_may_hold_tensors_and_another_type():
    net = nn.Linear(2, 2)
    net.load_state_dict({"weight": mg.tensor(np.full((2, 2), 7.0)), "bias": np.array([1, 2])})
    assert net.weight.dtype == np.float32
    np.testing.assert_array_equal(net.weight.data, np.full((2, 2), 7))
    np.testing.assert_array_equal(net.bias.data, [1, 2])


def test_a_state_that_does_not_fit_is_refused_with_all_its_faults_and_changes_nothing():
    net = Net()
    before = {n: a.copy() for n, a in net.state_dict().items()}
    state = {n: a + 1 for n, a in before.items()}
    del state["scale"], state["rest.1.running_var"]
    state |= {"extra": np.ones(1), "first.weight": np.ones((4, 3)), "rest.1.bias": np.ones(())}
    with pytest.raises(ValueError) as error:
        net.load_state_dict(state)
    for part in (
        "does not fit Net\nmissing (2):\n  scale\n  rest.1.running_var\nunexpected (1):\n  extra\nshapes (2):\n",
        "\n  first.weight: (4, 3) in the file, (3, 3) in the model\n", "rest.1.bias: () in the file",
    ):  # fmt: skip
        assert part in str(error.value)
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_not_strict_loads_what_is_there_but_never_another_shape():
    net = nn.Linear(2, 2)
    missing, unexpected = net.load_state_dict({"bias": np.array([5, 6]), "more": np.ones(1)}, strict=False)
    assert (missing, unexpected) == (["weight"], ["more"])
    np.testing.assert_array_equal(net.bias.data, [5, 6])
    with pytest.raises(ValueError, match=r"shapes \(1\):\n  bias: \(3,\)"):
        net.load_state_dict({"bias": np.ones(3)}, strict=False)


def test_loading_is_writing_in_place():
    net = nn.Linear(2, 2)
    loss = net(images((1, 2), requires_grad=True)).sum()
    net.load_state_dict(net.state_dict())
    with pytest.raises(RuntimeError, match=r"linear saved w .* written in place"):
        loss.backward()


# Containers


def test_sequential_by_number_and_by_name():
    layers = nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)
    net, named = nn.Sequential(*layers), nn.Sequential({"a": layers[0], "b": layers[1]})
    assert len(net) == 3 and net[-1] is layers[2] and list(net) == list(layers)
    assert [n for n, _ in named.named_parameters()] == ["a.weight", "a.bias"] and named.b is layers[1]
    x = images((2, 3))
    np.testing.assert_array_equal(net[:2](x).data, named(x).data)
    assert named.append(layers[2]) is named
    np.testing.assert_array_equal(named(x).data, net(x).data)


def test_module_list():
    layers = nn.ModuleList([nn.Linear(1, 1)])
    layers.append(nn.Linear(1, 2))
    assert len(layers) == 2 and layers[-1].out_features == 2 and [n for n, _ in layers.named_children()] == ["0", "1"]


def one_by_one(layers, x):
    for layer in layers:
        x = layer(x)
    return x


FUSED = {
    "conv": lambda rng: [nn.Conv2d(4, 5, 3, rng=rng), nn.ReLU(), nn.MaxPool2d(2), nn.ReLU()],
    "batch norm": lambda rng: [nn.BatchNorm2d(4), nn.ReLU(), nn.ReLU(), nn.Conv2d(4, 2, 1, rng=rng)],
    "linear": lambda rng: [nn.Linear(4, 5, rng=rng), nn.ReLU(), nn.Dropout(0.3), nn.ReLU()],
}


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("make", FUSED.values(), ids=FUSED)
def test_sequential_with_fused_relu_equals_the_layers_one_by_one(make, training):
    results = []
    for run in (lambda net, x: net(x), one_by_one):
        net, x = nn.Sequential(*make(np.random.default_rng(0))).train(training), images(requires_grad=True)
        nn.reseed(net, 1)
        y = run(net, x)
        (y * y).sum().backward()
        results.append([y.data, x.grad, *(p.grad for p in net.parameters()), *(b.data for b in net.buffers())])
    for fused, plain in zip(*results, strict=True):
        np.testing.assert_allclose(fused, plain, rtol=1e-5, atol=1e-6)


def test_sequential_does_fuse():
    assert nn.Sequential(nn.Conv2d(4, 5, 3), nn.ReLU())(images()).node.name == "conv2d_relu"


# Layers

OUTPUTS = [
    (nn.Conv2d(4, 6, 3, stride=2, padding=1), (2, 3, 3, 6)),
    (nn.Conv2d(4, 6, (1, 3), dilation=2, groups=2, bias=False), (2, 6, 2, 6)),
    (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1), (2, 12, 12, 6)),
    (nn.Linear(4, 7), (2, 6, 6, 7)),
    (nn.BatchNorm2d(4), (2, 6, 6, 4)),
    (nn.LocalResponseNorm(3), (2, 6, 6, 4)),
    (nn.MaxPool2d(3, 2, 1), (2, 3, 3, 4)),
    (nn.MaxPool2d(4), (2, 1, 1, 4)),
    (nn.MaxPool2d(4, ceil_mode=True), (2, 2, 2, 4)),
    (nn.AvgPool2d(2), (2, 3, 3, 4)),
    (nn.AdaptiveAvgPool2d((2, 3)), (2, 2, 3, 4)),
    (nn.ReLU(inplace=True), (2, 6, 6, 4)),
    (nn.LeakyReLU(0.1), (2, 6, 6, 4)),
    (nn.Sigmoid(), (2, 6, 6, 4)),
    (nn.Tanh(), (2, 6, 6, 4)),
    (nn.Dropout(), (2, 6, 6, 4)),
    (nn.Flatten(), (2, 144)),
    (nn.Identity(3, name="any"), (2, 6, 6, 4)),
    (nn.Unflatten(-1, (2, -1)), (2, 6, 6, 2, 2)),
    (nn.Unflatten(1, [3, 2]), (2, 3, 2, 6, 4)),
    (nn.Conv2d(np.int64(4), np.int32(6), np.int64(3), padding=(np.int8(1), 1)), (2, 6, 6, 6)),
    (nn.Linear(np.prod((2, 2)), np.int16(7)), (2, 6, 6, 7)),
    (nn.MaxPool2d(np.int64(2)), (2, 3, 3, 4)),
]


@pytest.mark.parametrize("layer, shape", OUTPUTS, ids=lambda v: type(v).__name__ if isinstance(v, nn.Module) else "")
def test_each_layer_runs_forward_and_backward(layer, shape):
    x = images(requires_grad=True)
    y = layer(x)
    assert y.shape == shape and y.dtype == np.float32
    if y is not x:
        y.backward(np.ones(shape, np.float32))
        assert x.grad.shape == x.shape
    assert all(p.grad.shape == p.shape and p.grad.any() for p in layer.parameters())


def test_batch_norm_follows_the_mode():
    layer, x = nn.BatchNorm2d(4, momentum=0.25), images()
    flat = x.data.reshape(-1, 4)
    np.testing.assert_allclose(layer(x).data.mean((0, 1, 2)), np.zeros(4), atol=1e-6)
    np.testing.assert_allclose(layer.running_mean.data, 0.25 * flat.mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.running_var.data, 0.75 + 0.25 * flat.var(0, ddof=1), rtol=1e-5)
    mean, var = layer.running_mean.data.copy(), layer.running_var.data.copy()
    y = layer.eval()(x)
    np.testing.assert_allclose(y.data, (x.data - mean) / np.sqrt(var + 1e-5), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(layer.running_mean.data, mean)


def test_cross_entropy_loss_is_the_function_with_its_settings():
    x, target = images((4, 3)), np.array([0, 2, -1, 1])
    settings = dict(weight=np.array([1, 2, 3], np.float32), ignore_index=-1, label_smoothing=0.1)
    expected = F.cross_entropy(x, target, **settings).item()
    assert (
        nn.CrossEntropyLoss(**settings)(x, target).item()
        == expected
        != nn.CrossEntropyLoss(ignore_index=-1)(x, target).item()
    )


@pytest.mark.parametrize("fn", [F.softmax, F.log_softmax])
def test_softmax_is_over_any_axis_that_there_is(fn):
    np.testing.assert_array_equal(fn(images(), dim=3).data, fn(images()).data)
    total = fn(images(), 1).data if fn is F.softmax else np.exp(fn(images(), 1).data)
    np.testing.assert_allclose(total.sum(1), 1, rtol=1e-6)
    with pytest.raises(ValueError, match=rf"{fn.__name__}: dim must be an axis of x \(2, 6, 6, 4\), .* got 4"):
        fn(images(), dim=4)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: nn.Conv2d(0, 4, 3), "Conv2d: in_channels must be an int >= 1; got 0"),
        (lambda: nn.Conv2d(4, 2.5, 3), "Conv2d: out_channels must be an int >= 1; got 2.5"),
        (lambda: nn.Conv2d(4, 6, 3, groups=4), "Conv2d: groups 4 must divide 4 and 6 channels"),
        (lambda: nn.Conv2d(4, 6, 0), "Conv2d: kernel_size must be an int >= 1 or a pair of them; got 0"),
        (lambda: nn.Conv2d(4, 6, 3, padding=-1), "Conv2d: padding must be an int >= 0"),
        (lambda: nn.ConvTranspose2d(4, 6, 3, groups=5), "ConvTranspose2d: groups 5 must divide"),
        (lambda: nn.Linear(3, 0), "Linear: out_features must be an int >= 1; got 0"),
        (lambda: nn.BatchNorm2d(-3), "BatchNorm2d: num_features must be an int >= 1; got -3"),
        (lambda: nn.Linear(True, 2), "Linear: in_features must be an int >= 1; got True"),
        (lambda: nn.Linear(np.float64(3), 2), "Linear: in_features must be an int >= 1; got np.float64(3.0)"),
        (lambda: nn.Conv2d(4, 6, 3, groups=True), "Conv2d: groups must be an int >= 1; got True"),
        (lambda: nn.MaxPool2d(0), "MaxPool2d: kernel_size must be an int >= 1 or a pair of them; got 0"),
        (lambda: nn.AvgPool2d(2, stride=0.5), "AvgPool2d: stride must be an int >= 1"),
        (lambda: nn.ConvTranspose2d(4, 6, 3, stride=0), "ConvTranspose2d: stride must be an int >= 1"),
        (lambda: nn.Unflatten(1, (-1, -1)), "Unflatten: unflattened_size: lengths must be ints >= 1, one of them may"),
        (lambda: nn.Unflatten(1, (4, 2))(images()), "Unflatten: axis 1 of x (2, 6, 6, 4) cannot be (4, 2)"),
        (lambda: nn.Unflatten(4, (4, 2))(images()), "Unflatten: dim 4 is no axis of x (2, 6, 6, 4)"),
        (lambda: nn.Dropout(1.5), "Dropout: p must be a probability from 0 to 1; got 1.5"),
        (lambda: nn.Conv2d(3, 4, 3)(images()), "conv2d: x has 4 channels in its last axis but w expects 3"),
        (lambda: nn.BatchNorm2d(3)(images()), "gamma must have shape (4,)"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError) as error:
        make()
    assert message in str(error.value)


# Dropout


def test_dropout_keeps_the_mean_and_the_share():
    y = nn.Dropout(0.3)(mg.tensor(np.ones(100_000))).data
    assert abs((y == 0).mean() - 0.3) < 0.01
    np.testing.assert_allclose(y[y != 0], 1 / 0.7, rtol=1e-6)


def test_dropout_does_nothing_in_evaluation_or_with_p_0():
    x = images()
    assert nn.Dropout(0.5).eval()(x) is x
    assert nn.Dropout(0.0)(x) is x


def test_each_call_and_each_layer_drops_others():
    one, other, x = nn.Dropout(), nn.Dropout(), mg.tensor(np.ones(1000))
    first, second, third = one(x).data, one(x).data, other(x).data
    assert (first != second).any() and (first != third).any()


def test_reseed_makes_the_same_masks_again():
    net, x = nn.Sequential(nn.Dropout(), nn.Dropout()), mg.tensor(np.ones(1000))

    def masks(*key):
        nn.reseed(net, *key)
        return [net[0](x).data, net[1](x).data, net[0](x).data]

    first = masks(3, 10)
    for a, b in zip(first, masks(3, 10), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len({m.tobytes() for m in (*first, *masks(3, 11), *masks(4, 10))}) == 9


# Text


def test_repr_shows_the_tree_and_the_settings_that_differ():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.Sequential(nn.MaxPool2d(2), nn.Linear(8, 2)))
    assert repr(net) == (
        "Sequential(\n"
        "  (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)\n"
        "  (1): Sequential(\n"
        "    (0): MaxPool2d(2, stride=2, padding=0, ceil_mode=False)\n"
        "    (1): Linear(8, 2)\n"
        "  )\n"
        ")"
    )


@pytest.mark.parametrize("layer", [l for l, _ in OUTPUTS], ids=lambda l: type(l).__name__)
def test_every_layer_has_a_repr(layer):
    assert repr(layer).startswith(type(layer).__name__ + "(") and repr(layer).endswith(")")
