"""`python -m minigrad.train --pretrained FILE`: a run begins from weights; the last layer may be fresh."""

import numpy as np
import pytest
from PIL import Image

import architectures
import minigrad as mg
from minigrad.export import export
from minigrad.interop import Preprocessing
from minigrad.predict import Classifier
from minigrad.train.__main__ import main

ONE_STEP = "--epochs 1 --limit-train-batches 1 --limit-test-batches 1 -b 8 --lr 1e-9 --lr-warmup-epochs 0".split()


@pytest.fixture
def weights(tmp_path):
    """A file of a resnet8 for grey images and three classes."""
    net = architectures.create("resnet8", 3, 28, 1, seed=7)
    return net, export(net, tmp_path / "net.safetensors", "safetensors")


def test_a_run_begins_from_weights(weights, tmp_path, capsys):
    net, path = weights
    run = ["-a", "resnet8", "--pretrained", str(path), "--output-dir", str(tmp_path / "run")]
    assert main([*run, *ONE_STEP, "--model-ema", "0.9"]) == 0
    assert "fresh: fc.weight, fc.bias" in capsys.readouterr().out
    trained = mg.load(tmp_path / "run").net
    name = "layer2.0.conv1.weight"
    assert np.allclose(trained.state_dict()[name], net.state_dict()[name], atol=1e-6)
    assert trained.fc.out_features == 10


@pytest.mark.parametrize(
    "more, said",
    [
        (["-a", "resnet20"], "does not fit"),
        (["-a", "resnet8", "--resume", "runs/x"], "--pretrained has no effect with --resume"),
        (["-a", "resnet8", "--evaluate"], "--plan has no effect with --evaluate"),
    ],
)
def test_what_makes_no_sense(more, said, weights, capsys):
    assert main([*more, "--pretrained", str(weights[1]), "--plan"]) == 2
    assert said in capsys.readouterr().err
    assert main(["-a", "resnet8", "--pretrained", "absent.pth", "--plan"]) == 2
    assert "absent.pth: no such file" in capsys.readouterr().err


def blue_or_red():
    """A net for BGR images, which says class 0 of blue ones."""
    net = architectures.create("lenet5", 2, 28, 3)
    for t in net.parameters():
        t.data[...] = 0.0
    net.c1.weight.data[0, 2, 2] = 1.0, 0.0, -1.0
    net.c3.weight.data[0, 2, 2, 0] = net.c5.weight.data[0, 0] = net.f6.weight.data[0, 0] = 1.0
    net.output.weight.data[:, 0] = 9.0, -9.0
    return net


@pytest.mark.long
def test_images_are_as_the_weights_expect_them_also_after_a_resume(tmp_path, capsys):
    """Blue, green, red from 0 to 255: a run with the folder's usual numbers would take each colour for the other."""
    expected = Preprocessing(28, (1.0, 2.0, 3.0), (64.0,) * 3, scale=255.0, channels="BGR")
    path = export(Classifier(blue_or_red(), ("blue", "red"), expected), tmp_path / "net.safetensors", "safetensors")
    for part in ("train", "val"):
        for name, colour in (("blue", (30, 0, 250)), ("red", (250, 0, 30))):
            (tmp_path / "photos" / part / name).mkdir(parents=True)
            for i in range(4):
                Image.new("RGB", (28, 28), colour).save(tmp_path / "photos" / part / name / f"{i}.png")
    photos, run = ["--data", str(tmp_path / "photos")], tmp_path / "run"
    begin = ["-a", "lenet5", "--image-size", "28", "--pretrained", str(path), *photos, "--output-dir", str(run)]
    assert main([*begin, *ONE_STEP, "--lr-scheduler", "constant"]) == 0
    assert "images as these weights expect them: BGR" in (out := capsys.readouterr().out)
    assert "test accuracy 100.00%" in out
    assert main(["--resume", str(run), "--data-path", photos[1], "--evaluate"]) == 0
    assert "test accuracy 100.00%" in capsys.readouterr().out
    assert main(["--resume", str(run), "--data-path", photos[1], "--epochs", "2"]) == 0
    begin[begin.index(str(path))], begin[-1] = str(run / "best.safetensors"), str(tmp_path / "again")
    assert main([*begin, *ONE_STEP]) == 0 and "test accuracy 100.00%" in capsys.readouterr().out
    found, image = mg.load(tmp_path / "again"), np.random.default_rng(0).integers(0, 256, (28, 28, 3), np.uint8)
    np.testing.assert_allclose(found.preprocessing.normalised(image), expected.normalised(image), atol=1e-5)
    assert found.predict(tmp_path / "photos" / "val" / "red" / "0.png").names[0] == "red"


@pytest.mark.long
def test_the_net_is_made_as_the_weights_need_it_also_after_a_resume(tmp_path, capsys):
    net = architectures.create("resnet8", 10, 28, 1, eps=1e-3, shortcut="B")
    path, run = export(net, tmp_path / "net.safetensors", "safetensors"), tmp_path / "run"
    assert main(["-a", "resnet8", "--pretrained", str(path), "--output-dir", str(run), *ONE_STEP]) == 0
    assert "as these weights need it: shortcut='B', eps=0.001" in capsys.readouterr().out
    assert main(["--resume", str(run), "--epochs", "2"]) == 0
    made = mg.load(run).net.made
    assert made.options == {"shortcut": "B", "eps": 1e-3} and mg.load(run).net.bn1.eps == 1e-3
    again = ["-a", "resnet8", "--pretrained", str(run / "best.safetensors"), "--output-dir", str(tmp_path / "again")]
    assert main([*again, *ONE_STEP]) == 0
    assert mg.load(tmp_path / "again").net.made.options == {"shortcut": "B", "eps": 1e-3}
