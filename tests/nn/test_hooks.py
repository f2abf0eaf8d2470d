"""Hooks of modules beside torch's, and modules that are looked at are called one by one."""

import numpy as np
import pytest
from conftest import needs_torch

import minigrad as mg
from minigrad import explain, nn
from minigrad.explain.trace import Trace

pytestmark = pytest.mark.usefixtures("reference_kernels")


def loaded(package, tensor):
    """A small net with the same numbers in torch and here."""
    net = package.Sequential(package.Linear(3, 4), package.Tanh(), package.Linear(4, 2))
    rng, net = np.random.default_rng(0), net.double()
    net.load_state_dict(
        {n: tensor(rng.standard_normal(tuple(a.shape)).astype("f")) for n, a in net.state_dict().items()}
    )
    return net


X = np.random.default_rng(1).standard_normal((5, 3))


def host(value):
    """Numbers of a tensor of either kind, or of an array."""
    value = value.detach().numpy() if hasattr(value, "detach") else value
    return None if value is None else np.array(value)


def traced(package, tensor, change=False):
    """What hooks of all three kinds saw in a forward and backward pass, and the gradients that came out."""
    net, seen = loaded(package, tensor), []

    def before(module, inputs):
        seen.append(("before", type(module).__name__, [host(t) for t in inputs]))
        return (inputs[0] * 2,) if change else None

    def after(module, inputs, output):
        seen.append(("after", type(module).__name__, [host(t) for t in inputs], host(output)))
        return output + 1 if change else None

    def back(module, grad_inputs, grad_outputs):
        seen.append(("back", type(module).__name__, [host(g) for g in grad_inputs], [host(g) for g in grad_outputs]))
        return (grad_inputs[0] * 3,) if change and grad_inputs[0] is not None else None

    for layer in (net, net[0], net[1], net[2]):
        layer.register_forward_pre_hook(before)
        layer.register_forward_hook(after)
        layer.register_full_backward_hook(back)
    x = tensor(X.copy())
    x.requires_grad = True
    (net(x) ** 2).sum().backward()
    return seen, [host(x.grad), *(host(p.grad) for p in net.parameters())]


def equal(a, b):
    assert type(a) is type(b), (a, b)
    if isinstance(a, list | tuple):
        assert len(a) == len(b)
        for one, other in zip(a, b):
            equal(one, other)
    elif isinstance(a, np.ndarray):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    else:
        assert a == b


@needs_torch()
@pytest.mark.parametrize("change", [False, True], ids=["look", "change"])
def test_hooks_see_and_change_what_torchs_do_in_the_same_order(change):
    import torch

    ours, its = traced(nn, mg.tensor, change), traced(torch.nn, torch.tensor, change)
    assert [entry[:2] for entry in ours[0]] == [entry[:2] for entry in its[0]]
    equal(ours, its)


def test_a_removed_hook_is_not_called_and_removing_twice_is_harmless():
    net, seen = nn.ReLU(), []
    handles = [
        net.register_forward_hook(lambda *_: seen.append(1)),
        net.register_forward_hook(lambda *_: seen.append(2)),
    ]
    net(mg.tensor([1.0]))
    handles[0].remove()
    handles[0]()
    net(mg.tensor([1.0]))
    handles[1].remove()
    net(mg.tensor([1.0]))
    assert seen == [1, 2, 2] and net._hooks is None


def test_a_hook_that_removes_itself_does_not_skip_the_next():
    net, seen = nn.ReLU(), []
    handle = net.register_forward_hook(lambda *_: (seen.append("first"), handle.remove()) and None)
    net.register_forward_hook(lambda *_: seen.append("second"))
    net(mg.tensor([1.0]))
    net(mg.tensor([1.0]))
    assert seen == ["first", "second", "second"]


class Pair(nn.Module):
    """Two inputs, two outputs; the third input is not used."""

    def forward(self, a, b, unused):
        return a * 2, a * b


