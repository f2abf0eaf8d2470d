"""An ONNX file as a classifier: named, measured, and with what minigrad.export wrote into it."""

import numpy as np
import pytest

import architectures
import minigrad as mg
from minigrad.export import export
from minigrad.interop import Preprocessing, WeightsError
from minigrad.predict import Classifier
from minigrad.predict.__main__ import main
from minigrad.train.__main__ import main as train
from minigrad.verify.__main__ import main as verify

onnx = pytest.importorskip("onnx")
GREY = Preprocessing(28, (0.5,), (0.5,), channels="L")


@pytest.fixture
def at_hand(tmp_path):
    """A net as an ONNX file, with and without names and preprocessing, and a folder with an image for each class."""
    from PIL import Image

    net = architectures.create("lenet5", 2, 28, 1).eval()
    export(Classifier(net, ("a", "b"), GREY), tmp_path / "net.onnx", "onnx")
    export(Classifier(net), tmp_path / "bare.onnx", "onnx")
    for i, name in enumerate("ab"):
        (tmp_path / "images" / name).mkdir(parents=True)
        noise = np.random.default_rng(i).integers(0, 256, (30, 40), np.uint8)
        Image.fromarray(noise).save(tmp_path / "images" / name / "0.png")
    return net, tmp_path


def test_it_names_pictures_as_the_net_does(at_hand):
    net, place = at_hand
    found, image = mg.load(place / "net.onnx"), place / "images" / "a" / "0.png"
    assert found.classes == ("a", "b") and found.preprocessing == GREY and found.sizes() == (2, (28, 28), 1)
    expected = Classifier(net, ("a", "b"), GREY).predict(image)
    assert found.predict(image).names == expected.names
    assert found.predict(image).probabilities == pytest.approx(expected.probabilities, abs=1e-5)


def test_the_commands_take_it(at_hand, capsys):
    _, place = at_hand
    images = str(place / "images")
    assert main([images, "--run", str(place / "net.onnx"), "--json"]) == 0
    assert verify(["--weights", str(place / "net.onnx"), "--data", images]) == 0
    measured = capsys.readouterr().out.partition("measured   ")[2].split()[0]
    assert train(["--evaluate", "--pretrained", str(place / "net.onnx"), "--data", images]) == 0
    assert f"test accuracy {measured}%" in capsys.readouterr().out
    assert main([images, "--pretrained", str(place / "bare.onnx"), "--mean", "0.5", "--std", "0.5"]) == 0
    assert "class 0" in capsys.readouterr().out


def test_what_it_can_not_be(at_hand, capsys):
    _, place = at_hand
    image, path = str(place / "images" / "a" / "0.png"), str(place / "net.onnx")
    assert main([image, "--run", path, "--explain", str(place / "why")]) == 2
    error = capsys.readouterr().err
    assert "no module of this net gives maps" in error and error.count("\n") == 1 and not (place / "why").exists()
    with pytest.raises(WeightsError, match="arch has no effect with an ONNX file"):
        mg.load(path, arch="lenet5")
    assert train(["-a", "resnet20", "--pretrained", path, "--plan"]) == 2  # another net's weights


def test_a_graph_that_is_no_classifier_of_images_is_refused(tmp_path):
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    sides = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (1, 3)) for name in "xy"]
    graph = onnx.helper.make_graph([node], "g", sides[:1], sides[1:])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)]), tmp_path / "a.onnx")
    with pytest.raises(WeightsError, match="not a net from images of one size to classes"):
        mg.load(tmp_path / "a.onnx")
