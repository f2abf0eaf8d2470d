"""Pictures named: by a run of the train command, by an exported net, from Python and from the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_nets import brightness

import architectures
import minigrad as mg
from minigrad.export import export
from minigrad.interop import Preprocessing, WeightsError
from minigrad.predict import Classifier
from minigrad.predict.__main__ import main
from minigrad.train import checkpoint

ROOT = Path(__file__).parents[2]
GREY = Preprocessing(28, (0.5,), (0.5,), channels="L")


@pytest.fixture
def bright_or_dark(tmp_path):
    """A file with a net that says "bright" of bright pictures, and two pictures."""
    export(Classifier(brightness(), ("bright", "dark"), GREY), tmp_path / "net.safetensors", "safetensors")
    for name, value in (("white", 255), ("black", 0)):
        Image.new("RGB", (40, 50), (value,) * 3).save(tmp_path / f"{name}.png")
    return tmp_path


def test_from_python(bright_or_dark):
    net = mg.load(bright_or_dark / "net.safetensors")
    white, black = net.predict([bright_or_dark / "white.png", Image.open(bright_or_dark / "black.png")])
    assert white.names == ("bright", "dark") and black.names == ("dark", "bright") and black.classes == (1, 0)
    assert white.probabilities[0] > 0.9 and sum(white.probabilities) == pytest.approx(1)
    one = net.predict(np.full((28, 28, 1), 255, np.uint8), top=1)
    assert one.names == ("bright",) and one.probabilities[0] == pytest.approx(white.probabilities[0], abs=1e-6)
    assert net.predict(np.ones((3, 28, 28, 1), np.float32))[2].names[0] == "bright"


def test_the_command_names_pictures_and_wrong_files(bright_or_dark, capsys):
    (bright_or_dark / "broken.jpg").write_text("no picture")
    assert main([str(bright_or_dark), "--run", str(bright_or_dark / "net.safetensors"), "--json"]) == 1
    out, err = capsys.readouterr()
    found = {line["file"].split("/")[-1]: line["predictions"] for line in map(json.loads, out.splitlines())}
    assert found["white.png"][0]["name"] == "bright" and found["black.png"][0]["name"] == "dark"
    assert "broken.jpg: cannot decode image: it is no image" in err
    assert (
        main([str(bright_or_dark / "white.png"), "--run", str(bright_or_dark / "net.safetensors"), "--top", "1"]) == 0
    )
    out = capsys.readouterr().out
    assert out.splitlines()[0].endswith("white.png") and "bright" in out and "█" in out and "dark" not in out


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["a.png"], "one of the arguments --run --pretrained is required"),
        (["a.png", "--run", "nowhere"], "no such file"),
        (["a.png", "--run", ""], "must not be empty"),
        (["", "--run", "x"], "must not be empty"),
        (["a.png", "--run", "x", "--pretrained", "y"], "not allowed with"),
        (["a.png", "--run", "x", "--top", "0"], "--top must be an int >= 1"),
        (["a.png", "--pretrained", "nowhere.pth", "--arch", "resnet18"], "no such file"),
        (["a.png", "--pretrained", "nowhere.pth", "--arch", "resnet18", "--mean", "1"], "--mean and --std"),
    ],
)
def test_wrong_calls(arguments, said, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def run_directory(path, average=False, **net_facts):
    """What the train command leaves behind, of a small net."""
    net = architectures.create("resnet8", 10, 28, 1, seed=5)
    arrays = {f"model.{name}": array for name, array in net.state_dict().items()}
    arrays |= {"optimizer.fc.weight.momentum": np.zeros((10, 64), np.float32)}
    if average:
        arrays["average.fc.bias"] = np.arange(10, dtype=np.float32)
    config = {"arch": "resnet8", "num_classes": 10, "image_size": 28, "data": "fashion-mnist-10k"}
    path.mkdir()
    checkpoint.save([path / checkpoint.BEST], arrays, {"config": config, "progress": {}, **net_facts})
    return net


def test_a_run_is_loaded_with_its_names(tmp_path):
    facts = {"classes": [f"c{i}" for i in range(10)], "channels": 1, "mean": [0.4], "std": [0.2], "resize": None}
    net = run_directory(tmp_path / "run", net=facts)
    again = mg.load(tmp_path / "run")
    assert again.classes[3] == "c3" and again.preprocessing == Preprocessing(28, (0.4,), (0.2,), channels="L")
    assert all(np.array_equal(a, again.net.state_dict()[n]) for n, a in net.state_dict().items())
    assert not any(m.training for m in again.net.modules())


def test_a_run_that_does_not_say_has_its_data_sets_numbers_and_its_average(tmp_path):
    run_directory(tmp_path / "run", average=True)
    again = mg.load(tmp_path / "run")
    assert again.classes[0] == "T-shirt/top" and again.preprocessing.mean == (0.286,)
    assert again.net.fc.bias.numpy().tolist() == list(range(10))


def test_what_is_not_known_is_asked_for(tmp_path):
    net = Classifier(architectures.create("lenet5"))
    with pytest.raises(WeightsError, match="give preprocessing="):
        net.predict(np.zeros((32, 32, 1), np.uint8))
    assert net.predict(np.zeros((1, 32, 32, 1), np.float32))[0].names[0].startswith("class ")
    with pytest.raises(WeightsError, match="no checkpoint in it"):
        mg.load(tmp_path)
    np.savez(tmp_path / "a.npz", w=np.ones(3))
    with pytest.raises(WeightsError, match="give arch"):
        mg.load(tmp_path / "a.npz")


def test_preprocessing_in_the_weights_conventions():
    image = np.zeros((2, 2, 3), np.uint8)
    image[..., 0] = 255  # red
    bgr = Preprocessing(2, (1, 2, 3), (1, 1, 2), scale=255.0, channels="BGR")
    assert bgr(image)[0, 0].tolist() == [-1, -2, 126]
    assert Preprocessing(2, (0.5,) * 3, (0.5,) * 3)(image)[0, 0].tolist() == [1, -1, -1]
    wide = Image.new("RGB", (300, 100))
    assert Preprocessing(32, (0,) * 3, (1,) * 3, resize=40)(wide).shape == (32, 32, 3)
    with pytest.raises(WeightsError, match="channels must be"):
        Preprocessing(2, (0,), (1,), channels="HSV")


def test_imagenets_names():
    from minigrad.predict.imagenet import names, synsets

    assert len(names()) == 1000 and names()[0] == "tench" and names()[217] == "English springer"
    assert len(set(synsets())) == 1000 and list(synsets()) == sorted(synsets()) and synsets()[217] == "n02102040"


def test_pictures_are_decoded_as_training_decodes_them(bright_or_dark):
    Image.fromarray(np.full((28, 28), 5000, np.uint16)).save(bright_or_dark / "dim16.png")  # 5000 / 257 = 19 of 255
    Image.new("RGBA", (28, 28), (0, 0, 0, 0)).save(bright_or_dark / "clear.png")
    net = mg.load(bright_or_dark / "net.safetensors")
    paths = [bright_or_dark / name for name in ("dim16.png", "clear.png", "white.png")]
    dim, clear, white = net.predict(paths)
    assert dim.names[0] == "dark" and clear.probabilities == white.probabilities
    assert net.predict(Image.open(paths[0])) == dim and net.predict(Image.open(paths[1])) == clear


def test_a_folder_named_as_a_picture_and_what_systems_leave_are_passed_over(bright_or_dark, capsys):
    (bright_or_dark / "folder.jpg").mkdir()
    (bright_or_dark / "__MACOSX").mkdir()
    (bright_or_dark / "__MACOSX" / "white.png").write_bytes(b"nothing")
    assert main([str(bright_or_dark), "--run", str(bright_or_dark / "net.safetensors"), "--json"]) == 0
    assert capsys.readouterr().out.count("\n") == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_is_named_and_not_waited_for(bright_or_dark, capsys):
    os.mkfifo(bright_or_dark / "pipe.jpg")
    assert main([str(bright_or_dark / "pipe.jpg"), "--run", str(bright_or_dark / "net.safetensors")]) == 1
    assert "not a regular file" in capsys.readouterr().err


def test_names_that_are_not_utf8_and_screens_that_are_not(bright_or_dark):
    place = os.fsencode(bright_or_dark)
    os.rename(place + b"/white.png", place + b"/white\xff.png")
    command = [sys.executable, "-m", "minigrad.predict", place, "--run", place + b"/net.safetensors"]
    settings = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, env=settings)
    assert done.returncode == 0 and "white\\xff.png\n  bright" in done.stdout and not done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is full")
def test_output_that_nobody_reads_or_that_is_full(bright_or_dark):
    whole = f"{sys.executable} -m minigrad.predict {bright_or_dark} --run {bright_or_dark}/net.safetensors"
    settings = os.environ | {"PYTHONPATH": str(ROOT)}

    def ends(redirection):
        return subprocess.run(["bash", "-c", whole + redirection], capture_output=True, text=True, env=settings)

    full = ends(" > /dev/full")
    assert full.returncode == 2 and full.stderr.count("\n") == 1 and "No space left" in full.stderr
    assert ends(" | true; exit ${PIPESTATUS[0]}").stderr == ""


def test_mean_and_std_leave_the_size_that_the_file_says(bright_or_dark, capsys):
    given = [str(bright_or_dark / "white.png"), "--run", str(bright_or_dark / "net.safetensors"), "--json"]
    assert main([*given, "--mean", "0.5", "--std", "0.5"]) == 0
    told = capsys.readouterr().out
    assert main(given) == 0 and capsys.readouterr().out == told
    for wrong in (["--mean", "0", "0", "0", "--std", "1", "1", "1"], ["--mean", "nan", "--std", "1"]):
        assert main([*given, *wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_a_folder_that_can_not_be_read_is_not_passed_over(bright_or_dark, capsys, monkeypatch):
    (bright_or_dark / "closed").mkdir()
    scan = os.scandir

    def scandir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert main([str(bright_or_dark), "--run", str(bright_or_dark / "net.safetensors")]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "closed: cannot read this folder: Permission denied" in err


def test_a_pillow_image_is_seen_as_its_file_is(tmp_path):
    """A photograph of a camera that was held on its side is turned upright, whether its path or its image is given."""
    from PIL import Image

    from minigrad.predict.classifier import as_trained_on, opened

    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    for mode, orientation in (("RGB", 6), ("L", 8), ("RGB", 1), ("LA", 1)):
        picture = Image.fromarray(pixels).convert(mode)
        picture.getexif()[0x0112] = orientation
        picture.save(tmp_path / "a.png", exif=picture.getexif())
        seen = as_trained_on(Image.open(tmp_path / "a.png"))
        assert seen.size == ((4, 6) if orientation > 1 else (6, 4))
        assert np.array_equal(np.asarray(seen.convert("RGB")), np.asarray(opened(tmp_path / "a.png")))
