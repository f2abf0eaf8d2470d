"""Settings that are NumPy's numbers, and ops of whole numbers and of single numbers: types are as with Python's."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.nn import functional as F

X = np.linspace(-2.1, 2, 24, dtype=np.float32).reshape(2, 3, 4)
CALLS = {
    "leaky_relu": lambda t, n: F.leaky_relu(t, n(0.1)),
    "elu": lambda t, n: F.elu(t, n(1.5)),
    "softplus": lambda t, n: F.softplus(t, n(2.0), n(20.0)),
    "hardtanh": lambda t, n: F.hardtanh(t, n(-1.0), n(1.0)),
    "clamp": lambda t, n: t.clamp(n(-0.5), n(0.5)),
    "power": lambda t, n: (t * t) ** n(1.5),
    "rpow": lambda t, n: n(2.0) ** t,
    "huber_loss": lambda t, n: F.huber_loss(t, 2 * t, delta=n(0.5)),
    "smooth_l1_loss": lambda t, n: F.smooth_l1_loss(t, 2 * t, beta=n(0.5)),
    "layer_norm": lambda t, n: F.layer_norm(t, (4,), eps=n(1e-5)),
    "norm": lambda t, n: t.norm(n(3.0)),
    "normalize": lambda t, n: F.normalize(t, n(2.0), dim=-1, eps=n(1e-8)),
    "cosine_similarity": lambda t, n: F.cosine_similarity(t, 2 * t, dim=-1, eps=n(1e-8)),
    "masked_fill": lambda t, n: t.masked_fill(t > 0, n(-1.0)),
    "maximum": lambda t, n: np.maximum(t, n(0.0)),
    "abs": lambda t, n: np.abs(t),
}


@pytest.mark.parametrize("number", [np.float64, np.float32, np.array])
@pytest.mark.parametrize("name", CALLS)
def test_a_setting_of_numpy_s_does_what_python_s_does(name, number):
    results = []
    for kind in (float, number):
        t = mg.tensor(X, requires_grad=True)
        y = CALLS[name](t, kind)
        y.sum().backward()
        assert y.dtype == t.grad.dtype == np.float32
        results.append((y.numpy(), t.grad))
    for expected, found in zip(*results):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_whole_numbers_keep_to_int64_and_float32():
    t = mg.tensor(np.array([1, 2, 3], np.uint8))
    assert t.cumsum(0).dtype == t.prod().dtype == np.int64
    clamped = t.clamp(1.5, 2.5)
    assert clamped.dtype == np.float32 and clamped.tolist() == [1.5, 2, 2.5] and t.clamp(2).dtype == np.uint8
    assert t.masked_fill(t > 1, 7).tolist() == [1, 7, 7]
    for value in (0.5, -1, 300, float("nan")):
        with pytest.raises(ValueError, match="masked_fill: value must be a number that x of uint8 holds"):
            t.masked_fill(t > 1, value)
    with pytest.raises(TypeError, match="nll_loss: x must hold floating-point numbers"):
        F.nll_loss(mg.tensor([[1, 2]]), np.array([0]))


def test_a_single_number_has_axis_0_or_is_refused():
    for name in ("cumsum", "prod", "sum"):
        t = mg.tensor(3.0, requires_grad=True)
        y = getattr(t, name)(0)
        y.backward()
        assert y.shape == () and y.item() == 3 and t.grad == 1
    assert mg.tensor(3.0).prod(0, keepdim=True).shape == ()
    for name, arguments in dict(sort=(0,), argsort=(0,), topk=(1, 0), unbind=(0,), split=(1, 0), chunk=(1, 0)).items():
        with pytest.raises(ValueError, match=f"{name}: x must have an axis"):
            getattr(mg.tensor(3.0), name)(*arguments)
