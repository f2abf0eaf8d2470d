"""Keras' models: .keras and .h5 as Keras 3 writes them, and what is refused of them."""

import io
import json
import zipfile

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.interop import WeightsError, load_weights, read

h5py = pytest.importorskip("h5py")
RNG = np.random.default_rng(0)
FILTER, BIAS = RNG.standard_normal((3, 3, 3, 4), np.float32), RNG.standard_normal(4, np.float32)
NORM = {"gamma": 1.5, "beta": -0.5, "moving_mean": 0.25, "moving_variance": 2.0}
DENSE = RNG.standard_normal((3 * 3 * 4, 5), np.float32)


def tensor(name):
    """Keras 3's description of what a layer gave."""
    return {"class_name": "__keras_tensor__", "config": {"shape": [None], "keras_history": [name, 0, 0]}}


def layer(kind, name, before=None, **settings):
    nodes = [] if before is None else [{"args": [tensor(before)], "kwargs": {}}]
    return {"class_name": kind, "config": {"name": name, **settings}, "inbound_nodes": nodes}


def model(functional=True):
    """Convolution, batch norm, ReLU, flatten, dense: the configuration of a model."""
    names = ["input_layer_3", "conv2d_7", "batch_normalization_7", "re_lu", "flatten", "dense_2"]
    kinds = ["InputLayer", "Conv2D", "BatchNormalization", "ReLU", "Flatten", "Dense"]
    settings = dict(kernel_size=[3, 3], strides=[1, 1], padding="valid"), dict(epsilon=1e-3), {}, {}, {}
    before = [None, *names] if functional else [None] * 7
    layers = [layer(k, n, b, **s) for k, n, b, s in zip(kinds, names, before, ({}, *settings))]
    return {"class_name": "Functional" if functional else "Sequential", "config": {"layers": layers}}


def keras_3(path, config, change=lambda file: None, compression=zipfile.ZIP_STORED):
    """A .keras archive; its groups are named by the layers' kinds, and their attributes by the layers' names."""
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        weights = {"conv2d": ("conv2d_7", [FILTER, BIAS]), "dense": ("dense_2", [DENSE, np.zeros(5, np.float32)])}
        norm = [np.full(4, NORM[n], np.float32) for n in ("gamma", "beta", "moving_mean", "moving_variance")]
        weights["batch_normalization"] = "batch_normalization_7", norm
        for group, (name, arrays) in weights.items():
            there = file.create_group(f"layers/{group}/vars")
            there.attrs["name"] = name
            for number, array in enumerate(arrays):
                there[str(number)] = array
        file["layers/dropout/seed_generator/vars/0"] = np.zeros(2, np.uint32)
        file["optimizer/vars/0"] = np.zeros(3)
        change(file)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", data.getvalue())


def keras_h5(path, config):
    """The older format of the same model."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        weights = {"conv2d_7": {"kernel": FILTER, "bias": BIAS}, "dense_2": {"kernel": DENSE, "bias": np.zeros(5, "f")}}
        weights["batch_normalization_7"] = {n: np.full(4, v, np.float32) for n, v in NORM.items()}
        for name, arrays in weights.items():
            for n, array in arrays.items():
                file[f"model_weights/{name}/{name}/{n}"] = array


def expected(x):
    """The model's logits by its definition."""
    patches = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))  # (N, 3, 3, C, R, S)
    y = np.einsum("npqcrs,rsck->npqk", patches, FILTER) + BIAS
    y = NORM["gamma"] * (y - NORM["moving_mean"]) / np.sqrt(NORM["moving_variance"] + 1e-3) + NORM["beta"]
    return np.maximum(y, 0).reshape(len(x), -1) @ DENSE


@pytest.mark.parametrize("functional", [True, False])
@pytest.mark.parametrize("write, name", [(keras_3, "a.keras"), (keras_h5, "a.h5")])
def test_a_model_gives_the_same_logits_here(write, name, functional, tmp_path):
    write(tmp_path / name, model(functional))
    layers = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4, eps=1e-3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 5)
    net = nn.Sequential(*layers)
    assert load_weights(net, tmp_path / name, image_size=5) == ([], [])
    x = RNG.standard_normal((2, 5, 5, 3), np.float32)
    with mg.no_grad():
        np.testing.assert_allclose(net(mg.Tensor(x)).numpy(), expected(x), rtol=1e-4, atol=1e-4)


