"""Out of minigrad: ONNX in onnxruntime, weights in torchvision's modules and in torch.load, and back in again."""

import json

import numpy as np
import pytest

import architectures
import minigrad as mg
from minigrad import nn
from minigrad.export import export, write
from minigrad.export.__main__ import main
from minigrad.interop import Preprocessing, WeightsError, load_weights, read
from minigrad.predict import Classifier

SMALL = (
    "lenet5", "alexnet_small", "vgg_small_bn", "googlenet_small", "resnet20", "plain20", "preact_resnet20",
    "densenet_small", "densenet_40_12",
)  # fmt: skip
LARGE = (
    "alexnet_paper", "alexnet_owt", "alexnet_bn4", "vgg11", "vgg16_bn", "googlenet_paper", "googlenet_bn",
    "googlenet_torchvision", "inception_v4", "resnet18", "resnet50", "resnet50_v1", "preact_resnet50", "densenet121",
)  # fmt: skip


def lively(net, seed=0):
    """The net with running statistics as after some training, in evaluation mode."""
    rng = np.random.default_rng(seed)
    for name, t in net.named_buffers():
        t.data[...] = rng.uniform(0.5, 1.5, t.shape) if name.endswith("var") else 0.1 * rng.standard_normal(t.shape)
    return net.eval()


def random_images(net, n=2, size=None):
    h, w = net.made.image_size if size is None else (size, size)
    return np.random.default_rng(1).standard_normal((n, h, w, net.made.in_channels), np.float32)


def logits(net, x):
    with mg.no_grad():
        return net(mg.Tensor(x)).numpy()


def in_onnxruntime(path, x):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"images": np.ascontiguousarray(x.transpose(0, 3, 1, 2))})[0]


def close(a, b, tolerance=1e-5):
    return np.abs(a - b).max() <= tolerance * np.abs(b).max()


def round_trip(name, path):
    pytest.importorskip("onnx")
    net = lively(architectures.create(name))
    x = random_images(net)
    ours = logits(net, x)
    assert np.ptp(ours) > 0
    for fold in (False, True):
        export(net, path, "onnx", fold)
        assert close(in_onnxruntime(path, x), ours), f"{name}, fold {fold}"
        assert close(in_onnxruntime(path, x[:1]), ours[:1])


@pytest.mark.parametrize("name", SMALL)
def test_onnx_of_small_nets(name, tmp_path):
    round_trip(name, tmp_path / "net.onnx")


@pytest.mark.long
@pytest.mark.parametrize("name", LARGE)
def test_onnx_of_large_nets(name, tmp_path):
    round_trip(name, tmp_path / "net.onnx")


def test_onnx_of_published_conventions(tmp_path):
    """TensorFlow's padding and zero channels at both sides are in the graph, too."""
    pytest.importorskip("onnx")
    for options in ({"padding": "same", "eps": 1e-3}, {"shortcut": "A_centre"}, {"shortcut": "C"}):
        net = lively(architectures.create("resnet8", **options))
        x = random_images(net)
        export(net, tmp_path / "net.onnx", "onnx")
        assert close(in_onnxruntime(tmp_path / "net.onnx", x), logits(net, x)), options


def test_folding_leaves_no_batch_norm(tmp_path):
    onnx = pytest.importorskip("onnx")
    net = architectures.create("resnet20")
    for fold, count in ((False, 19), (True, 0)):
        export(net, tmp_path / "net.onnx", "onnx", fold)
        nodes = onnx.load(tmp_path / "net.onnx").graph.node
        assert sum(node.op_type == "BatchNormalization" for node in nodes) == count


def test_onnx_carries_names_and_preprocessing(tmp_path):
    onnx = pytest.importorskip("onnx")
    preprocessing = Preprocessing(32, (0.5,) * 3, (0.25,) * 3)
    net = Classifier(architectures.create("resnet8", num_classes=2), ("cat", "dog"), preprocessing)
    export(net, tmp_path / "net.onnx", "onnx")
    model = onnx.load(tmp_path / "net.onnx")
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(facts["classes"]) == ["cat", "dog"] and json.loads(facts["preprocessing"])["mean"] == [0.5] * 3
    assert model.opset_import[0].version >= 18
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"


def test_an_op_that_is_not_translated_is_named(tmp_path):
    pytest.importorskip("onnx")

    class Odd(nn.Module):
        def forward(self, x):
            return x.max(dim=3)

    with pytest.raises(WeightsError, match="the op max is not translated"):
        export(Odd(), tmp_path / "net.onnx", "onnx", image_size=8)
    assert not (tmp_path / "net.onnx").exists()


TORCHVISION = {
    "alexnet": ("alexnet_owt", {}),
    "resnet18": ("resnet18", {}),
    "resnet50": ("resnet50", {}),
    "densenet121": ("densenet121", {}),
    "googlenet": ("googlenet_torchvision", {"aux_logits": True, "transform_input": False, "init_weights": False}),
    "vgg16": ("vgg16", {}),
}


