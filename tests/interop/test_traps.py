"""What fits by name and shape and is nonsense all the same: right with the care of loading, wrong without it."""

import dataclasses

import numpy as np
import pytest
from published import accuracy, cifar10_test, downloaded, photographs, published

import architectures
import minigrad as mg
from minigrad import nn
from minigrad.export import export
from minigrad.interop import load_weights, read


def logits(net, x):
    with mg.no_grad():
        return net(mg.Tensor(x)).numpy()


def difference(a, b):
    """The largest, as a share of the largest logit."""
    return np.abs(a - b).max() / np.abs(b).max()


def test_filters_of_three_colours_and_three_by_three_pixels(tmp_path):
    """(K, C, R, S) and (K, R, S, C) have one shape: the origin that was told decides."""
    rng = np.random.default_rng(0)
    w, b, x = (rng.standard_normal(shape, np.float32) for shape in ((4, 3, 3, 3), (4,), (1, 3, 3, 3)))
    np.savez(tmp_path / "a.npz", **{"0.weight": w, "0.bias": b})
    found = {}
    for origin in ("torch", "minigrad"):
        net = nn.Sequential(nn.Conv2d(3, 4, 3))
        load_weights(net, tmp_path / "a.npz", origin, image_size=8)
        found[origin] = logits(net, x)[0, 0, 0]
    expected = np.einsum("kcrs,rsc->k", w, x[0]) + b  # torch's definition
    assert difference(found["torch"], expected) < 1e-5
    assert difference(found["minigrad"], expected) > 0.1


FLATTENED = {  # the linear layers that follow a flatten, and the maps (P, Q, C) before it
    "lenet5": {"c5": (5, 5, 16)},
    "alexnet_small": {"classifier.fc6": (3, 3, 64)},
}
LARGE = {
    "googlenet_paper": {"aux1.fc1": (4, 4, 128), "aux2.fc1": (4, 4, 128)},  # which only training runs
    "alexnet_owt": {"classifier.1": (6, 6, 256)},
    "vgg11": {"classifier.0": (7, 7, 512)},
}
NETS = [*FLATTENED.items(), *(pytest.param(*row, marks=pytest.mark.long) for row in LARGE.items())]


@pytest.mark.parametrize("name, layers", NETS)
def test_what_a_flatten_puts_in_a_row(name, layers, tmp_path):
    """Channels first in torch's files, channels last here: the weights of such layers are in another order."""
    net, other = (architectures.create(name, seed=seed) for seed in (1, 2))
    export(net, tmp_path / "a.pth", "torch")
    arrays, own = read(tmp_path / "a.pth").arrays, net.state_dict()
    moved = [n for n, a in own.items() if a.ndim == 2 and not np.array_equal(arrays[n], a)]
    assert moved == [f"{layer}.weight" for layer in layers]
    for weight, shape in zip(moved, layers.values()):
        maps = np.random.default_rng(0).standard_normal((1, *shape), np.float32)
        here, there = maps.reshape(1, -1), maps.transpose(0, 3, 1, 2).reshape(1, -1)
        assert difference(there @ arrays[weight].T, here @ own[weight].T) < 1e-4
        assert difference(here @ arrays[weight].T, here @ own[weight].T) > 0.1
    load_weights(other, tmp_path / "a.pth")
    assert all(np.array_equal(a, own[n]) for n, a in other.state_dict().items())


def changed(net, kind, **values):
    """The net with these attributes in all modules of a kind, of which there are some."""
    modules = [m for m in net.modules() if type(m).__name__ == kind]
    for module in modules:
        vars(module).update(values)
    assert modules and values.keys() <= vars(modules[0]).keys()
    return net


@pytest.mark.long
def test_bvlcs_googlenet_pools_and_normalises_as_caffe_does():
    path, (images, labels) = published("bvlc_googlenet.tar"), photographs(50)
    net = architectures.create("googlenet", weights=path)
    x = net.preprocessing.normalised(images[:8])
    right, score = logits(net, x), accuracy(net, images, labels)
    for kind, values in (
        ("MaxPool2d", {"ceil_mode": False}),
        ("LocalResponseNorm", {"k": 2.0}),  # the paper's
        ("LocalResponseNorm", {"alpha": 5e-4}),  # not divided by the number of channels
    ):
        wrong = changed(architectures.create("googlenet", weights=path), kind, **values)
        assert difference(logits(wrong, x), right) > 0.02, values
        assert accuracy(wrong, images, labels) <= score, values


@pytest.mark.long
def test_keras_resnet50_strides_in_its_first_filter_and_has_its_own_eps():
    net, (images, labels) = architectures.create("resnet50", weights=downloaded("resnet50_keras.npz")), photographs(50)
    x = net.preprocessing.normalised(images[:8])
    for name, eps, off in (("resnet50", 1e-3, 0.2), ("resnet50_v1", 1e-5, 0.02)):
        wrong = architectures.create(name, eps=eps)
        wrong.load_state_dict(net.state_dict())  # all names and shapes fit
        assert difference(logits(wrong.eval(), x), logits(net, x)) > off
        if name == "resnet50":
            assert accuracy(wrong, images, labels, net.preprocessing) < accuracy(net, images, labels) - 5


def test_mlperfs_resnet8_has_keras_eps_and_bytes_as_they_are():
    pytest.importorskip("h5py")
    path, (images, labels) = published("pretrained", "mlperf_tiny_resnet8.h5"), cifar10_test(200)
    net = architectures.create("resnet8", weights=path)
    with pytest.warns(UserWarning, match=r"these weights need eps=0\.001"):
        wrong = architectures.create("resnet8", weights=path, eps=1e-5)
    x = net.preprocessing.normalised(images)
    assert difference(logits(wrong, x), logits(net, x)) > 0.001
    swapped = dataclasses.replace(net.preprocessing, channels="BGR")
    assert accuracy(net, images, labels, swapped) < accuracy(net, images, labels) - 5


def test_a_net_in_training_mode_gives_other_scores():
    path, (images, labels) = published("pretrained", "resnet20-12fca82f.th"), cifar10_test(200)
    net = architectures.create("resnet20", weights=path)
    right = logits(net, x := net.preprocessing.normalised(images[:10]))
    assert not net.training and difference(logits(net.train(), x), right) > 0.05
    assert net.eval() is net and labels.shape == (200,)