def test_a_backward_hook_with_several_inputs_and_outputs():
    net, seen = Pair(), []
    net.register_full_backward_hook(lambda m, dx, dy: seen.append((dx, dy)))
    a, b, c = (mg.tensor([v], requires_grad=True) for v in (2.0, 3.0, 5.0))
    first, second = net(a, b, c)
    (first * 10).sum().backward(retain_graph=True)
    ((dx, dy),) = seen
    assert dx[0] == 20 and dx[1:] == (None, None) and dy[0] == 10 and dy[1] is None
    second.sum().backward()
    dx, dy = seen[1]
    assert (dx[0], dx[1], dx[2]) == (3, 2, None) and dy[0] is None and dy[1] == 1
    assert a.grad == 23 and b.grad == 2 and c.grad is None


def test_a_backward_hook_runs_where_no_input_wants_a_gradient():
    net, seen = nn.Linear(2, 1), []
    net.register_full_backward_hook(lambda m, dx, dy: seen.append((dx, dy)))
    net(mg.tensor([[1.0, 2.0]])).sum().backward()
    assert seen == [((None,), (np.ones((1, 1)),))] and net.weight.grad.tolist() == [[1, 2]]
    with mg.no_grad():
        net(mg.tensor([[1.0, 2.0]]))


def test_wrong_hooks_are_refused():
    net = nn.ReLU()
    with pytest.raises(TypeError, match="register_forward_hook: hook must be a function; got int"):
        net.register_forward_hook(3)
    for wrong, message in ((lambda *_: (1, 2), "2 gradients for 1 inputs"), (lambda *_: np.ones(5), r"shape \(1,\)")):
        net = nn.ReLU()
        net.register_full_backward_hook(wrong)
        y = net(mg.tensor([1.0], requires_grad=True))
        with pytest.raises(ValueError, match=message):
            y.sum().backward()


# Observed modules are called one by one


def conv_net():
    return nn.Sequential({"conv": nn.Conv2d(3, 4, 3), "norm": nn.BatchNorm2d(4), "relu": nn.ReLU()}).eval()


IMAGE = np.random.default_rng(0).standard_normal((1, 8, 8, 3)).astype("f")


def test_feature_maps_of_a_relu_that_would_run_in_another_op():
    net = conv_net()
    found = explain.feature_maps(net, IMAGE[0], layers=["conv", "norm", "relu"])
    np.testing.assert_allclose(found.maps["relu"], np.maximum(found.maps["norm"], 0))
    with mg.no_grad():
        np.testing.assert_allclose(net(mg.tensor(IMAGE)).data[0], found.maps["relu"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer", ["conv", "norm", "relu"])
@pytest.mark.parametrize("recording", [True, False])
def test_a_hooked_module_is_called_and_gives_what_it_alone_gives(layer, recording):
    net, seen = conv_net(), []
    getattr(net, layer).register_forward_hook(lambda m, inputs, y: seen.append((inputs[0].data, y.data)))
    with mg.enable_grad() if recording else mg.no_grad():
        y = net(mg.tensor(IMAGE)).data
        x, output = seen.pop()
        handle = next(iter(getattr(net, layer)._hooks.forward))
        getattr(net, layer).__dict__["_hooks"] = None
        np.testing.assert_allclose(getattr(net, layer)(mg.Tensor(x)).data, output, rtol=1e-5, atol=1e-6)
        assert handle and (output.min() < 0) == (layer != "relu")
        np.testing.assert_allclose(net(mg.tensor(IMAGE)).data, y, rtol=1e-4, atol=1e-5)


def test_subclasses_and_forwards_of_ones_own_are_called():
    class Clipped(nn.ReLU):
        def forward(self, x):
            return super().forward(x) * 0

    class Norm(nn.BatchNorm2d):
        def forward(self, x):
            return super().forward(x) + 1

    x = mg.tensor(IMAGE)
    assert not nn.Sequential(nn.Conv2d(3, 4, 3), Clipped())(x).data.any()
    assert nn.Sequential(nn.Conv2d(3, 4, 3), Norm(4), nn.ReLU()).eval()(x).shape == (1, 6, 6, 4)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    net[1].forward = lambda x: x * 0
    assert not net(x).data.any()


def test_unfused_and_what_looks_on():
    net, x = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), mg.tensor(IMAGE)
    assert net(x).node.name == "conv2d_relu"
    with nn.unfused():
        assert net(x).node.name == "relu"
    assert net(x).node.name == "conv2d_relu"
    assert [node.name for node in Trace(lambda: net(x).sum()).order][:3] == ["sum", "relu", "conv2d"]
    with explain.detect_anomaly():
        assert net(x).node.name == "relu"
