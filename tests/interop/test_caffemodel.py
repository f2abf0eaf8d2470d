"""Caffe's .caffemodel: the same weights as from raw blobs, its nets' conventions, and files made to do harm."""

import builtins
import io
import tarfile
import tracemalloc

import numpy as np
import pytest

pytest.importorskip("google.protobuf", reason="the parser of .caffemodel")
from caffe_files import blob, blob_by_hand, caffemodel, field, layer, layer_by_hand, message, varint
from hostile_files import refused
from published import published

import architectures
import minigrad as mg
from minigrad.interop import WeightsError, caffe_names, load_weights, read
from minigrad.interop import caffe as raw
from minigrad.interop.layout import converted

RNG = np.random.default_rng(0)


def numbers(*shape):
    return RNG.standard_normal(shape, np.float32)


def raw_blobs(path, weights):
    """The same as a tar of raw blobs: {layer: (filter (K, C, R, S), bias)}."""
    with tarfile.open(path, "w") as archive:
        for name, (w, b) in weights.items():
            for ending, array in (("filter", w.transpose(0, 2, 3, 1) if w.ndim == 4 else w), ("bias", b)):
                data = np.ascontiguousarray(array).tobytes()
                entry = tarfile.TarInfo(f"net/weights/{name}_{ending}.bin")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))


