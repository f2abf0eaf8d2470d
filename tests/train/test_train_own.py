"""Nets and data sets of one's own in the command: --arch net.py:Net, --data data.py:make."""

import pytest
from train_runs import TINY, arrays, records, same, train

from minigrad import random
from minigrad.predict.__main__ import main as predict
from minigrad.train.__main__ import main
from minigrad.train.own import build

NET = """
from minigrad import nn

class Net(nn.Module):
    def __init__(self, num_classes, in_channels):
        self.body = nn.Sequential(nn.Conv2d(in_channels, 4, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.head = nn.Linear(4, num_classes)

    def forward(self, x):
        return self.head(self.body(x).flatten(1))

def wrong(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes + 1))

def broken():
    raise RuntimeError("no idea")

def number():
    return 3

nothing = nn.Flatten
picky = lambda: nn.Linear(3, 3)
"""
DATA = """
import numpy as np
from minigrad.data import ArrayDataset

def make(n=96):
    images = np.random.default_rng(0).integers(0, 256, (n, 8, 8, 1), dtype=np.uint8)
    both = ArrayDataset(images, np.arange(n) % 3, "abc")
    return both, both

def one():
    return make()[0]

class Nameless(ArrayDataset):
    num_classes = None

def nameless():
    images = make()[0].images
    both = Nameless(images, np.zeros(len(images), int), "abc")
    return both, both

def itself():
    dataset = make()
    return tuple(ArrayDataset(d.images, d.labels, d.classes, transform=lambda image: image / 255) for d in dataset)


def lists():
    return [1], [2]
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "data.py").write_text(DATA)
    return tmp_path


def own(files, net="Net", data="make"):
    return "--arch", f"{files}/net.py:{net}", "--data", f"{files}/data.py:{data}"


def test_own_net_on_own_data_trains_and_goes_on_bit_for_bit(files, capsys):
    settings = *own(files), *TINY, "--lr-scheduler", "constant", "--lr-warmup-epochs", 0
    assert train(files / "whole", *settings) == 0
    assert train(files / "parts", *settings, "--epochs", 1) == 0
    assert main(["--resume", str(files / "parts"), *own(files), "--epochs", "2"]) == 0
    same(arrays(files / "whole"), arrays(files / "parts"))
    assert records(files / "whole") == records(files / "parts")
    capsys.readouterr()
    assert main(["--resume", str(files / "parts"), *own(files), "--evaluate", "-j", "0"]) == 0
    assert "test accuracy" in capsys.readouterr().out


@pytest.mark.long
def test_a_resumed_run_asks_before_it_runs_a_file(files, capsys):
    assert train(files / "run", *own(files), *TINY) == 0
    assert main(["--resume", str(files / "run"), "--epochs", "3"]) == 2
    assert f"this run's net is your own: add --arch {files}/net.py:Net to run that file" in capsys.readouterr().err
    assert main(["--resume", str(files / "run"), "--arch", f"{files}/net.py:Net", "--epochs", "3"]) == 2
    assert f"add --data {files}/data.py:make" in capsys.readouterr().err
    assert main(["--resume", str(files / "run"), *own(files), "--epochs", "3"]) == 0
    assert len(records(files / "run")) == 3


def test_an_own_net_depends_on_the_seed_alone_and_leaves_the_generator(files):
    sizes, first = dict(num_classes=3, in_channels=1, image_size=8), random.manual_seed(5).integers(1000)
    a = build(f"{files}/net.py:Net", sizes, 0).state_dict()
    random.manual_seed(5)
    b = build(f"{files}/net.py:Net", sizes, 0).state_dict()
    assert random.generator().integers(1000) == first
    same(a, b)
    assert (a["head.weight"] != build(f"{files}/net.py:Net", sizes, 1).state_dict()["head.weight"]).any()


def test_predict_says_why_not(files, capsys):
    assert train(files / "run", *own(files), *TINY) == 0
    assert predict(["--run", str(files / "run"), str(files / "x.png")]) == 2
    assert "its net is your own" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("net", "data", "said"),
    [
        ("Nett", "make", "net.py has no 'Nett'"),
        ("number", "make", "number must give a minigrad.nn.Module; got int"),
        ("nothing", "make", "the net has no parameters to train"),
        ("broken", "make", "RuntimeError: no idea (net.py, line 16)"),
        ("wrong", "make", "of images (2, 8, 8, 1) it must make logits (2, 3); it makes (2, 4)"),
        ("picky", "make", "of images (2, 8, 8, 1): ValueError"),
        ("Net", "mak", "data.py has no 'mak'"),
        ("Net", "one", "must give (training set, test set); got ArrayDataset"),
        ("Net", "nameless", "its training set has no num_classes"),
        ("Net", "lists", "its training set has no classes"),
        ("Net", "itself", "its training set has a transform of its own: the command prepares images itself"),
    ],
)
def test_what_is_wrong_is_one_line(files, capsys, net, data, said):
    assert train(files / "run", *own(files, net, data), *TINY) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
    assert not (files / "run").exists()


def test_a_missing_or_faulty_file_is_one_line(files, capsys):
    assert main(["--arch", "nowhere.py:Net"]) == 2
    assert "--arch nowhere.py:Net: no such file: nowhere.py" in capsys.readouterr().err
    (files / "net.py").write_text("x = (")
    assert main(["--arch", f"{files}/net.py:Net"]) == 2
    assert "SyntaxError" in capsys.readouterr().err
