"""gradient_flow against backward(); plain, residual and dense nets compared: what that is to show, with margins."""

import numpy as np
import pytest

import architectures
import minigrad as mg
from minigrad import explain, nn
from minigrad.explain import gradient_flow, vanishing_gradients
from minigrad.nn import functional as F

SMALL = dict(width=4, seeds=2, batch_size=8)


def test_gradient_flow_is_what_backward_gives():
    net = architectures.create("vgg_small_bn", in_channels=1, image_size=28)
    images = mg.tensor(np.random.default_rng(0).standard_normal((4, 28, 28, 1), np.float32))
    loss = F.cross_entropy(net(images), np.arange(4))
    found = gradient_flow(net, loss)
    assert all(p.grad is None for p in net.parameters())
    loss.backward()
    weights = [(n, p) for n, p in net.named_parameters() if p.ndim > 1]
    assert [layer.name for layer in found.layers] == [n for n, _ in weights] and len(weights) == 9
    for layer, (_, p) in zip(found.layers, weights):
        assert layer.gradient_norm == pytest.approx(np.linalg.norm(p.grad), rel=1e-5)
        assert layer.rms == pytest.approx(np.sqrt(np.mean(p.grad**2)), rel=1e-5)
        assert layer.ratio == pytest.approx(np.linalg.norm(p.grad) / np.linalg.norm(p.data), rel=1e-5)
    assert str(found).splitlines()[1].split()[0] == "features.0.weight"
    left, right = found.plot().axes
    np.testing.assert_allclose(left.lines[0].get_ydata(), [layer.rms for layer in found.layers])
    assert left.get_yscale() == right.get_yscale() == "log"


def test_gradient_flow_reaches_into_checkpointed_pieces_and_shows_zeros():
    fc, dead = nn.Linear(3, 3), nn.Linear(3, 2)
    net = nn.Sequential(fc, dead)
    dead.weight.data[...] = 0
    x = mg.tensor(np.ones((2, 3), np.float32), requires_grad=True)
    loss = F.cross_entropy(mg.checkpoint(net, x), np.array([0, 1]))
    found = gradient_flow(net, loss)
    assert found.layers[0].gradient_norm == 0 < found.layers[1].gradient_norm
    assert "1 of 2 are 0" in found.plot().axes[0].get_title()
    assert fc.weight.grad is None and x.grad is None
    with pytest.raises(ValueError, match="gradient_flow: the loss depends on no weight"):
        gradient_flow(nn.Linear(2, 2), loss)


@pytest.fixture(scope="module")
def lab():
    return vanishing_gradients(20, **SMALL)


def test_plain_nets_lose_the_gradient_and_residual_and_dense_ones_keep_it(lab):
    plain, residual, dense = (lab[net, False, False] for net in ("plain", "residual", "dense"))
    assert plain.first_to_last < 1e-5 and 0.1 < residual.first_to_last < 10 and 0.1 < dense.first_to_last < 10
    assert residual.typical[0] > 1e4 * plain.typical[0] and dense.typical[0] > 1e4 * plain.typical[0]
    assert (np.diff(np.log(plain.typical)) > 0).all()  # it shrinks at every layer on its way to the image


def test_auxiliary_heads_and_batch_norm_bring_it_back(lab):
    plain = lab["plain", False, False].typical
    helped, normed = lab["plain", False, True].typical, lab["plain", True, False].typical
    assert helped[0] > 100 * plain[0] and normed[0] > 1e4 * plain[0]
    assert helped[-1] == pytest.approx(plain[-1], rel=0.01)  # behind the heads nothing changes


def test_he_weights_keep_it_too_and_sigmoids_lose_it_sooner():
    he = vanishing_gradients(20, nets=["plain"], norms=[False], heads=[False], weights="he", **SMALL)
    assert 0.02 < he["plain", False, False].first_to_last < 50
    sigmoid = vanishing_gradients(20, nets=["plain"], norms=[False], heads=[False], activation="sigmoid", **SMALL)
    assert sigmoid["plain", False, False].first_to_last < 1e-12


def test_what_is_measured():
    """The curves of a residual net, once more by hand: dL/dH through the last block, times F' + 1."""
    from minigrad.explain.vanishing_gradients import Tower, _images

    images, labels = _images(8)
    assert images.shape == (8, 14, 14, 1) and list(labels) == [*range(8)]
    tower = Tower("residual", 6, 4, False, False, "tanh")
    logits, outputs = tower(mg.Tensor(images))
    for t in outputs.values():
        t.retain_grad()
    F.cross_entropy(logits, labels).backward()
    first, second = tower.layers[4], tower.layers[5]
    x = mg.Tensor(outputs[4].data, requires_grad=True)
    inner = second(F.tanh(first(x)))  # F(x); then H = tanh(F(x) + x)
    through_tanh = outputs[6].grad * (1 - outputs[6].data ** 2)
    inner.backward(through_tanh)
    np.testing.assert_allclose(outputs[4].grad, x.grad + through_tanh, rtol=1e-4, atol=1e-9)  # dL/dH (F' + 1)


def test_seeds_repeat_and_text_and_picture(lab):
    again = vanishing_gradients(20, nets=["dense"], norms=[True], heads=[True], **SMALL)
    np.testing.assert_array_equal(again["dense", True, True].gradients, lab["dense", True, True].gradients)
    assert len(lab.curves) == 12 and lab.curves[0].gradients.shape == (2, 20)
    assert list(lab["residual", True, True].layers) == list(range(2, 21, 2))
    lines = str(lab).splitlines()
    assert len(lines) == 14 and lines[1].startswith("plain ") and "20 layers of 4 channels, relu" in lines[-1]
    left, right = lab.plot().axes
    assert len(left.lines) == len(right.lines) == 6 and left.get_yscale() == "log"
    np.testing.assert_allclose(left.lines[0].get_ydata(), lab["plain", False, False].typical)


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(depth=7), "depth must be an even number of at least 6"),
        (dict(activation="gelu"), "activation must be one of relu, sigmoid, tanh; got 'gelu'"),
        (dict(weights="zero"), "weights must be one of default, he, glorot"),
        (dict(nets=["resnet"]), "nets must be some of plain, residual, dense"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=f"vanishing_gradients: {message}"):
        vanishing_gradients(**settings)


def test_the_old_name_still_works():
    assert explain.highway is vanishing_gradients and explain.Highway is explain.VanishingGradients
