"""ONNX initializers as weights of a net: those with a parameter's name, in the layout of who wrote the file."""

import numpy as np
import pytest

import architectures
from minigrad.export import export
from minigrad.interop import WeightsError, read
from minigrad.predict import Classifier

onnx = pytest.importorskip("onnx")


@pytest.fixture
def net():
    return architectures.create("lenet5").eval()


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def holding(path, producer, arrays):
    """An ONNX file by that producer with these initializers, which no node uses."""
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    sides = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (1, 3)) for name in "xy"]
    weights = [onnx.numpy_helper.from_array(np.ascontiguousarray(a), name) for name, a in arrays.items()]
    graph = onnx.helper.make_graph([node], "g", sides[:1], sides[1:], weights)
    opsets = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, producer_name=producer, opset_imports=opsets, ir_version=10), path)
    return path


@pytest.mark.parametrize("name", ["lenet5", "resnet20", "densenet_small"])
def test_our_own_file(name, tmp_path):
    net = architectures.create(name).eval()
    export(Classifier(net), tmp_path / "net.onnx", "onnx")
    assert read(tmp_path / "net.onnx").origin == "minigrad"
    assert same(net, architectures.create(name, weights=tmp_path / "net.onnx"))


def test_torchs_file_is_laid_out_as_torchs_weights(net, tmp_path):
    """Filters are (K, C, R, S), the rows behind the flatten C, H, W: with minigrad's name on it, it would fit, too."""
    export(Classifier(net), tmp_path / "net.pth", "torch")
    arrays = {**read(tmp_path / "net.pth").arrays, "onnx::Reshape_7": np.array([0, -1])}
    file = holding(tmp_path / "net.onnx", "pytorch", arrays)
    assert read(file).origin == "torch" and same(net, architectures.create("lenet5", weights=file))


def test_folded_batch_norms_are_refused(tmp_path):
    net = architectures.create("resnet20").eval()
    export(Classifier(net), tmp_path / "net.onnx", "onnx", fold=True)
    with pytest.raises(WeightsError, match=r"missing \(76\): bn1.weight, .*; not of this net \(19\): conv1.bias"):
        architectures.create("resnet20", weights=tmp_path / "net.onnx")
    file = holding(tmp_path / "torch.onnx", "pytorch", {"fc.bias": np.ones(3, "f"), "onnx::MatMul_9": np.ones((3, 4))})
    with pytest.raises(WeightsError, match=r"1 weights have lost their names at export \(onnx::MatMul_9\)"):
        read(file)


@pytest.mark.parametrize("producer", ["tf2onnx", ""])
def test_other_programs_are_refused(net, tmp_path, producer):
    file = holding(tmp_path / "net.onnx", producer, dict(net.state_dict()))
    with pytest.raises(WeightsError, match=f"an ONNX file by {producer or 'an unknown program'}; only of files by"):
        read(file)
