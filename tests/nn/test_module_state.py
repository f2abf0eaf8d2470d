"""What a module's types and state become: conversions, files with faults, shared weights, averages, and an end."""

import gc

import numpy as np
import pytest
from conftest import needs_torch
from refusals import refused

import minigrad as mg
from minigrad import nn, optim

pytestmark = pytest.mark.usefixtures("reference_kernels")


# Types


@needs_torch()
def test_conversions_reach_what_torchs_reach():
    import torch

    results = []
    for package in (torch.nn, nn):
        net, types = package.BatchNorm2d(2), []
        for name in ("half", "double", "float"):
            assert getattr(net, name)() is net
            types.append([str(p.dtype).removeprefix("torch.") for p in (*net.parameters(), net.running_mean)])
        results.append(types)
    assert results[0] == results[1]


def test_to_takes_devices_types_and_tensors():
    net = nn.Linear(2, 2)
    net.count = nn.Buffer(np.array([1, 2]))
    net(mg.tensor([[1.0, 2.0]])).sum().backward()
    array = net.weight.data
    assert net.to("cpu").weight.data is array and net.to(np.float32).weight.data is array
    for where in (("float64",), (np.float64,), ("cpu", np.dtype("d")), (mg.tensor(np.ones(1)),)):
        net.to(*where)
        assert net.weight.dtype == net.weight.grad.dtype == np.float64 and net.count.dtype == np.int64
        net.to(dtype=np.float32, device="cpu")
        assert net.weight.dtype == np.float32
    refused(lambda: net.to(np.int64), ValueError, "to: parameters hold floating-point numbers; got type int64")
    refused(lambda: net.to(3), TypeError, "to: takes a device, a floating-point type or a tensor")
    refused(lambda: net.to("cdua"), ValueError, "cdua")
    assert net.half().weight.dtype == np.float16


# State


def test_a_file_with_faults_of_all_kinds_lists_them_and_nothing_is_loaded():
    net = nn.Sequential(*(nn.Linear(2, 2) for _ in range(8)))
    state = {n: a + 1 for n, a in net.state_dict().items()}
    before = {n: a.copy() for n, a in net.state_dict().items()}
    state["0.weight"] = np.ones((2, 2), complex)
    state["1.weight"] = np.array([["a", "b"], ["c", "d"]])
    for i in range(2, 8):
        del state[f"{i}.bias"]
    with pytest.raises(ValueError) as error:
        net.load_state_dict(state)
    assert str(error.value).splitlines()[1:] == [
        "missing (6):",
        "  2.bias  5.bias",
        "  3.bias  6.bias",
        "  4.bias  7.bias",
        "types (2):",
        "  0.weight: complex128 in the file, float32 in the model",
        "  1.weight: <U1 in the file, float32 in the model",
    ]
    for n, a in net.state_dict().items():
        np.testing.assert_array_equal(a, before[n])


def test_fractions_do_not_become_whole_numbers():
    net = nn.Module()
    net.count = nn.Buffer(np.array([1, 2]))
    refused(lambda: net.load_state_dict({"count": np.array([1.5, 2])}), ValueError, "count: float64 in the file, int64")
    net.load_state_dict({"count": [5, 6]})
    assert net.count.data.tolist() == [5, 6]


def test_a_shared_parameter_under_one_name_or_under_both():
    a = nn.Linear(1, 1, bias=False)
    net = nn.Sequential(a, a)
    assert net.load_state_dict({"0.weight": [[3.0]]}) == ([], []) and a.weight.item() == 3
    assert net.load_state_dict({"1.weight": [[4.0]]}) == ([], []) and a.weight.item() == 4
    net.load_state_dict({"0.weight": [[5.0]], "1.weight": [[5.0]]})
    both = {"0.weight": [[6.0]], "1.weight": [[7.0]]}
    refused(
        lambda: net.load_state_dict(both), ValueError, "different, though one in the model (1):\n  0.weight, 1.weight"
    )
    assert a.weight.item() == 5


def test_averages_of_a_net_with_shared_weights():
    a = nn.Linear(1, 1, bias=False)
    net = nn.Sequential(a, a)
    averaged = optim.AveragedModel(net)
    for value in (5.0, 7.0):
        nn.init.constant_(a.weight, value)
        averaged.update()
    with averaged.applied():
        assert a.weight.item() == 6
    assert a.weight.item() == 7 and list(averaged.average) == ["0.weight"]


def test_modules_are_freed():
    class Counted(nn.Module):
        pass

    net = nn.Sequential(Counted())
    net[0].register_forward_hook(lambda *_: None)
    del net
    gc.collect()
    assert not [m for m in gc.get_objects() if type(m) is Counted]