def test_depthwise_filters_and_norms_without_scale(tmp_path):
    layers = [layer("DepthwiseConv2D", "dense_2"), layer("Conv2D", "conv2d_7", "dense_2"),
              layer("BatchNormalization", "batch_normalization_7", "conv2d_7", scale=False)]  # fmt: skip
    keras_3(tmp_path / "a.keras", {"class_name": "Functional", "config": {"layers": layers}})
    names = set(read(tmp_path / "a.keras").arrays)
    assert {"dense_2/depthwise_kernel", "conv2d_7/kernel", "batch_normalization_7/beta"} <= names
    assert {"batch_normalization_7/moving_mean", "batch_normalization_7/3"} <= names  # gamma is not among the four


def test_layers_of_kinds_that_are_not_known_are_not_left_out(tmp_path):
    keras_3(tmp_path / "a.keras", model(), lambda f: f.__setitem__("layers/p_re_lu/vars/0", np.ones(4, np.float32)))
    with pytest.raises(WeightsError, match="the weights in 'p_re_lu' belong to no layer"):
        read(tmp_path / "a.keras")
    config = model()
    config["config"]["layers"].append(layer("PReLU", "p_re_lu", "dense_2"))
    keras_3(tmp_path / "a.keras", config, lambda f: f.__setitem__("layers/p_re_lu/vars/0", np.ones(4, np.float32)))
    layers = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4, eps=1e-3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 5)
    with pytest.raises(WeightsError, match=r"not of this net \(1\): p_re_lu/0"):
        load_weights(nn.Sequential(*layers), tmp_path / "a.keras", image_size=5)


def external(name):
    """A change of the weights' file: this name leads to a file outside."""
    return lambda file: (file.pop(name), file.__setitem__(name, h5py.ExternalLink("/etc/secret.h5", "x")))


@pytest.mark.parametrize(
    "change, said",
    [
        (external("layers"), "/layers is a link to elsewhere"),
        (external("layers/conv2d"), "/layers/conv2d is a link to elsewhere"),
        (external("layers/conv2d/vars"), "/layers/conv2d/vars is a link to elsewhere"),
        (external("layers/conv2d/vars/0"), "/layers/conv2d/vars/0 is a link to elsewhere"),
        (lambda f: f.create_dataset("layers/b/vars/0", (1 << 40,), "f4", chunks=(1 << 16,)), "decompression bomb"),
        (lambda f: f["layers/conv2d/vars"].attrs.__setitem__("name", "other"), "belong to no layer"),
        (lambda f: f.__setitem__("layers/model/layers/conv2d/vars/0", np.ones(3)), "a model within a model"),
        (lambda f: f.__delitem__("layers"), "not laid out as Keras 3 does"),
    ],
)
def test_hostile_and_foreign_weights_are_refused(change, said, tmp_path):
    keras_3(tmp_path / "a.keras", model(), change)
    with pytest.raises(WeightsError, match=said) as error:
        read(tmp_path / "a.keras")
    assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)


def test_an_external_group_of_an_older_file_is_not_opened(tmp_path):
    keras_h5(tmp_path / "a.h5", model())
    with h5py.File(tmp_path / "a.h5", "a") as file:
        external("model_weights")(file)
    with pytest.raises(WeightsError, match="/model_weights is a link to elsewhere"):
        read(tmp_path / "a.h5")


def test_archives_that_lie(tmp_path):
    path = tmp_path / "a.keras"
    keras_3(path, {"class_name": "Functional", "config": {"layers": []}, "x": "y" * (65 << 20)},
            compression=zipfile.ZIP_DEFLATED)  # fmt: skip
    with pytest.raises(WeightsError, match="decompression bomb"):
        read(path)
    nameless = {"class_name": "Functional", "config": {"layers": [{"class_name": "Dense", "config": "x"}]}}
    for config, said in (([], "TypeError"), ({"class_name": "Functional"}, "KeyError"), (nameless, "TypeError")):
        keras_3(path, config)
        with pytest.raises(WeightsError, match=rf"its model configuration can't be read \({said}\)"):
            read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", b"no HDF5")
    with pytest.raises(WeightsError, match=r"a \.keras archive without config.json"):
        read(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", json.dumps(model()))
    with pytest.raises(WeightsError, match="damaged, or not an HDF5 file"):
        read(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(WeightsError, match=r"no known file of weights|damaged"):
        read(path)


def test_weights_without_their_model_are_refused_with_the_reason(tmp_path):
    with h5py.File(tmp_path / "a.weights.h5", "w") as file:
        file["layers/conv2d/vars/0"] = FILTER
    with pytest.raises(WeightsError, match=r"without their model.*model\.save\('name\.keras'\)"):
        read(tmp_path / "a.weights.h5")
