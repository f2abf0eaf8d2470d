"""Tensors out of nothing, the common generator, and whole checkpoints in one file."""

import json
import struct

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.nn import functional as F
from minigrad.saving import load


def described(t):
    return t.dtype.name, t.shape, t.data.tolist()


@pytest.mark.parametrize(
    "made, expected",
    [
        (mg.zeros(2, 3), ("float32", (2, 3), [[0, 0, 0]] * 2)),
        (mg.ones((1, 2), dtype=mg.int64), ("int64", (1, 2), [[1, 1]])),
        (mg.zeros(()), ("float32", (), 0)),
        (mg.full((2,), 1.5), ("float32", (2,), [1.5, 1.5])),
        (mg.full((2,), 3), ("int64", (2,), [3, 3])),
        (mg.full(2, True), ("bool", (2,), [True, True])),
        (mg.eye(2), ("float32", (2, 2), [[1, 0], [0, 1]])),
        (mg.eye(1, 3), ("float32", (1, 3), [[1, 0, 0]])),
        (mg.arange(3), ("int64", (3,), [0, 1, 2])),
        (mg.arange(1, 2, 0.25), ("float32", (4,), [1, 1.25, 1.5, 1.75])),
        (mg.arange(3, 0, -2), ("int64", (2,), [3, 1])),
        (mg.arange(3, dtype=mg.float64), ("float64", (3,), [0, 1, 2])),
        (mg.linspace(0, 1, 5), ("float32", (5,), [0, 0.25, 0.5, 0.75, 1])),
        (mg.zeros_like(mg.ones(2, dtype=mg.float64)), ("float64", (2,), [0, 0])),
        (mg.ones_like(mg.zeros(2), dtype=mg.int32), ("int32", (2,), [1, 1])),
        (mg.full_like(mg.zeros(2), 7), ("float32", (2,), [7, 7])),
    ],
    ids=str,
)
def test_what_is_made(made, expected):
    assert described(made) == expected and not made.requires_grad


def test_requires_grad_and_shared_memory():
    assert mg.zeros(2, requires_grad=True).is_leaf and mg.rand(2, requires_grad=True).requires_grad
    array = np.zeros(3, np.float32)
    t = mg.from_numpy(array)
    array[1] = 5
    assert t.data.tolist() == [0, 5, 0]
    assert mg.bfloat16.name == "bfloat16" and mg.float32 == np.float32


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: mg.zeros(2, -1), ValueError, r"zeros: sizes must be ints >= 0; got \(2, -1\)"),
        (lambda: mg.rand(1.5), ValueError, r"rand: sizes must be ints >= 0; got \(1.5,\)"),
        (lambda: mg.arange(3, 0), ValueError, "arange: step must lead from start to end"),
        (lambda: mg.arange(3, 0, 0), ValueError, "arange: step must lead from start to end"),
        (lambda: mg.linspace(0, 1, -1), ValueError, "linspace: steps must be an int >= 0; got -1"),
        (lambda: mg.randint(3, 3, (2,)), ValueError, "randint: low must be below high; got 3 and 3"),
        (lambda: mg.from_numpy([1, 2]), TypeError, "from_numpy: expected a NumPy array; got list"),
        (lambda: mg.zeros_like(np.zeros(2)), TypeError, "zeros_like: x must be a tensor; got ndarray"),
        (lambda: mg.manual_seed("a"), TypeError, "manual_seed: seed must be an int; got 'a'"),
        (lambda: mg.zeros(2, dtype=mg.int64, requires_grad=True), TypeError, "only floating-point tensors"),
        (lambda: mg.no_such_name, AttributeError, "module 'minigrad' has no attribute 'no_such_name'"),
    ],
)
def test_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def draws():
    """All that draws without a generator of its own."""
    layers = nn.Conv2d(2, 3, 3), nn.Linear(4, 5), nn.Dropout(0.5), nn.Dropout2d(0.5), nn.Embedding(3, 2)
    x, image = mg.ones(4, 25), mg.ones(2, 3, 3, 20)
    dropped = layers[2](x), layers[3](image), F.dropout(x), F.dropout2d(image)
    drawn = mg.rand(3), mg.randn(3), mg.randint(10**6, size=(3,)), mg.randperm(9), mg.rand_like(x), mg.randn_like(x)
    return [t.data for t in (*drawn, layers[0].weight, layers[1].bias, layers[4].weight, *dropped)]


def test_all_that_draws_follows_the_manual_seed():
    mg.manual_seed(3)
    first, second = draws(), draws()
    mg.manual_seed(3)
    again = draws()
    assert all((a == b).all() for a, b in zip(first, again))
    assert not any((a == b).all() for a, b in zip(first, second))


def test_streams_with_a_seed_of_their_own_do_not_look_at_it():
    def own():
        net = nn.Sequential(nn.Linear(4, 4, rng=np.random.default_rng(1)), nn.Dropout(0.5))
        nn.reseed(net, 5)
        return net(mg.ones(8, 4)).data

    mg.manual_seed(1)
    a = own()
    mg.manual_seed(2)
    np.testing.assert_array_equal(a, own())


