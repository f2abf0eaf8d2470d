"""What a module owns: parameters, buffers, children; what may be set; freezing; the tree beside torch."""

import numpy as np
import pytest
from conftest import needs_torch
from refusals import refused

import minigrad as mg
from minigrad import nn, optim
from minigrad.nn import functional as F

pytestmark = pytest.mark.usefixtures("reference_kernels")


# Parameters and buffers


def test_a_parameter_of_a_tensor_a_list_or_a_number():
    t = mg.tensor([1.0, 2.0])
    p = nn.Parameter(t)
    assert isinstance(p.data, np.ndarray) and p.requires_grad and np.shares_memory(p.data, t.data)
    loss = (p * p).sum()
    t.copy_(3.0)  # one memory, one count of writes
    with pytest.raises(RuntimeError, match="written in place"):
        loss.backward()
    assert nn.Parameter([1.0, 2.0]).dtype == nn.Parameter(0.5).dtype == np.float32
    assert nn.Parameter(np.float64(0.5)).shape == () and nn.Parameter(t * 2).is_leaf
    assert nn.Buffer([1, 2]).dtype == np.int64
    refused(
        lambda: nn.Parameter(np.arange(3)), TypeError, "only floating-point tensors can require a gradient", "int64"
    )
    refused(lambda: nn.Parameter([1, 2]), TypeError, "only floating-point")


def test_a_parameter_of_memory_that_cannot_be_written_or_lies_in_a_file_is_a_copy(tmp_path):
    array = np.ones(40_000, np.float32)
    array.setflags(write=False)
    np.save(tmp_path / "w.npy", array)
    sources = array, np.load(tmp_path / "w.npy", mmap_mode="r"), np.load(tmp_path / "w.npy", mmap_mode="r+")
    for source in (*sources, np.asarray(sources[2]), np.broadcast_to(np.float32(1), (40_000,)), mg.Tensor(array)):
        p = nn.Parameter(source)
        p.grad = np.ones(40_000, np.float32)
        with mg.use_kernels("cpu"):
            optim.SGD([p], lr=0.5).step()
        assert (p.data == 0.5).all() and (np.asarray(getattr(source, "data", source)) == 1).all()
    assert (np.load(tmp_path / "w.npy") == 1).all()


def test_freezing_both_ways():
    net = nn.Linear(2, 2)
    net.bias = nn.Parameter(np.zeros(2, np.float32), requires_grad=False)
    net.zero_grad()
    before = {n: a.copy() for n, a in net.state_dict().items()}
    optimizer = optim.SGD(net.parameters(), lr=1.0, weight_decay=0.1)
    net(mg.tensor([[1.0, 2.0]])).sum().backward()
    net.weight.requires_grad = False
    assert net.weight.grad is None and not net.weight.requires_grad and list(net.state_dict()) == ["weight", "bias"]
    optimizer.step()
    optimizer.zero_grad()
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert net.requires_grad_() is net
    net(mg.tensor([[1.0, 2.0]])).sum().backward()
    assert net.weight.grad is not None and net.bias.grad is not None
    optimizer.step()
    assert all((array != before[name]).all() for name, array in net.state_dict().items())
    net.requires_grad_(False)
    assert not net(mg.tensor([[1.0, 2.0]])).requires_grad


def test_what_cannot_be_frozen_says_so():
    y = mg.tensor([1.0], requires_grad=True) * 2

    def set_on(t, value):
        t.requires_grad = value

    refused(lambda: set_on(y, False), RuntimeError, "requires_grad: an op made this tensor; detach() it")
    set_on(y, True)
    refused(lambda: set_on(mg.tensor([1]), True), TypeError, "only floating-point", "int64")
    refused(lambda: set_on(mg.tensor([1.0]), 1), TypeError, "requires_grad: must be True or False; got 1")


def test_a_gradient_set_by_hand_has_the_type_and_shape_or_is_refused():
    p = nn.Parameter(np.zeros(2, np.float32))
    for value in (np.array([1, 2]), np.array([1.0, 2.0]), mg.tensor([1, 2]), np.array([True, True])):
        p.grad = value
        assert p.grad.dtype == np.float32 and p.grad.shape == (2,)
        with mg.use_kernels("cpu"):
            optim.SGD([p], lr=0.0).step()
    own = np.ones(2, np.float32)
    p.grad = own
    assert p.grad is own
    refused(lambda: setattr(p, "grad", np.ones(3)), ValueError, "grad: shape (3,) does not match the tensor's (2,)")
    refused(lambda: setattr(p, "grad", [1.0, 2.0]), TypeError, "grad: must be an array or a tensor", "got list")
    refused(lambda: setattr(p, "grad", np.ones(2, complex)), TypeError, "got complex128")
    assert p.grad is own
    p.requires_grad = False
    p.grad = None
    refused(lambda: setattr(p, "grad", own), RuntimeError, "grad: this tensor does not require a gradient")


# What may be set


