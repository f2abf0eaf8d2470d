"""`python -m minigrad.predict --explain DIR`: a Grad-CAM picture for each photograph."""

import json

import numpy as np
import pytest
from PIL import Image

import architectures
import minigrad as mg
from minigrad import explain
from minigrad.export import export
from minigrad.interop import Preprocessing
from minigrad.predict import Classifier
from minigrad.predict.__main__ import main
from minigrad.predict.pictures import Pictures, explained

BGR = Preprocessing(32, (103.0, 116.0, 123.0), (1, 1, 1), scale=255.0, channels="BGR")


@pytest.fixture
def at_hand(tmp_path):
    """A file with a net of two classes, and two photographs of one name in two folders."""
    net = architectures.create("resnet8", 2, 32)
    export(Classifier(net, ("a$b", "other"), BGR), tmp_path / "net.safetensors", "safetensors")
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        noise = np.random.default_rng(len(place)).integers(0, 256, (40, 50, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / place / "photo.png")
    return tmp_path


def test_each_photograph_gets_a_picture(at_hand, capsys):
    photos = [str(at_hand / place / "photo.png") for place in ("here", "there")]
    rest = ["--run", str(at_hand / "net.safetensors"), "--explain", str(at_hand / "a" / "why")]
    assert main([*photos, *rest, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    written = [at_hand / "a" / "why" / name for name in ("photo-explained.png", "photo-explained-2.png")]
    assert [line["explanation"] for line in lines] == list(map(str, written))
    assert set((at_hand / "a" / "why").iterdir()) == set(written)
    for path in written:
        picture = np.asarray(Image.open(path).convert("RGB"))
        assert min(picture.shape[:2]) > 300 and picture.std() > 10
    assert main([photos[0], *rest]) == 0
    assert f"explained in {at_hand / 'a' / 'why' / 'photo-explained.png'}" in capsys.readouterr().out


def test_it_is_grad_cam_of_the_likeliest_class_on_what_the_net_saw(at_hand):
    net = mg.load(at_hand / "net.safetensors")
    path = at_hand / "here" / "photo.png"
    found, best = explained(net, path), net.predict(path)
    expected = explain.grad_cam(net.net, net.prepared(path))
    assert np.array_equal(found.map, expected.map) and found.class_ == best.classes[0] and found.name == best.names[0]
    fitted = np.asarray(Image.open(path).resize((32, 32), Image.Resampling.BILINEAR))
    assert np.array_equal(found.image, fitted)  # the photograph in its colours, not the net's BGR less the mean
    other = explained(net, path, class_=1 - best.classes[0], layer="layer2")
    assert other.name != found.name and other.coarse.shape == (16, 16)
    assert "a$b" in {found.name, other.name} and found.plot() and other.plot()


def test_no_photograph_is_written_over(at_hand):
    photo = at_hand / "here" / "photo-explained.png"
    (at_hand / "here" / "photo.png").rename(photo)
    first = Pictures(at_hand / "here", [photo])
    assert first.target("photo").name == "photo-explained-2.png"
    assert first.target("photo").name == "photo-explained-3.png"


@pytest.mark.parametrize("folder", ["net.safetensors", "net.safetensors/below", ""])
def test_where_no_picture_can_be_written(folder, at_hand, capsys):
    photo, net = str(at_hand / "here" / "photo.png"), at_hand / "net.safetensors"
    assert main([photo, "--run", str(net), "--explain", str(at_hand / folder) if folder else ""]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "--explain" in error