def test_random_numbers_lie_where_they_should():
    mg.manual_seed(0)
    x, y, z = mg.rand(4000), mg.randn(4000), mg.randint(2, 5, (4000,))
    assert 0 <= x.data.min() and x.data.max() < 1 and abs(x.data.mean() - 0.5) < 0.03
    assert abs(y.data.mean()) < 0.06 and abs(y.data.std() - 1) < 0.06
    assert set(z.data.tolist()) == {2, 3, 4} and sorted(mg.randperm(5).data.tolist()) == [0, 1, 2, 3, 4]


# save and load


def same(a, b):
    if isinstance(a, dict):
        return type(b) is dict and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, mg.Tensor):
        return isinstance(b, mg.Tensor) and same(a.data, b.data)
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and (a == b).all()
    return type(a) is type(b) and a == b


THINGS = {
    "epoch": 3, "best": 0.5, "name": "net", "done": False, "nothing": None, "empty": {}, 7: "seven",
    "nested": {"list": [1, [2.5, "x"]], "tuple": (1, ("a",)), "array": np.arange(6.0).reshape(2, 3)},
    "tensor": mg.tensor([1.0, 2.0]), "single": np.array(2.5, np.float32), "bools": np.array([True, False]),
    "turned": np.arange(6).reshape(2, 3).T, "a.b": np.zeros(1), "a": {"b": np.ones(1)},
}  # fmt: skip


def test_what_is_saved_comes_back(tmp_path):
    mg.save(THINGS, tmp_path / "things.safetensors")
    assert same(THINGS, mg.load(tmp_path / "things.safetensors"))
    assert [p.name for p in tmp_path.iterdir()] == ["things.safetensors"]


@pytest.mark.parametrize("value", [np.arange(3), 5, [1, 2], mg.tensor(1.0), "text", [], None], ids=str)
def test_a_single_value(value, tmp_path):
    mg.save(value, tmp_path / "one")
    assert same(value, mg.load(tmp_path / "one"))


def test_bfloat16_comes_back(tmp_path):
    mg.save({"w": np.array([1.5, -2], mg.bfloat16)}, tmp_path / "low")
    w = mg.load(tmp_path / "low")["w"]
    assert w.dtype == mg.bfloat16 and w.tolist() == [1.5, -2]


def test_a_state_dict_is_a_plain_file_for_others(tmp_path):
    from safetensors.numpy import load_file, save_file

    net, other = nn.Linear(2, 3), nn.Linear(2, 3)
    mg.save(net.state_dict(), tmp_path / "net")
    assert set(load_file(tmp_path / "net")) == {"weight", "bias"}
    other.load_state_dict(mg.load(tmp_path / "net"))
    np.testing.assert_array_equal(net.weight.data, other.weight.data)
    save_file({"w": np.ones(2)}, tmp_path / "foreign")
    assert same(load(tmp_path / "foreign"), {"w": np.ones(2)})


def test_a_whole_checkpoint_goes_on_bit_for_bit(tmp_path):
    def steps(net, optimizer, n):
        for i in range(n):
            optimizer.zero_grad()
            net(mg.full((2, 3), 1.0 + i)).sum().backward()
            optimizer.step()

    net = nn.Linear(3, 2)
    optimizer = optim.Adam(net.parameters(), lr=0.1)
    steps(net, optimizer, 3)
    mg.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "step": 3}, tmp_path / "c")
    other = nn.Linear(3, 2)
    its = optim.Adam(other.parameters(), lr=0.1)
    found = mg.load(tmp_path / "c")
    other.load_state_dict(found["net"])
    its.load_state_dict(found["optimizer"])
    steps(net, optimizer, 2)
    steps(other, its, 2)
    assert found["step"] == 3
    np.testing.assert_array_equal(net.weight.data, other.weight.data)


@pytest.mark.parametrize(
    "thing, message",
    [
        ({"a": {"net": nn.Identity()}}, r"save: a.net is Identity; a module is saved by its state_dict\(\)"),
        ({"f": len}, "save: f is builtin_function_or_method"),
        ({(1, 2): 3}, r"save: keys must be text or numbers; obj has \(1, 2\)"),
        ({"s": np.array(["x"])}, "save: s is an array of <U1; only numbers and booleans can be saved"),
    ],
)
def test_what_can_not_be_saved(thing, message, tmp_path):
    with pytest.raises(TypeError, match=message):
        mg.save(thing, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_no_such_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="load: there is no file"):
        load(tmp_path / "missing")
    (tmp_path / "text").write_text("no tensors here, though it is long enough to be a header")
    mg.save(THINGS, tmp_path / "whole")
    (tmp_path / "cut").write_bytes((tmp_path / "whole").read_bytes()[:-8])
    for name in ("text", "cut"):
        with pytest.raises(ValueError, match="is no safetensors file, or is cut short"):
            load(tmp_path / name)
    header = json.dumps({"__metadata__": {"minigrad.structure": '["array", "x"]'}}).encode()
    (tmp_path / "lies").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(ValueError, match=r"the structure in .* does not fit its arrays"):
        mg.load(tmp_path / "lies")


def test_a_star_import_leaves_pythons_own_names():
    names = {}
    exec("from minigrad import *", names)
    assert "tensor" in names and "nn" in names and not {"int", "float", "bool", "sum", "abs"} & names.keys()