def googlenet_layers(net):
    """{layer in Caffe's file: (filter, bias)} of a GoogLeNet here."""
    rename = caffe_names.googlenet_layer
    modules = [f"inception_{m}" for m in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")]
    layers = [f"{m}/{branch}" for m in modules for branch in caffe_names.BRANCHES]
    layers += [name for name, here in caffe_names.LAYERS.items() if not here.startswith("aux")]
    state = net.state_dict()
    found = {name: (state[f"{rename(name)}.weight"], state[f"{rename(name)}.bias"]) for name in layers}
    return {n: (w.transpose(0, 3, 1, 2) if w.ndim == 4 else w, b) for n, (w, b) in found.items()}


def as_caffemodel(path, weights):
    kinds = {4: "Convolution", 2: "InnerProduct"}
    return caffemodel(path, *(layer(name, kinds[w.ndim], w, b) for name, (w, b) in weights.items()))


def same(first, second):
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(np.array_equal(a[n], b[n]) for n in a)


@pytest.mark.long
def test_bit_for_bit_the_weights_of_raw_blobs(tmp_path):
    made = architectures.create("googlenet_paper", aux_logits=False, seed=3)
    raw_blobs(tmp_path / "net.tar", weights := googlenet_layers(made))
    as_caffemodel(tmp_path / "net.caffemodel", weights)
    nets = [architectures.create("googlenet", weights=tmp_path / f"net.{kind}") for kind in ("tar", "caffemodel")]
    assert same(*nets) and same(nets[0], made)
    assert nets[0].preprocessing == nets[1].preprocessing and nets[1].preprocessing.channels == "BGR"


@pytest.mark.long
def test_the_published_blobs_as_a_caffemodel(tmp_path):
    path = published("bvlc_googlenet.tar")
    net = architectures.create("googlenet", weights=path)
    as_caffemodel(tmp_path / "bvlc.caffemodel", googlenet_layers(net))
    assert same(architectures.create("googlenet", weights=tmp_path / "bvlc.caffemodel"), net)
    assert len(raw.read(path).arrays) == len(read(tmp_path / "bvlc.caffemodel").arrays)


def test_bytes_written_by_hand_and_by_the_library_are_the_same(tmp_path):
    w, b = np.arange(8, dtype=np.float32).reshape(2, 2, 2, 1), np.float32([0.5, -1])
    by_hand = layer_by_hand("conv", "Convolution", blob_by_hand(w.shape, w.ravel()), blob_by_hand(b.shape, b))
    (tmp_path / "a.caffemodel").write_bytes(field(1, b"a net") + field(100, by_hand))
    caffemodel(tmp_path / "b.caffemodel", layer("conv", "Convolution", w, b))
    for found in (read(tmp_path / f"{n}.caffemodel").arrays for n in "ab"):
        assert found.keys() == {"conv/filter", "conv/bias"}
        assert np.array_equal(found["conv/filter"], w) and np.array_equal(found["conv/bias"], b)


def test_the_older_format(tmp_path):
    """Field 2 of the net, types that are numbers, four axes whatever it is."""
    conv, full, bias = numbers(1, 1, 3, 3), numbers(4, 6), numbers(4)
    layers = [
        message("OldLayer", name="conv", type=4, blobs=[blob(conv, legacy=True)]),
        message("OldLayer", name="fc", type=14, blobs=[blob(full, legacy=True), blob(bias, legacy=True)]),
    ]
    (tmp_path / "a.caffemodel").write_bytes(message("Net", layers=layers))
    found = read(tmp_path / "a.caffemodel").arrays
    expected = {"conv/filter": conv, "fc/filter": full, "fc/bias": bias}
    assert found.keys() == expected.keys() and all(np.array_equal(found[n], a) for n, a in expected.items())


def test_doubles_and_numbers_in_pieces(tmp_path):
    values = np.array([1.5, -2, 1e-3])
    doubles = message("Blob", double_data=[values.tobytes()], shape=message("Shape", dim=[3]))
    pieces = message("Blob", data=[np.float32([n]).tobytes() for n in values], shape=message("Shape", dim=[3]))
    caffemodel(tmp_path / "a.caffemodel", message("Layer", name="x", type="Scale", blobs=[doubles, pieces]))
    found = read(tmp_path / "a.caffemodel").arrays
    assert np.array_equal(found["x/gamma"], values) and np.array_equal(found["x/beta"], values.astype(np.float32))


def test_filters_and_rows_are_in_caffes_order():
    """(K, C, R, S), and C, H, W in a row: by NumPy alone."""
    w, full = numbers(3, 3, 3, 3), numbers(5, 12)
    here = converted("caffe", "conv1.weight", w, (3, 3, 3, 3), None)
    assert all(here[k, r, s, c] == w[k, c, r, s] for k, c, r, s in np.ndindex(3, 3, 3, 3))
    maps = numbers(3, 2, 2)  # (C, H, W)
    rows = converted("caffe", "fc8.weight", full, (5, 12), (2, 2, 3))
    np.testing.assert_allclose(rows @ maps.transpose(1, 2, 0).ravel(), full @ maps.ravel(), rtol=1e-4, atol=1e-4)


def resnet_file(path, net, factor=2.0, eps=None, pool=None):
    """A ResNet-50 here as its authors' file: sums over `factor` in batch norms, which are apart from their scales."""
    state, layers = net.state_dict(), []
    names = {"conv1": ("conv1", "bn1", "bn_conv1", "scale_conv1")}
    for stage, depth in enumerate((3, 4, 6, 3), 1):
        for i in range(depth):
            here, there = f"layer{stage}.{i}", f"{stage + 1}{'abcdef'[i]}_branch"
            for n, half in enumerate("abc", 1):
                ours, theirs = (f"{here}.conv{n}", f"{here}.bn{n}"), f"{there}2{half}"
                names[f"res{theirs}"] = (*ours, f"bn{theirs}", f"scale{theirs}")
            if i == 0:
                ours, theirs = (f"{here}.downsample.0", f"{here}.downsample.1"), f"{there}1"
                names[f"res{theirs}"] = (*ours, f"bn{theirs}", f"scale{theirs}")
    told = {} if eps is None else {"batch_norm": message("BatchNorm", eps=eps)}
    for name, (conv, norm, bn, scale) in names.items():
        layers.append(layer(name, "Convolution", state[f"{conv}.weight"].transpose(0, 3, 1, 2)))
        mean, var = (state[f"{norm}.running_{what}"] * np.float32(factor) for what in ("mean", "var"))
        layers.append(layer(bn, "BatchNorm", mean, var, np.float32([factor]), **told))
        layers.append(layer(scale, "Scale", state[f"{norm}.weight"], state[f"{norm}.bias"]))
    layers.append(layer("fc1000", "InnerProduct", state["fc.weight"], state["fc.bias"]))
    if pool is not None:
        layers.append(layer("pool1", "Pooling", pooling=pool))
    return caffemodel(path, *layers)


@pytest.mark.long
def test_caffes_resnet(tmp_path):
    """Names, batch norms' sums, the stride in the first 1x1, and the pool that rounds up."""
    made = architectures.create("resnet50_v1", seed=1, ceil_mode=True)
    path = resnet_file(tmp_path / "a.caffemodel", made)
    net = architectures.create("resnet50", weights=path)
    assert net.made.name == "resnet50_v1" and net.made.settings["ceil_mode"] is True and same(net, made)
    assert net.maxpool.padding in (0, (0, 0)) and net.maxpool.ceil_mode and net.preprocessing.channels == "BGR"
    with pytest.warns(UserWarning, match="these weights need ceil_mode=True, the net has False"):
        wrong = architectures.create("resnet50", weights=path, ceil_mode=False)
    x = mg.Tensor(numbers(1, 64, 64, 3))
    with mg.no_grad():
        right, other, expected = (n.eval()(x).numpy() for n in (net, wrong, made))
    assert np.array_equal(right, expected) and np.abs(other - right).max() > 0.02 * np.abs(right).max()
    with pytest.raises(WeightsError, match=r"need ceil_mode=True, the net has False: .*ceil_mode=True\)"):
        load_weights(architectures.create("resnet50_v1"), path)


@pytest.mark.long
def test_what_a_caffemodel_says_of_its_layers(tmp_path):
    made = architectures.create("resnet50_v1", seed=1)
    as_here = message("Pooling", pad=1, round_mode=1)
    net = architectures.create("resnet50", weights=resnet_file(tmp_path / "a.caffemodel", made, 1, 1e-3, as_here))
    assert net.made.settings["ceil_mode"] is False and net.bn1.eps == 1e-3 and same(net, made)


def test_pools_that_no_net_here_has(tmp_path):
    names = ("res2a_branch1", "res4f_branch2a", "res3a_branch2b")
    layers = [layer(n, "Convolution", numbers(1, 1, 1, 1)) for n in names]
    odd = layer("pool1", "Pooling", pooling=message("Pooling", pad=1))
    strided = layer("res3a_branch2b", "Convolution", convolution=message("Convolution", stride=[2]))
    for extra, said in ((odd, "its pool1 pads by 1 and rounds up"), (strided, "the stride is in the 3x3")):
        with pytest.raises(WeightsError, match=said):
            architectures.create("resnet50", weights=caffemodel(tmp_path / "a.caffemodel", *layers, extra))


def alexnet_file(path, *between):
    """Caffe's AlexNet without its numbers, which its recognition does not look at."""
    named = [(f"conv{i}", "Convolution") for i in range(1, 6)] + [(f"fc{i}", "InnerProduct") for i in (6, 7, 8)]
    layers = [layer(n, k, numbers(*(1,) * (4 if k == "Convolution" else 2)), numbers(1)) for n, k in named]
    return caffemodel(path, layers[0], *(layer(n, k) for n, k in between), *layers[1:])


@pytest.mark.parametrize("order, lrn", [("np", "channels"), ("pn", "pooled"), ("", "channels")])
def test_alexnet_and_caffenet_are_told_by_the_order_of_their_layers(order, lrn, tmp_path):
    kinds = {"n": ("norm1", "LRN"), "p": ("pool1", "Pooling")}
    contents = read(alexnet_file(tmp_path / "a.caffemodel", *(kinds[c] for c in order)))
    assert caffe_names.options(contents) == {"ceil_mode": True, "lrn": lrn}


def test_vggs_names():
    names = caffe_names.vgg_layers(2, 2, 3, 3, 3)
    found = [names(n) for n in ("conv1_1", "conv2_2", "conv5_3", "fc6", "fc8", "other")]
    assert found == ["features.0", "features.7", "features.28", "classifier.0", "classifier.6", "other"]
    assert caffe_names.vgg_layers(2, 2, 4, 4, 4)("conv5_4") == "features.34"


# Files made to do harm


def conv_of(shape, count):
    made = message("Blob", data=[bytes(4 * count)], shape=b"\x0a" + varint(10 * len(shape)) + b"".join(map(ten, shape)))
    return message("Layer", name="conv", type="Convolution", blobs=[made])


def ten(n):
    """A varint of ten bytes, as negative numbers have."""
    n %= 1 << 64
    return bytes((n >> 7 * i) & 127 | 128 for i in range(9)) + bytes([n >> 63])


@pytest.mark.parametrize(
    "shape, count, said",
    [
        ((2, 3), 5, r"claims the shape \(2, 3\), and has 5 numbers"),
        ((-2, -2), 4, r"claims the shape \(-2, -2\)"),
        ((1 << 40, 1 << 40), 1, "claims the shape"),
        ((0, 1 << 62), 3, "claims the shape"),
        ((0, 1 << 62), 0, "a blob without numbers"),
        ((1,) * 80, 1, "a shape of 803 bytes"),
    ],
)
def test_shapes_that_lie(shape, count, said, tmp_path):
    path = caffemodel(tmp_path / "a.caffemodel", conv_of(shape, count))
    refused(path, said, megabytes=1)


MILLION = {
    "layers": field(100, b"") * 1_000_000,
    "layers of the older format": field(2, b"") * 1_000_000,
    "blobs": field(100, field(7, b"") * 1_000_000),
    "unknown": field(55, b"") * 1_000_000,
    "tags longer than they need be": b"\xa2\x86\x00\x00" * 1_000_000,
}


@pytest.mark.parametrize("what", MILLION)
def test_a_million_layers_or_blobs(what, tmp_path):
    (tmp_path / "a.caffemodel").write_bytes(MILLION[what])
    refused(tmp_path / "a.caffemodel", "more than 20,000 tensors", megabytes=16)


def test_truncated_nested_and_other_bytes(tmp_path):
    whole = caffemodel(tmp_path / "whole.caffemodel", layer("conv", "Convolution", numbers(2, 3, 3, 3))).read_bytes()
    nested = b""
    for _ in range(200):
        nested = field(100, field(7, nested))
    groups, text = b"\x0b" * 100_000, b"layer { name: 'conv' }"
    for data in (*(whole[:n] for n in (1, 2, 10, 40, len(whole) - 1)), groups, text, b"\xff" * 100, b"", nested):
        (tmp_path / "a.caffemodel").write_bytes(data)
        refused(tmp_path / "a.caffemodel", "damaged|truncated|no layer with weights", megabytes=1)
    bad_name = field(100, field(1, b"\xff\xfe") + field(7, b""))
    (tmp_path / "a.caffemodel").write_bytes(bad_name)
    refused(tmp_path / "a.caffemodel", "damaged", megabytes=1)


def test_blobs_that_no_layer_has(tmp_path):
    three = [numbers(1)] * 3
    for made, said in (
        (layer("bn", "BatchNorm", numbers(2), numbers(2), numbers(2)), "the factor of bn has 2 numbers"),
        (layer("bn", "BatchNorm", np.float32([1]), np.float32([-1]), np.float32([1])), "values below 0"),
        (layer("conv", "Convolution", *three), r"conv \(Convolution\) has 3 blobs"),
        (layer("conv", "Convolution", np.float32([np.nan])), "NaN"),
    ):
        refused(caffemodel(tmp_path / "a.caffemodel", made), said, megabytes=1)


def test_without_protobuf_one_line_names_the_extra(tmp_path, monkeypatch):
    path = caffemodel(tmp_path / "a.caffemodel", layer("conv", "Convolution", numbers(1, 1, 1, 1)))
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name.startswith("google"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    from minigrad.interop import caffemodel as module

    module.messages.cache_clear()
    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(WeightsError, match=r"a.caffemodel: .* needs protobuf: pip install 'minigrad\[caffe\]'"):
        read(path)


def test_the_numbers_take_no_more_than_a_few_times_the_files_length(tmp_path):
    path = caffemodel(tmp_path / "a.caffemodel", layer("fc", "InnerProduct", np.ones((1000, 2000), np.float32)))
    tracemalloc.start()
    read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * path.stat().st_size
