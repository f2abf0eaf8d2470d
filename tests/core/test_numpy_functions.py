"""NumPy and Python around tensors."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor

F32 = np.float32


def test_asarray_gives_the_numbers():
    t = mg.tensor([[1.0, 2.0]])
    assert np.asarray(t).dtype == F32 and np.asarray(t, np.float64).dtype == np.float64
    assert np.shares_memory(np.asarray(t), t.data) and not np.shares_memory(np.array(t), t.data)
    assert not np.shares_memory(np.asarray(t, copy=True), t.data)
    with pytest.raises(ValueError):
        np.asarray(t, np.float64, copy=False)
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(mg.tensor([1.0], requires_grad=True))[0] = 2
    assert np.array([mg.tensor(1.0), mg.tensor(2.0)]).tolist() == [1, 2]


def test_comparisons_are_element_by_element_and_the_hash_is_the_object_s():
    t, u = mg.tensor([1.0, 2.0, 3.0]), mg.tensor([1.0, 5.0, 2.0])
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        expected = getattr(t.data, f"__{name}__")(u.data).tolist()
        for other in (u, u.data):
            found = getattr(t, f"__{name}__")(other)
            assert isinstance(found, Tensor) and found.data.tolist() == expected and found.dtype == bool
    assert (2.0 > t).data.tolist() == [True, False, False] and (u.data >= t).data.tolist() == [True, True, False]
    assert (np.array([1, 5, 2]) == u).data.all() and (mg.tensor([1, 2]) == 1.5).data.tolist() == [False, False]
    assert ((t > 1) & ~(t > 2)).data.tolist() == [False, True, False]
    assert t in [t] and {t: 1}[t] == 1 and len({t, u}) == 2
    assert (t == None) is False and (t != "a") is True  # noqa: E711
    assert (t == u).any() and not (t == u).all() and (t == t).all()
    with pytest.raises(ValueError, match="neither true nor false"):
        bool(t == u)


def test_accuracy_as_one_writes_it():
    pred, labels = mg.tensor([1, 0, 2]), np.array([1, 1, 2])
    for value in (np.mean(pred == labels), np.mean(labels == pred), (pred == labels).mean().item()):
        assert value == pytest.approx(2 / 3)


def test_formats_and_numbers():
    loss = mg.tensor(1.2341)
    assert f"{loss:.3f}" == "1.234" and f"{mg.tensor([2.0]):.1f}" == "2.0" and "tensor" in f"{mg.tensor([1.0, 2.0])}"
    with pytest.raises(TypeError):
        f"{mg.tensor([1.0, 2.0]):.3f}"
    assert int(mg.tensor(3.7)) == 3 and float(loss) == pytest.approx(1.2341) and list(range(mg.tensor(2))) == [0, 1]
    assert mg.tensor([[1, 2]]).numel() == 2 and [r.tolist() for r in map(np.asarray, mg.tensor([[1], [2]]))] == [
        [1],
        [2],
    ]
    with pytest.raises(TypeError):
        range(loss)
    with pytest.raises(TypeError):
        iter(loss)


def test_the_largest_of_an_axis_unpacks_as_in_torch():
    x = mg.tensor([[1.0, 5.0], [7.0, 2.0]], requires_grad=True)
    values, p = x.max(1)
    assert values.data.tolist() == [5, 7] and p.data.tolist() == [1, 0] and p.dtype == np.int64
    values.sum().backward()
    assert x.grad.tolist() == [[0, 1], [1, 0]]
    assert x.max(1, keepdim=True).indices.shape == (2, 1) and x.max().item() == 7


def test_numpy_s_operators_and_functions_are_ops():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    for y in (np.float32(2) * x, np.float64(2) * x, np.array([2.0, 2.0]) * x, np.multiply(2, x), 2 * x):
        assert isinstance(y, Tensor) and y.requires_grad and y.dtype == F32 and y.data.tolist() == [2, 4]
    np.exp(x).sum().backward()
    np.testing.assert_allclose(x.grad, np.exp([1, 2]), rtol=1e-6)


def test_an_array_takes_up_a_tensor():
    a = np.ones(2)
    same = a
    a += mg.tensor([1.0, 2.0])
    assert a is same and a.tolist() == [2, 3]
    with pytest.raises(TypeError, match="can't keep a tensor's gradient"):
        a += mg.tensor([1.0, 2.0], requires_grad=True)
    assert a.tolist() == [2, 3]


def test_numpy_s_other_functions_see_numbers_but_lose_no_gradient():
    t, x = mg.tensor([1.0, 2.0]), mg.tensor([1.0, 2.0], requires_grad=True)
    assert np.mean(t) == 1.5 and np.sin(t).shape == (2,) and np.concatenate([t, t]).shape == (4,)
    assert np.argmax(x) == 1 and np.allclose(x, t) and not np.isnan(x).any()
    for lossy in (np.mean, np.arctan, np.sum, lambda v: np.concatenate([v, v]), lambda v: np.stack([v])):
        with pytest.raises(TypeError, match="lose this tensor's gradient"):
            lossy(x)
    with mg.no_grad():
        assert np.mean(x) == 1.5
