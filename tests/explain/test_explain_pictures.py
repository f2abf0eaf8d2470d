"""Filters, feature maps, saliency, Grad-CAM, confusion, feature reuse: the numbers behind each picture."""

import numpy as np
import pytest

import architectures
import minigrad as mg
from minigrad import data, explain, nn
from minigrad.explain.confusion import confusion_figure
from minigrad.explain.figure import plain, png, signed_colours
from minigrad.explain.grad_cam import enlarged
from minigrad.nn import functional as F

FAMILIES = ["vgg_small_bn", "resnet20", "googlenet_small", "densenet_small", "alexnet_small"]


def image(shape=(8, 8, 2), seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def small_net(dtype=np.float64):
    """conv - ReLU - conv - ReLU - global average - FC, in float64."""
    rng = np.random.default_rng(1)
    first, second = nn.Conv2d(2, 4, 3, rng=rng), nn.Conv2d(4, 5, 3, stride=2, rng=rng)
    end = {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten(), "fc": nn.Linear(5, 3, rng=rng)}
    net = nn.Sequential({"a": first, "relu1": nn.ReLU(), "b": second, "relu2": nn.ReLU(), **end})
    for p in net.parameters():
        p.data = p.data.astype(dtype)
    return net


def logit(net, x, class_):
    return net(mg.Tensor(x[None])).data[0, class_]


@pytest.fixture
def same_state():
    """Checks that nets given to it are left as they were."""
    seen = []

    def watch(net):
        state = {n: a.copy() for n, a in net.state_dict().items()}
        seen.append((net, [dict(vars(m)) for m in net.modules()], state))
        return net

    yield watch
    for net, attributes, state in seen:
        assert [dict(vars(m)) for m in net.modules()] == attributes
        assert all(p.grad is None for p in net.parameters())
        for name, array in net.state_dict().items():
            np.testing.assert_array_equal(array, state[name])


def test_what_makes_no_sense_is_refused_in_a_line():
    net, x = small_net(), image()
    with pytest.raises(TypeError, match=r"saliency: class_ must be a class's number from 0 to 2, or None; got 'Bag'"):
        explain.saliency(net, x, "Bag")
    with pytest.raises(TypeError, match=r"confusion: dataset must be a data set with `classes`.*; got tuple"):
        explain.confusion(net, (x, 1))
    with pytest.raises(TypeError, match=r"element: tensor must be a Tensor .*; got ndarray"):
        explain.element(net(mg.Tensor(x[None])).sum(), x, (0, 0, 0))


def test_signed_numbers_have_the_same_colours_everywhere():
    from minigrad.explain.page import STATIC

    low, middle, high = ([round(255 * v) for v in signed_colours()(at)[:3]] for at in (0.0, 0.5, 1.0))
    script, css = ((STATIC / name).read_text() for name in ("panel.js", "explorer.css"))
    assert f"[{', '.join(map(str, low))}] : [{', '.join(map(str, high))}]" in script
    colours = [f"rgb({', '.join(map(str, c))})" for c in (low, [245] * 3, high)]
    assert ", ".join(colours) in css and np.abs(np.array(middle) - 245).max() <= 1


def test_saliency_is_the_derivative(same_state):
    net, x = same_state(small_net()), image()
    found = explain.saliency(net, x, 2)
    for index in [(0, 0, 0), (3, 4, 1), (7, 7, 0), (5, 2, 1)]:
        up, down = x.copy(), x.copy()
        up[index] += 1e-6
        down[index] -= 1e-6
        expected = (logit(net, up, 2) - logit(net, down, 2)) / 2e-6
        assert found.gradient[index] == pytest.approx(expected, rel=1e-5, abs=1e-9)
    np.testing.assert_array_equal(found.map, np.abs(found.gradient).max(-1))
    assert found.score == logit(net, x, 2) and found.class_ == 2


def test_grad_cam_by_hand(same_state):
    """Behind the last maps come only an average and a matrix: d score / d maps[p, q, k] = w[class, k] / (P Q)."""
    net, x = same_state(small_net()), image()
    maps = net[0:4](mg.Tensor(x[None])).data[0]
    found = explain.grad_cam(net, x, 1)
    weights = net.fc.weight.data[1] / maps[..., 0].size
    np.testing.assert_allclose(found.weights, weights, rtol=1e-12)
    np.testing.assert_allclose(found.coarse, np.maximum(maps @ weights, 0), rtol=1e-12, atol=1e-15)
    assert found.layer == "relu2" and found.map.shape == (8, 8)
    assert found.coarse.max() >= found.map.max() and (found.map >= 0).all()


def test_grad_cam_of_an_earlier_layer_against_differences(same_state):
    """Adding e to the whole map k of layer `relu1` moves the score by e P Q weights[k]."""
    net, x = same_state(small_net()), image()
    found = explain.grad_cam(net, x, 0, layer="relu1")
    maps = net[0:2](mg.Tensor(x[None])).data

    def score(maps):
        return net[2:](mg.Tensor(maps)).data[0, 0]

    for k in range(4):
        shift = 1e-6 * (np.arange(4) == k)
        expected = (score(maps + shift) - score(maps - shift)) / 2e-6
        assert found.weights[k] * maps[0, ..., 0].size == pytest.approx(expected, rel=1e-5, abs=1e-8)


def test_enlarging_is_linear_between_the_middles_of_cells():
    np.testing.assert_allclose(enlarged(np.array([[0.0, 4.0]]), (1, 8)), [[0, 0, 0.5, 1.5, 2.5, 3.5, 4, 4]])
    np.testing.assert_array_equal(enlarged(np.full((3, 2), 7.0), (28, 30)), np.full((28, 30), 7.0))
    np.testing.assert_array_equal(enlarged(np.eye(3), (3, 3)), np.eye(3))


@pytest.mark.parametrize("name", FAMILIES)
def test_whole_nets(name, same_state):
    net = same_state(architectures.create(name, in_channels=1, image_size=28).train())
    x = image((28, 28, 1)).astype(np.float32)
    logits = net.eval()(mg.Tensor(x[None])).data[0]
    net.train()
    cam, seen = explain.grad_cam(net, x), explain.feature_maps(net, x)
    assert cam.class_ == explain.saliency(net, x).class_ == logits.argmax() and cam.score == logits.max()
    sizes = [values.shape[0] for values in seen.maps.values()]
    assert sizes == sorted(set(sizes), reverse=True) and len(sizes) >= 3
    assert list(seen.maps)[-1] == cam.layer
    np.testing.assert_allclose(cam.coarse, np.maximum(seen.maps[cam.layer] @ cam.weights, 0), rtol=1e-4, atol=1e-6)


def test_feature_maps_are_what_the_modules_give(same_state):
    net, x = same_state(small_net()), image()
    seen = explain.feature_maps(net, x, ["b", "a"], channels=3)
    assert list(seen.maps) == ["b", "a"]
    np.testing.assert_array_equal(seen.maps["a"], net.a(mg.Tensor(x[None])).data[0])
    spread = seen.maps["a"].std((0, 1))
    assert set(seen.strongest("a")) == set(np.argsort(-spread)[:3])
    axes = [ax for ax in seen.plot().axes if ax.images]
    assert len(axes) == 1 + 2 * 3
    np.testing.assert_array_equal(axes[1].images[0].get_array(), seen.maps["b"][..., seen.strongest("b")[0]])


def test_filters():
    net = small_net()
    found = explain.filters(net)
    assert found.layer == "a" and found.weight.shape == (4, 3, 3, 2)
    canvas = found.plot().axes[0].images[0].get_array()
    np.testing.assert_array_equal(canvas[4:7, 4:7], net.a.weight.data[1, :, :, 1])  # row: filter 1, column: channel 1
    coloured = explain.filters(nn.Sequential(nn.Conv2d(3, 5, 2)))
    canvas = coloured.plot().axes[0].images[0].get_array()
    assert canvas.shape == (5, 8, 3) and 0 <= canvas.min() and canvas.max() <= 1
    limit = np.abs(coloured.weight).max()
    np.testing.assert_allclose(canvas[:2, 3:5], coloured.weight[1] / (2 * limit) + 0.5)
    assert explain.filters(net, "b").layer == "b"


def test_confusion_counts(same_state):
    """A model that takes the class of the brightest pixel, on images made so that the answer is known."""

    class Brightest(nn.Module):
        def __init__(self):
            self.scale = nn.Parameter(np.ones(1, np.float32))

        def forward(self, x):
            return (x * self.scale).reshape(x.shape[0], -1)

    labels, predicted = np.array([0, 1, 2, 0, 1, 2, 2]), np.array([0, 2, 2, 1, 2, 2, 0])
    images = np.zeros((7, 1, 3, 1), np.uint8)
    images[np.arange(7), 0, predicted] = 255
    dataset = data.ArrayDataset(images, labels, ("cat", "dog", "cow"))
    found = explain.confusion(same_state(Brightest()), dataset, batch_size=3)
    np.testing.assert_array_equal(found.counts, [[1, 1, 0], [0, 0, 2], [1, 0, 2]])
    assert found.accuracy == pytest.approx(3 / 7) and found.mistakes(2) == [("dog", "cow", 2), ("cat", "dog", 1)]
    assert "42.86% of 7 images" in str(found) and "2 of dog taken for cow" in str(found)
    np.testing.assert_allclose(found.plot().axes[0].images[0].get_array()[1], [0, 0, 100])
    with pytest.raises(ValueError, match="confusion: the model has 3 classes, the data set 4"):
        explain.confusion(Brightest(), data.ArrayDataset(images, labels, ("a", "b", "c", "d")))


def test_feature_reuse_by_hand():
    net = architectures.create("densenet_bc_16_4", in_channels=1, image_size=28)
    first = net.features.denseblock1  # 8 channels in, two layers of 4
    first.denselayer2.conv1.weight.data[..., :8] = 0.5
    first.denselayer2.conv1.weight.data[..., 8:] = -0.25
    net.features.transition1.conv.weight.data[...] = np.repeat([1.0, 2.0, 3.0], [8, 4, 4])
    net.classifier.weight.data[..., -4:] = 7
    found = explain.feature_reuse(net)
    assert list(found.blocks) == [f"features.denseblock{i}" for i in (1, 2, 3)]
    strength = found.blocks["features.denseblock1"]
    assert strength[0, 0] == pytest.approx(np.abs(first.denselayer1.conv1.weight.data).mean())
    np.testing.assert_allclose(strength[:, 1], [0.5, 0.25, np.nan])
    np.testing.assert_allclose(strength[:, 2], [1, 2, 3])
    assert found.blocks["features.denseblock3"][2, 2] == 7
    shapes = [ax.images[0].get_array().shape for ax in found.plot().axes if ax.get_xlabel()]
    assert shapes == [(3, 3)] * 3
    basic = explain.feature_reuse(architectures.create("densenet_10_4", in_channels=1, image_size=28))
    assert [b.shape for b in basic.blocks.values()] == [(3, 3)] * 3


def test_feature_reuse_of_a_dense_net_of_ones_own():
    """It is told by what its layers read, not by its class."""
    layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(7, 4, 3, padding=1), nn.Conv2d(11, 4, 3, padding=1))
    layers[2].weight.data[..., 3:7] = 2.0
    (found,) = explain.feature_reuse(nn.Sequential({"block": layers, "head": nn.Conv2d(15, 2, 1)})).blocks.values()
    assert found.shape == (4, 4) and found[1, 2] == 2.0 and np.isnan(found[3, 2]) and np.isfinite(found[:, 3]).all()


