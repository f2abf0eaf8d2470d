"""ceil_mode: where Caffe's nets round the sizes of their pools up. Wrong without it, right with it, and it travels."""

import warnings

import numpy as np
import pytest

import architectures
import minigrad as mg
from architectures import registry
from minigrad.export import export
from minigrad.interop import WeightsError, load_weights, read


def logits(net, x):
    with mg.no_grad():
        return net.eval()(mg.Tensor(x)).numpy()


def images(size, n=1):
    return np.random.default_rng(0).standard_normal((n, size, size, 3), np.float32)


def caffes_pool(x, size=3, stride=2, pad=0):
    """Caffe's max-pool of (H, W, C): ceil((H + 2 pad - size) / stride) + 1 windows, cut off at the edge."""
    h, w, _ = x.shape
    starts = [
        [i * stride - pad for i in range(-(-(n + 2 * pad - size) // stride) + 1) if i * stride - pad < n]
        for n in (h, w)
    ]
    rows = [[x[max(i, 0) : i + size, max(j, 0) : j + size].max((0, 1)) for j in starts[1]] for i in starts[0]]
    return np.array(rows)


@pytest.mark.parametrize("size", [8, 9, 16, 17, 112])
def test_the_pool_of_a_resnet_is_caffes(size):
    x = images(size)
    plain, caffes = (registry.outline("resnet18", ceil_mode=c).maxpool for c in (False, True))
    assert np.array_equal(logits(caffes, x)[0], caffes_pool(x[0]))
    assert plain.padding in (1, (1, 1)) and not plain.ceil_mode
    if size % 2 == 0:  # as many pixels, but others
        assert plain(mg.Tensor(x)).shape == caffes(mg.Tensor(x)).shape
        assert np.mean(logits(plain, x)[0] != caffes_pool(x[0])) > 0.3


def test_the_pools_of_a_densenet_are_caffes():
    net = registry.outline("densenet121", ceil_mode=True)
    x = images(14)
    assert np.array_equal(logits(net.features.pool0, x)[0], caffes_pool(x[0], pad=1))
    assert logits(net.features.pool0, x).shape == (1, 8, 8, 3)  # 7 without
    odd, transition = images(5), net.features.transition1.pool
    np.testing.assert_allclose(logits(transition, odd)[0, 2, 2], odd[0, 4, 4], rtol=1e-6)
    assert logits(transition, odd).shape == (1, 3, 3, 3)


def test_pools_of_alexnet_and_vgg():
    """Of images of 224 pixels the fully-connected layer of Caffe's AlexNet has 6 x 6 maps, the paper's here 5 x 5."""
    shapes = {}
    for ceil in (False, True):
        net = registry.outline("alexnet_paper", image_size=224, ceil_mode=ceil)
        shapes[ceil] = net.classifier.fc6.weight.shape
    assert shapes == {False: (4096, 5 * 5 * 256), True: (4096, 6 * 6 * 256)}
    vgg = registry.outline("vgg16", ceil_mode=True)
    assert all(m.ceil_mode for m in vgg.modules() if type(m).__name__ == "MaxPool2d")


def test_caffes_alexnets_normalise_over_both_towers_and_caffenet_after_its_pools():
    """By NumPy: x / (1 + 1e-4 / 5 * the sum of squares over 5 channels)^0.75; the paper's has k = 2 within a tower."""
    made = {lrn: registry.outline("alexnet_paper", lrn=lrn) for lrn in LRN}
    order = {lrn: [n for n, _ in net.features.named_children()][2:4] for lrn, net in made.items()}
    assert order == LRN
    x = 30 * np.random.default_rng(0).standard_normal((1, 1, 1, 96)).astype(np.float32)
    around = np.pad(x[0, 0, 0] ** 2, 2)
    expected = x[0, 0, 0] / (1 + 1e-4 / 5 * sum(around[i : i + 96] for i in range(5))) ** 0.75
    for lrn in ("channels", "pooled"):
        np.testing.assert_allclose(logits(made[lrn].features.norm1, x)[0, 0, 0], expected, rtol=1e-5)
    paper = logits(made["towers"].features.norm1, x)[0, 0, 0]
    assert np.abs(paper - expected).max() > 0.1 * np.abs(expected).max()
    with pytest.raises(ValueError, match="alexnet_paper: lrn must be 'towers', 'channels' or 'pooled'; got 'bvlc'"):
        architectures.create("alexnet_paper", lrn="bvlc")


LRN = {"towers": ["norm1", "pool1"], "channels": ["norm1", "pool1"], "pooled": ["pool1", "norm1"]}


SMALL = dict(num_classes=4, image_size=35, seed=1)


@pytest.mark.parametrize("to, ending", [("safetensors", "safetensors"), ("torch", "pth")])
def test_it_travels_with_the_weights(to, ending, tmp_path):
    net = architectures.create("vgg_small_bn", ceil_mode=True, **SMALL)
    export(net, path := tmp_path / f"net.{ending}", to)
    x = images(35)
    for back in (mg.load(path).net, architectures.create("vgg_small_bn", weights=path, image_size=35)):
        assert back.made.settings["ceil_mode"] is True and np.array_equal(logits(back, x), logits(net, x))
    usual = architectures.create("vgg_small_bn", **SMALL)
    with pytest.raises(WeightsError, match=r"need ceil_mode=True, the net has False: .*ceil_mode=True\)"):
        load_weights(usual, path)
    usual.load_state_dict(net.state_dict())
    assert np.abs(logits(usual, x) - logits(net, x)).max() > 0.01 * np.abs(logits(net, x)).max()


def test_a_file_of_the_usual_net_says_so_too(tmp_path):
    export(architectures.create("vgg_small_bn", **SMALL), path := tmp_path / "net.pth", "torch")
    with pytest.warns(UserWarning, match="these weights need ceil_mode=False, the net has True"):
        architectures.create("vgg_small_bn", weights=path, image_size=35, ceil_mode=True)
    with warnings.catch_warnings(action="error"):
        assert read(path).net_facts()["options"]["ceil_mode"] is False
        architectures.create("vgg_small_bn", weights=path, image_size=35)


LARGE = [
    pytest.param(*row, marks=pytest.mark.long) for row in (("resnet18", 32), ("resnet18", 35), ("densenet121", 43))
]


@pytest.mark.parametrize("name, size", [("vgg_small_bn", 35), *LARGE])
def test_onnx_has_it_in_the_graph(name, size, tmp_path):
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    net = architectures.create(name, num_classes=4, image_size=size, ceil_mode=True).eval()
    plain = architectures.create(name, num_classes=4, image_size=size).eval()
    export(net, path := tmp_path / "net.onnx", "onnx")
    x = images(size, 2)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    there = session.run(None, {"images": np.ascontiguousarray(x.transpose(0, 3, 1, 2))})[0]
    ours = logits(net, x)
    assert np.abs(there - ours).max() <= 1e-4 * np.abs(ours).max()
    assert np.abs(there - logits(plain, x)).max() > 0.01 * np.abs(ours).max()


def test_it_is_refused_where_no_pool_is():
    for name in ("resnet20", "densenet_bc_100_12", "lenet5", "googlenet_paper"):
        with pytest.raises(ValueError, match=f"{name}: unknown option 'ceil_mode'"):
            architectures.create(name, ceil_mode=True)
    with pytest.raises(ValueError, match="resnet50: ceil_mode must be True or False; got 'floor'"):
        architectures.create("resnet50", ceil_mode="floor")