@pytest.mark.long
@pytest.mark.parametrize("to", ["safetensors", "torch"])
@pytest.mark.parametrize("peer", TORCHVISION)
def test_weights_load_into_torchvisions_modules_and_come_back(peer, to, tmp_path):
    torch, models = pytest.importorskip("torch"), pytest.importorskip("torchvision.models")
    name, settings = TORCHVISION[peer]
    net, path = lively(architectures.create(name)), tmp_path / "net"
    export(net, path.with_suffix(".safetensors" if to == "safetensors" else ".pth"), to)
    if to == "safetensors":
        state = pytest.importorskip("safetensors.torch").load_file(path.with_suffix(".safetensors"))
    else:
        state = torch.load(path.with_suffix(".pth"), weights_only=True)["state_dict"]
    module = getattr(models, peer)(**settings).eval()
    module.load_state_dict(state, strict=True)
    x = random_images(net, 1, 96)
    with torch.no_grad():
        theirs = module(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()
    assert close(logits(net, x), theirs, 2e-5)
    again = mg.load(path.with_suffix(".safetensors" if to == "safetensors" else ".pth"), arch=name).net
    assert all(np.array_equal(a, again.state_dict()[n]) for n, a in net.state_dict().items())


@pytest.mark.parametrize("to, ending", [("safetensors", ".safetensors"), ("torch", ".pth")])
def test_exported_weights_come_back_as_they_were(to, ending, tmp_path):
    net = lively(architectures.create("lenet5"))
    export(net, tmp_path / f"net{ending}", to)
    again = architectures.create("lenet5", seed=1)
    load_weights(again, tmp_path / f"net{ending}")
    assert all(np.array_equal(a, again.state_dict()[n]) for n, a in net.state_dict().items())
    flat = read(tmp_path / f"net{ending}").arrays["c5.weight"]
    assert np.array_equal(flat.reshape(120, 16, 25)[:, 3], net.c5.weight.numpy().reshape(120, 25, 16)[:, :, 3])


@pytest.mark.parametrize("to, ending", [("safetensors", ".safetensors"), ("torch", ".pth")])
@pytest.mark.parametrize("options", [{}, {"shortcut": "A_centre"}, {"padding": "same", "eps": 1e-3}])
def test_the_options_of_a_net_come_back(options, to, ending, tmp_path):
    """Also the shortcut that is usual here: a file of another's would have to say how it pads."""
    net = lively(architectures.create("resnet8", **options))
    export(net, tmp_path / f"net{ending}", to)
    again, x = mg.load(tmp_path / f"net{ending}"), random_images(net)
    assert np.array_equal(logits(again, x), logits(net, x))
    if options:
        with pytest.raises(WeightsError, match=next(iter(options))):
            load_weights(architectures.create("resnet8"), tmp_path / f"net{ending}")


def test_an_exported_net_is_loaded_whole(tmp_path):
    wanted = Preprocessing(32, (0.1,), (0.9,), channels="L")
    net = Classifier(lively(architectures.create("resnet8", 3, in_channels=1, shortcut="B")), ("a", "b", "c"), wanted)
    export(net, tmp_path / "net.safetensors", "safetensors")
    again = mg.load(tmp_path / "net.safetensors")
    assert again.classes == ("a", "b", "c") and again.preprocessing == wanted and not again.net.training
    assert again.net.made == net.net.made
    x = random_images(net.net)
    assert np.array_equal(again.predict(x)[0].probabilities, net.predict(x)[0].probabilities)


def test_the_command(tmp_path, capsys):
    pytest.importorskip("onnx")
    export(Classifier(architectures.create("lenet5"), map(str, range(10))), tmp_path / "a.safetensors", "safetensors")
    assert main([str(tmp_path / "a.safetensors"), "--to", "onnx"]) == 0
    assert (tmp_path / "a.onnx").is_file() and "a.onnx" in capsys.readouterr().out
    assert main([str(tmp_path / "a.safetensors"), "--to", "safetensors"]) == 0
    assert (tmp_path / "a-exported.safetensors").is_file()
    for wrong in (
        ["x"],
        ["x", "--to", "tiff"],
        [str(tmp_path / "b.pth"), "--to", "onnx"],
        [str(tmp_path), "--to", "onnx"],
    ):
        capsys.readouterr()
        assert main(wrong) == 2
        assert capsys.readouterr().err.startswith("minigrad.export: error: ")


@pytest.mark.parametrize("to", ["onnx", "safetensors", "torch"])
def test_the_command_writes_over_no_checkpoint_and_not_over_its_source(to, tmp_path, capsys):
    source = tmp_path / "best.safetensors"
    export(architectures.create("lenet5"), source, "safetensors")
    for name in ("last.safetensors", "net.safetensors"):
        (tmp_path / name).write_bytes(source.read_bytes())
    before = source.read_bytes()
    wrong = [(tmp_path, source), (tmp_path, tmp_path / "last.safetensors"), (tmp_path / "net.safetensors",) * 2]
    for given, output in wrong:
        assert main([str(given), "--to", to, "-o", str(output)]) == 2
        assert "choose another" in capsys.readouterr().err and output.read_bytes() == before


@pytest.mark.parametrize("to", ["onnx", "safetensors", "torch"])
def test_where_an_export_can_not_be_written_is_one_line(to, tmp_path, capsys):
    if to == "onnx":
        pytest.importorskip("onnx")
    export(architectures.create("lenet5"), tmp_path / "net.safetensors", "safetensors")
    for place in (tmp_path / "nowhere" / "net", tmp_path):
        assert main([str(tmp_path / "net.safetensors"), "--to", to, "-o", str(place)]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and f"{place}: cannot write" in err


def test_an_export_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    def half(net, path, *rest):
        path.write_bytes(b"half")
        raise OSError("the disk is full")

    (tmp_path / "net.pth").write_bytes(b"as it was")
    monkeypatch.setitem(write.WRITERS, "torch", half)
    with pytest.raises(OSError):
        export(architectures.create("lenet5"), tmp_path / "net.pth", "torch")
    assert [p.name for p in tmp_path.iterdir()] == ["net.pth"] and (tmp_path / "net.pth").read_bytes() == b"as it was"
