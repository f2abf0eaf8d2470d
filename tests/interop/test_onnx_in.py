"""ONNX files as modules: ONNX's own cases of the operators here, the model zoo's graphs, training, refusals."""

import collections
import pathlib
import warnings

import numpy as np
import pytest

import architectures
import minigrad as mg
from minigrad import nn
from minigrad.export import export
from minigrad.interop import WeightsError
from minigrad.nn import functional as F

onnx = pytest.importorskip("onnx")
from minigrad.interop import onnx as reader  # noqa: E402
from minigrad.interop.onnx_operators import OPERATORS  # noqa: E402

ZOO = pathlib.Path(onnx.__file__).parent / "backend/test/data/light"


def backend_cases():
    """ONNX's own cases of single operators that we have: {name: case}."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    ours = [c for c in cases if {node.op_type for node in c.model.graph.node} <= OPERATORS.keys()]
    return {c.name: c for c in ours if all(node.domain == "" for node in c.model.graph.node)}


def as_array(value):
    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def outcome(case):
    """(what became of a case, why): passed, failed, or not expressible, with the line that says so."""
    try:
        net = reader.OnnxNet(case.model).eval()
        for inputs, expected in case.data_sets:
            found = net.run(*map(as_array, inputs))
            for got, wanted in zip(found, map(as_array, expected), strict=True):
                np.testing.assert_allclose(got, wanted, rtol=max(case.rtol, 1e-5), atol=max(case.atol, 1e-6))
                assert got.shape == wanted.shape
    except AssertionError as error:
        return "failed", " ".join(str(error).split())[:200]
    except Exception as error:
        return ("not expressible" if isinstance(error, WeightsError) else "failed"), f"{type(error).__name__}: {error}"
    return "passed", ""


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_onnxs_own_cases():
    """What can't be expressed is refused in a line; nothing gives wrong numbers."""
    found = {name: outcome(case) for name, case in backend_cases().items()}
    counts = collections.Counter(what for what, _ in found.values())
    wrong = [f"{name}: {why}" for name, (what, why) in found.items() if what == "failed"]
    assert wrong == [], f"{counts}"
    assert counts["passed"] >= 470, counts


@pytest.mark.long
@pytest.mark.parametrize("path", sorted(ZOO.glob("*.onnx")), ids=lambda p: p.stem)
def test_the_model_zoos_graphs(path):
    """Their weights are constants, so that the stored output is a check of shapes and conventions."""
    model, expected = onnx.load(path), onnx.TensorProto()
    expected.ParseFromString(path.with_name(f"{path.stem}_output_0.pb").read_bytes())
    expected = onnx.numpy_helper.to_array(expected)
    net = reader.load(path)
    given = next(i for i in model.graph.input if i.name == net.input_names[0])
    shape = [d.dim_value for d in given.type.tensor_type.shape.dim]
    np.testing.assert_allclose(net.run(np.ones(shape, np.float32))[0], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["resnet8", "lenet5", "googlenet_small"])
def test_what_minigrad_wrote_comes_back(name, tmp_path):
    net = architectures.create(name).eval()
    x = np.random.default_rng(0).standard_normal((2, 32, 32, net.made.in_channels), np.float32)
    export(net, tmp_path / "net.onnx", "onnx")
    again = reader.load(tmp_path / "net.onnx")
    with mg.no_grad():
        ours, theirs = net(mg.Tensor(x)).numpy(), again(mg.Tensor(x)).numpy()
    assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(ours).max()
    assert not again.training and again.metadata["arch"] == name


def test_a_loaded_net_learns(tmp_path):
    rng = np.random.default_rng(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, rng=rng), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2, rng=rng)
    )
    export(net, tmp_path / "net.onnx", "onnx", image_size=6)
    again = reader.load(tmp_path / "net.onnx").train()
    x, y = mg.Tensor(rng.standard_normal((16, 6, 6, 1), np.float32)), np.arange(16) % 2
    optimizer = mg.optim.SGD(list(again.parameters()), 0.1)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = F.cross_entropy(again(x), y)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.numpy()))
    assert losses[-1] < 0.5 * losses[0]
    assert len(list(again.buffers())) == 2


def model_of(nodes, weights=(), inputs=("x",)):
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    given = [helper.make_tensor_value_info(n, kind, ["n"]) for n in inputs]
    graph = helper.make_graph(nodes, "g", given, [helper.make_tensor_value_info("y", kind, ["n"])], list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def test_refusals(tmp_path):
    path = tmp_path / "net.onnx"

    def refused(model, said):
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        with pytest.raises(WeightsError, match=said) as error:
            reader.load(path)
        assert "\n" not in str(error.value)

    make = onnx.helper.make_node
    refused(
        model_of([make("LSTM", ["x", "w", "r"], ["y"], name="cell", hidden_size=3)], inputs=("x", "w", "r")),
        "LSTM.*cell",
    )
    refused(b"no model", "damaged")
    refused(b"", "damaged")
    outside = onnx.TensorProto(name="w", data_type=1, dims=[2], data_location=onnx.TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="../../secret")
    refused(model_of([make("Add", ["x", "w"], ["y"])], [outside]), "another file|damaged")
    short = onnx.TensorProto(name="w", data_type=1, dims=[1 << 40], raw_data=bytes(8))
    refused(model_of([make("Add", ["x", "w"], ["y"])], [short]), "damaged|w: ")
    nan = onnx.numpy_helper.from_array(np.array([np.nan], np.float32), "w")
    refused(model_of([make("Add", ["x", "w"], ["y"])], [nan]), "NaN")
    with pytest.raises(WeightsError, match="no such file"):
        reader.load(tmp_path / "absent.onnx")


def test_a_node_that_can_not_run_is_named():
    net = reader.OnnxNet(model_of([onnx.helper.make_node("Pad", ["x"], ["y"], name="margin", mode="wrap")]))
    with pytest.raises(WeightsError, match=r"Pad \(node margin\): mode wrap"):
        net.run(np.ones((1, 1, 2, 2), np.float32))
    bomb = [onnx.helper.make_node("ConstantOfShape", ["s"], ["y"], name="huge")]
    shape = onnx.numpy_helper.from_array(np.array([1 << 40]), "s")
    with pytest.raises(WeightsError, match=r"huge.*larger than"):
        reader.OnnxNet(model_of(bomb, [shape])).run(np.ones(1, np.float32))
