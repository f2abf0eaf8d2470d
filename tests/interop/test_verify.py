"""Foreign weights measured: by `minigrad.verify`, and by `minigrad.train --evaluate --pretrained`."""

import dataclasses

import numpy as np
import pytest
from PIL import Image
from published import downloaded, published
from small_nets import brightness

import minigrad as mg
from minigrad import data
from minigrad.export import export
from minigrad.interop import Preprocessing, WeightsError, zoo
from minigrad.interop.zoo import Accuracy, Known
from minigrad.predict import Classifier, imagenet
from minigrad.train.__main__ import main as train
from minigrad.verify import __main__ as verify
from minigrad.verify import score
from minigrad.verify.labels import numbers_of
from minigrad.verify.scoring import AsExpected

GREY = Preprocessing(28, (0.5,), (0.5,), channels="L")


@pytest.fixture
def at_hand(tmp_path):
    """Weights of `brightness`, with and without names, and six pictures, of which one is in a wrong folder."""
    export(Classifier(brightness(), ("Bright one", "dark"), GREY), tmp_path / "named.safetensors", "safetensors")
    export(Classifier(brightness(), None, GREY), tmp_path / "nameless.safetensors", "safetensors")
    for name, values in {"bright_one": (255, 254, 253), "dark": (0, 1, 252)}.items():
        (tmp_path / "images" / name).mkdir(parents=True)
        for value in values:
            Image.new("RGB", (40, 50), (value,) * 3).save(tmp_path / "images" / name / f"{value}.png")
    return tmp_path


@pytest.mark.parametrize("weights", ["named", "nameless"])
def test_both_commands_measure_weights_on_a_folder_of_images(weights, at_hand, capsys):
    path, images = str(at_hand / f"{weights}.safetensors"), str(at_hand / "images")
    assert verify.main(["--weights", path, "--data", images, "-b", "4"]) == 0
    out = capsys.readouterr().out
    assert "measured   83.33 % (6 images" in out and "not one of architectures.weights()" in out
    assert train(["--evaluate", "--pretrained", path, "--data", images, "-b", "4"]) == 0
    out = capsys.readouterr().out
    assert "named.safetensors: test accuracy 83.33%, loss" in out or weights == "nameless"
    matched = {"named": "classes matched by name", "nameless": "taken to be in the data's order"}
    assert "test accuracy 83.33%" in out and "(6 images)" in out and matched[weights] in out


def test_names_count_and_not_their_order(at_hand):
    """The data's order is bright_one, dark; the same weights with the other order of names."""
    net = brightness()
    net.output.weight.data[...] = net.output.weight.data[::-1].copy()
    classifier = Classifier(net, ("dark", "bright one"), GREY)
    images = data.ImageFolder(at_hand / "images", train=None)
    assert score(classifier, images).top1 == pytest.approx(100 * 5 / 6)
    assert score(Classifier(net, None, GREY), images).top1 == pytest.approx(100 / 6)


class Labels:
    def __init__(self, *classes):
        self.classes = classes


def test_classes_are_matched_by_name_by_wordnet_id_or_refused():
    thousand = Classifier(brightness(), imagenet.names(), GREY)
    numbers, how = numbers_of(thousand, Labels("n02102040", "n01440764"))
    assert numbers.tolist() == [217, 0] and how == "classes matched by WordNet id"
    assert numbers_of(thousand, Labels("Golf_Ball"))[0].tolist() == [574]
    for classes in (("a", "dark"), ("n02102040", "tench")):
        with pytest.raises(WeightsError, match=f"the data's class '{classes[0]}' is none of the weights' 2 classes"):
            numbers_of(thousand, Labels(*classes))
    with pytest.raises(WeightsError, match="the data have 3 classes, the weights 2, without names"):
        numbers_of(Classifier(brightness(), None, GREY), Labels("a", "b", "c"))
    twice = Classifier(brightness(), ("crane", "crane"), GREY)
    with pytest.raises(WeightsError, match="'crane' is none of"):
        numbers_of(twice, Labels("crane"))


