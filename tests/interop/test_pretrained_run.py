"""`python -m minigrad.train --pretrained FILE`: a run begins from weights; the last layer may be fresh."""

import numpy as np
import pytest

import architectures
import minigrad as mg
from minigrad.export import export
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