@pytest.mark.parametrize(
    "name, value, part",
    [
        ("weight", np.zeros((2, 2)), "Linear.weight is a Parameter, only another one or None may take its place"),
        ("weight", mg.tensor([[1.0]]), "write into it with copy_() under no_grad()"),
        ("bias", 3, "got a value of type int"),
        ("below", nn.ReLU, "Linear.below is a Module, only another one or None may take its place; got the class ReLU"),
        ("below", F.relu, "got the function relu"),
        ("mean", np.zeros(2), "Linear.mean is a Buffer"),
        ("layers", [nn.ReLU()], "Linear.layers: parameters in a list would not be found; use ModuleList"),
        ("layers", {"a": nn.ReLU()}, "parameters in a dict would not be found"),
        ("weights", (nn.Parameter(np.ones(1)),), "parameters in a tuple would not be found"),
    ],
)
def test_a_wrong_thing_in_a_members_place_is_refused_and_changes_nothing(name, value, part):
    net = nn.Linear(2, 2)
    net.below, net.mean = nn.Identity(), nn.Buffer(np.zeros(2))
    before = dict(vars(net))
    refused(lambda: setattr(net, name, value), TypeError, part)
    assert vars(net) == before


def test_what_may_take_a_members_place():
    net = nn.BatchNorm2d(2)
    net.running_mean = mg.tensor([1.0, 2.0])
    assert isinstance(net.running_mean, nn.Buffer) and list(net.state_dict())[2] == "running_mean"
    net.bias, net.act, net.act_class, net.sizes = None, nn.ReLU(), nn.ReLU, [1, 2]
    assert [n for n, _ in net.named_parameters()] == ["weight"] and [n for n, _ in net.named_children()] == ["act"]


def test_registering():
    net = nn.Module()
    net.register_parameter("w", nn.Parameter([1.0]))
    net.register_parameter("none", None)
    net.register_buffer("mean", mg.tensor([1, 2]))
    net.add_module("below", nn.Linear(1, 1, bias=False))
    assert list(net.state_dict()) == ["w", "mean", "below.weight"] and net.none is None
    refused(lambda: net.register_parameter("v", np.ones(1)), TypeError, "Module: v must be a Parameter or None")
    refused(lambda: net.register_buffer("v", [1]), TypeError, "Module: v must be a tensor or None")
    refused(lambda: net.add_module("v", nn.Linear), TypeError, "v must be a Module or None; got the class Linear")
    refused(lambda: net.add_module("a.b", nn.ReLU()), ValueError, "must not be empty or have a dot in it; got 'a.b'")
    refused(lambda: net.add_module("forward", nn.ReLU()), ValueError, "'forward' is taken by an attribute of the class")
    refused(lambda: net.add_module(1, nn.ReLU()), TypeError, "names must be strings; got 1")
    assert net.get_submodule("below") is net.below and net.get_submodule("") is net
    refused(lambda: net.get_submodule("below.x"), AttributeError, "Linear has no module 'x'; it has none")


# Containers


@pytest.mark.parametrize(
    "make, parts",
    [
        (lambda: nn.Sequential(nn.Linear(2, 2), F.relu), ("argument 1 must be a Module", "relu", "such as nn.ReLU()")),
        (lambda: nn.Sequential([nn.Linear(2, 2)]), ("argument 0", "type list: write Sequential(*modules)")),
        (lambda: nn.Sequential(m for m in [nn.ReLU()]), ("argument 0", "generator: write Sequential(*modules)")),
        (lambda: nn.Sequential(nn.Linear(2, 2), nn.ReLU), ("argument 1", "the class ReLU: write ReLU(...)")),
        (lambda: nn.Sequential({"a": nn.ReLU()}, nn.ReLU()), ("argument 0", "type dict")),
        (lambda: nn.Sequential(None), ("argument 0", "NoneType")),
        (lambda: nn.Sequential({"a": np.ones(1)}), ("module 'a' must be a Module",)),
        (lambda: nn.Sequential().append(F.relu), ("Sequential: item 0 must be a Module",)),
        (lambda: nn.Sequential(nn.ReLU()).__setitem__(0, nn.ReLU), ("item 0 must be a Module",)),
        (lambda: nn.ModuleList([nn.ReLU(), 3]), ("ModuleList: item 1 must be a Module; got a value of type int",)),
        (lambda: nn.ModuleList([[nn.ReLU()]]), ("item 0", "nest containers, or join the lists")),
        (lambda: nn.ModuleList([nn.Parameter([1.0])]), ("item 0 must be a Module",)),
        (lambda: nn.ModuleDict({"a": nn.ReLU}), ("ModuleDict: module 'a' must be a Module; got the class ReLU",)),
        (lambda: nn.ParameterList([nn.ReLU()]), ("ParameterList: item 0 must be a Parameter",)),
        (lambda: nn.ModuleDict({1: nn.ReLU()}), ("names must be strings; got 1",)),
    ],
)
def test_containers_refuse_what_they_would_drop(make, parts):
    refused(make, TypeError, *parts)


def test_names_that_would_be_lost_are_refused():
    refused(lambda: nn.Sequential({"a.b": nn.ReLU()}), ValueError, "have a dot in it; got 'a.b'")
    refused(lambda: nn.Sequential({"forward": nn.ReLU()}), ValueError, "'forward' is taken")
    refused(lambda: nn.ModuleDict({"train": nn.ReLU()}), ValueError, "'train' is taken")