def test_an_image_of_the_nets_size_is_not_resized():
    """Cropping a photograph that was cropped before would show the net another part than was published."""
    cropping = dataclasses.replace(GREY, resize=36)
    fitting, larger = (np.random.default_rng(0).integers(0, 256, (side, side, 1), np.uint8) for side in (28, 40))
    assert np.array_equal(AsExpected(cropping)(fitting), cropping.normalised(fitting))
    assert not np.array_equal(cropping(fitting), cropping.normalised(fitting))
    assert np.array_equal(AsExpected(cropping)(larger), cropping(larger))


def test_another_accuracy_than_the_known_one_is_status_1(at_hand, monkeypatch, capsys):
    path = at_hand / "named.safetensors"
    call = ["--weights", str(path), "--data", str(at_hand / "images")]
    for known, status, said in ((83.3, 0, "as is known: 83.3 % (six)"), (91.0, 1, "NOT the known 91 % (six)")):
        row = Known("x", "lenet5", "here", "MIT", zoo.sha256_of(path), GREY, Accuracy(known, None, "six"))
        monkeypatch.setattr(zoo, "KNOWN", (row,))
        monkeypatch.setitem(zoo.SIZES, "six", (6, 2))
        monkeypatch.setitem(zoo.DATA, "six", "imagefolder")
        assert verify.main(call) == status
        out = capsys.readouterr().out
        assert said in out and f"published  {known:g} % (six)" in out
        assert verify.main([*call, "--images", "3"]) == 0
        assert "3 of 6 images" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command, more, said",
    [
        (verify.main, ["--images", "0"], "--images must be an int >= 1"),
        (verify.main, ["--batch-size", "0"], "--batch-size must be an int >= 1"),
        (verify.main, ["--arch", ""], "must not be empty"),
        (verify.main, ["--data", "nowhere"], "nowhere is not a directory"),
        (verify.main, ["--weights", "absent.pth"], "absent.pth: no such file"),
        (verify.main, ["--frobnicate"], "unrecognized arguments"),
        (train, ["--evaluate", "--pretrained", "absent.pth"], "absent.pth: no such file"),
        (train, ["--evaluate"], "--evaluate needs --resume PATH, the run to test, or --pretrained"),
        (train, ["--evaluate", "--image-size", "28"], "--image-size has no effect with --evaluate --pretrained"),
        (train, ["--evaluate", "--lr", "1"], "--lr has no effect with --evaluate"),
        (train, ["--evaluate", "--data", "fashion-mnist-10k"], "'T-shirt/top' is none of the weights' 2 classes"),
        (train, ["--evaluate", "-a", "net.py:Net"], "a run of your own net is tested by --resume"),
    ],
)
def test_wrong_lines(command, more, said, at_hand, capsys):
    weights = ["--weights" if command is verify.main else "--pretrained", str(at_hand / "named.safetensors")]
    if said.startswith("--evaluate needs"):
        weights = []
    given = [*weights, "--data", str(at_hand / "images"), *more]
    assert command(given) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_what_is_not_known_of_the_images_is_said(at_hand, capsys):
    export(Classifier(brightness(), None, None), at_hand / "bare.safetensors", "safetensors")
    call = ["--pretrained", str(at_hand / "bare.safetensors"), "--data", str(at_hand / "images")]
    assert verify.main(["--weights", *call[1:]]) == 2
    assert "what these weights expect of their images is not known" in capsys.readouterr().err
    assert train(["--evaluate", *call]) == 2  # colour images for a net of grey ones, and nothing that says it
    capsys.readouterr()


@pytest.mark.long
def test_published_weights_by_both_commands(capsys):
    path, place = published("pretrained", "resnet20-12fca82f.th"), downloaded("cifar-10-batches-bin").parent
    assert verify.main(["--weights", str(path), "--data", str(place), "--images", "300"]) == 0
    assert "published  91.73 % (CIFAR-10)" in (out := capsys.readouterr().out) and "300 of 10,000 images" in out
    here = ["--data", "cifar10", "--data-path", str(place), "--limit-test-batches", "3", "-b", "100"]
    assert train(["--evaluate", "--pretrained", str(path), *here]) == 0
    found = float(capsys.readouterr().out.partition("test accuracy ")[2].partition("%")[0])
    assert found > 88
    assert mg.load(path).classes[0] == "airplane"