def test_results_show_themselves_in_notebooks():
    net, x = small_net(), image()
    for found in (explain.saliency(net, x), explain.grad_cam(net, x), explain.filters(net)):
        assert found._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda net: explain.saliency(net, np.zeros((2, 8, 8, 2))), r"saliency: image must be one image \(H, W, C\)"),
        (lambda net: explain.saliency(net, image(), 3), "saliency: class_ must be from 0 to 2"),
        (
            lambda net: explain.grad_cam(net, image(), 0, "c"),
            "grad_cam: no module 'c' gave a tensor; those that did: a, relu1, b, relu2, ",
        ),
        (lambda net: explain.grad_cam(net, image(), 0, "fc"), "grad_cam: layer must give maps"),
        (lambda net: explain.feature_maps(net, image(), ["fc"]), "feature_maps: fc gives no maps"),
        (lambda net: explain.filters(net, "fc"), "filters: no convolution 'fc'; there are a, b"),
        (lambda net: explain.filters(nn.Linear(2, 2)), "filters: Linear has no convolution"),
        (lambda net: explain.feature_reuse(net), "feature_reuse: Sequential has no dense blocks"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call(small_net())


NAMES = [r"$\frac$", "a $ b $", "one $", "odd\udce9name", "<!--<script>"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_are_drawn_letter_by_letter(name):
    """A name is no formula: neither a class's nor a layer's."""
    picture = confusion_figure(np.eye(2), (name, "b"), f"title {name}")
    assert picture._repr_png_().startswith(b"\x89PNG")
    net = nn.Sequential({name: nn.Conv2d(2, 4, 3, padding=1), "flatten": nn.Flatten(), "fc": nn.Linear(64, 3)})
    x = np.random.default_rng(0).random((4, 4, 2), np.float32)
    loss = F.cross_entropy(net(mg.tensor(x[None])), np.array([0]))
    for found in (
        explain.filters(net, name),
        explain.feature_maps(net, x, [name], channels=2),
        explain.grad_cam(net, x, layer=name),
        explain.gradient_flow(net, loss),
        explain.ledger(net, (4, 4, 2), measure=False),
    ):
        assert png(found.plot()).startswith(b"\x89PNG")
    assert plain("$\udce9") == r"\$?"


def test_printing_a_result_prints_a_summary_never_its_arrays():
    """In a notebook and in a script alike, whatever a result holds."""
    net, x = small_net(), image()
    loss = F.cross_entropy(net(mg.tensor(x[None])), np.array([0]))
    dense = architectures.create("densenet_bc_16_4", in_channels=1, image_size=28)
    part = explain.element(loss, net.a.weight, (0, 0, 0, 0)).parts[0]
    lab = explain.vanishing_gradients(6, 4, nets=["plain"], norms=[False], heads=[False], seeds=1, batch_size=2)
    results = [explain.saliency(net, x), explain.grad_cam(net, x), explain.filters(net), explain.feature_maps(net, x)]
    results += [explain.feature_reuse(dense), part, lab, lab.curves[0], explain.Stepper(loss), explain.graph(loss)]
    for result in results:
        text = f"{result!r}\n{result}"
        assert len(text) < 3000 and "array(" not in text, text
    text = str(results[0])
    assert text.startswith("Saliency\n") and "image     (8, 8, 2) from" in text and "class_    " in text


def test_feature_maps_of_a_relu_that_is_fused_otherwise():
    """While a net is looked at, each module of a Sequential is called, and gives what it alone computes."""
    net = small_net()
    seen = explain.feature_maps(net, image(), ["a", "relu1"])
    assert seen.maps["a"].min() < 0
    np.testing.assert_array_equal(seen.maps["relu1"], np.maximum(seen.maps["a"], 0))