def test_sequential_by_item_slice_and_position():
    a, b, c, d = (nn.Linear(1, 1, bias=False) for _ in range(4))
    net = nn.Sequential(a, b, c)
    net[1] = d
    net[-1] = b
    assert list(net) == [a, d, b] and list(net.state_dict()) == ["0.weight", "1.weight", "2.weight"]
    part = net[1:]
    assert list(part) == [d, b] and list(part.state_dict()) == ["1.weight", "2.weight"]  # names as in torch
    part.append(c)
    assert list(part) == [d, b, c] and len(part.state_dict()) == 3
    net.insert(1, c).extend([b, b])
    assert list(net) == [a, c, d, b, b, b] and [n for n, _ in net.entries()] == list("012345")
    del net[0]
    assert net.pop() is b and list(net) == [c, d, b, b]
    del net[2:]
    assert list(net) == [c, d] and list(net.state_dict()) == ["0.weight", "1.weight"]
    refused(lambda: net[2], IndexError, "Sequential: index must be an int from -2 to 1; got 2")
    refused(lambda: net["0"], TypeError, "index must be an int")
    refused(lambda: net.__setitem__(5, a), IndexError, "got 5")
    named = nn.Sequential({"x": a, "1": b})
    assert list(named.append(c)) == [a, b, c] and list(named[:1].state_dict()) == ["x.weight"]


def test_the_same_layer_twice_runs_twice():
    layer, x = nn.Linear(1, 1, bias=False), mg.tensor([[2.0]])
    net = nn.Sequential(layer, nn.Identity(), layer)
    assert len(net) == 3 and net(x).item() == pytest.approx(layer.weight.item() ** 2 * 2, rel=1e-6)
    assert len(list(net.parameters())) == 1 and list(net.state_dict()) == ["0.weight", "2.weight"]


def test_lists_and_dicts_of_members():
    a, b = nn.Linear(1, 1), nn.Linear(1, 1)
    layers = nn.ModuleList(m for m in [a])
    layers.extend([b, a])
    assert list(layers[1:]) == [b, a] and isinstance(layers[:1], nn.ModuleList) and len(layers) == 3
    choices = nn.ModuleDict({"one": a})
    choices["two"] = b
    choices.update([("three", a)])
    assert choices.keys() == list(choices) == ["one", "two", "three"] and choices["two"] is b and "two" in choices
    assert choices.values() == [a, b, a] and choices.pop("two") is b and len(choices) == 2
    with pytest.raises(KeyError):
        choices["two"]
    del choices["three"]
    assert [n for n, _ in choices.named_parameters()] == ["one.weight", "one.bias"]
    choices.clear()
    assert not len(choices)
    values = nn.ParameterList([np.ones(2, np.float32), nn.Parameter([3.0])])
    values.append(mg.tensor([1.0]))
    assert [n for n, _ in values.named_parameters()] == ["0", "1", "2"] and values[1].item() == 3
    values[0] = nn.Parameter([5.0])
    assert [v.item() for v in values] == [5, 3, 1]


# The tree, beside torch


def twins(make):
    """The same net in torch and here, made by make(the nn package)."""
    import torch

    return make(torch.nn), make(nn)


def shared_tree(package):
    a, b = package.Linear(2, 2), package.Linear(2, 2, bias=False)
    net = package.Sequential(a, package.Sequential(b, a), b)
    net[1][0].weight = a.weight
    return net


@needs_torch()
def test_names_in_nested_and_shared_modules_are_torchs():
    its, ours = twins(shared_tree)
    for listing in ("named_parameters", "named_modules", "named_children"):
        assert [n for n, _ in getattr(ours, listing)()] == [n for n, _ in getattr(its, listing)()], listing
    assert list(ours.state_dict()) == list(its.state_dict()) and "1.1.bias" in ours.state_dict()
    for listing in ("named_parameters", "named_modules"):
        names = [[n for n, _ in getattr(net, listing)(remove_duplicate=False)] for net in (ours, its)]
        assert names[0] == names[1], listing
    prefixed = [[n for n, _ in net.named_parameters("x", recurse=False)] for net in (ours[0], its[0])]
    assert prefixed[0] == prefixed[1] == ["x.weight", "x.bias"] and not list(ours.parameters(recurse=False))


@needs_torch()
def test_apply_goes_in_torchs_order():
    import torch

    orders = []
    for package in (torch.nn, nn):
        seen, net = [], package.Sequential(package.ReLU(), package.Sequential(package.Tanh()))
        assert net.apply(lambda m, seen=seen: seen.append(type(m).__name__)) is net
        orders.append(seen)
    assert orders[0] == orders[1] == ["ReLU", "Tanh", "Sequential", "Sequential"]


def test_a_module_that_knows_its_parent_has_an_end():
    net = nn.Sequential(nn.Linear(1, 1))
    net[0].parent = net
    assert list(net.state_dict()) == ["0.weight", "0.bias"] and len(list(net.modules())) == 2
