"""--freeze: what is frozen stays bit for bit, running statistics too, through steps and through a resume."""

from types import SimpleNamespace

import pytest
from train_runs import TINY, arrays, same, train

import architectures
from minigrad import nn
from minigrad.train import checkpoint, plan
from minigrad.train.__main__ import main
from minigrad.train.freezing import Frozen

CONSTANT = (*TINY, "--lr-scheduler", "constant", "--lr-warmup-epochs", "0", "-a")
WITHIN = ("features.conv0", "features.norm0", "features.denseblock1.denselayer1.")  # a layer of a block, not all


def split(directory, frozen):
    """The model's arrays of a run: those whose names begin so, and the others."""
    model = {n.removeprefix("model."): a for n, a in arrays(directory).items() if n.startswith("model.")}
    return ({n: a for n, a in model.items() if n.startswith(frozen) is kept} for kept in (True, False))


@pytest.mark.parametrize(
    "arch, patterns, frozen",
    [
        ("resnet8", "conv1,bn1,layer1.*", ("conv1", "bn1", "layer1")),
        pytest.param("densenet_small", "features.conv0, features.norm0,features.denseblock1.denselayer1", WITHIN,
                     marks=pytest.mark.long),
    ],
)  # fmt: skip
def test_frozen_stays_and_the_rest_learns(arch, patterns, frozen, tmp_path, capsys):
    assert train(tmp_path / "run", *CONSTANT, arch, "--freeze", patterns, "--wd", "0.1") == 0
    assert "frozen: " in capsys.readouterr().out
    before = architectures.create(arch, 10, 28, 1).state_dict()
    kept, learnt = split(tmp_path / "run", frozen)
    assert any(name.endswith("running_mean") for name in kept)
    same(kept, {name: before[name] for name in kept})
    assert all((learnt[name] != before[name]).any() for name in learnt)


@pytest.mark.long
def test_a_frozen_run_is_resumed_exactly(tmp_path):
    given = (*CONSTANT, "resnet8", "--freeze", "conv1,bn1,layer1")
    assert train(tmp_path / "whole", *given) == 0
    assert train(tmp_path / "half", *given, "--epochs", "1") == 0
    assert train(tmp_path / "rest", "--resume", tmp_path / "half", "--epochs", "2") == 0
    same(arrays(tmp_path / "whole"), arrays(tmp_path / "rest"))
    assert checkpoint.load(tmp_path / "rest")[1]["config"]["freeze"] == "conv1,bn1,layer1"
    momentum = [name for name in arrays(tmp_path / "rest") if name.startswith("optimizer.")]
    assert len(momentum) < len(list(architectures.create("resnet8", 10, 28, 1).parameters()))


@pytest.mark.parametrize(
    "patterns, said",
    [
        ("layr1", "--freeze: no parameter fits 'layr1'; did you mean layer1"),
        ("conv1,,bn1", "--freeze: no parameter fits ''"),
        ("*", "--freeze *: that is the whole net"),
        ("", "freeze must be UTF-8 text, and not empty"),
    ],
)
def test_what_makes_no_sense(patterns, said, tmp_path, capsys):
    assert train(tmp_path / "run", *CONSTANT, "resnet8", "--freeze", patterns) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not (tmp_path / "run").exists()


def test_a_test_has_no_use_for_it(tmp_path, capsys):
    assert train(tmp_path / "run", *CONSTANT, "resnet8", "--epochs", "1", "--freeze", "conv1") == 0
    assert main(["--resume", str(tmp_path / "run"), "--evaluate"]) == 0
    assert main(["--resume", str(tmp_path / "run"), "--evaluate", "--freeze", "conv1"]) == 2
    assert "--freeze has no effect with --evaluate" in capsys.readouterr().err


def test_what_is_frozen_makes_steps_shorter():
    """A layer costs one product forward, one for its weights, and one for its input if something before it learns."""
    net = architectures.create("lenet5", 10, 28, 1)
    rows = nn.summary(net, (28, 28, 1)).rows
    macs = {row.name: row.macs for row in rows}

    def steps(patterns):
        return plan.training_macs(rows, SimpleNamespace(model=net, frozen=Frozen(net, patterns)))

    assert steps(None) == 3 * sum(macs.values())
    for p in net.parameters():
        p.requires_grad_(True)
    before = macs["c1"] + macs["c3"]
    assert steps("c1,c3,f6") == before + 2 * macs["f6"] + 3 * (sum(macs.values()) - before - macs["f6"])
