"""Own images in the command: directories, classes by name, images that can't be decoded, defaults that fit the data."""

import warnings

import pytest
from PIL import Image
from train_runs import arrays, main, records, same, train

from minigrad.train import checkpoint

COLOURS = {"blue": (30, 30, 200), "green": (30, 200, 30), "red": (200, 30, 30)}
QUICK = ("-a", "lenet5", "--image-size", 16, "-b", 4, "--epochs", 1, "-j", 0)


def folder(path, parts=("train", "val"), names=tuple(COLOURS), each=6, size=(20, 18)):
    """An image folder of plain colours."""
    for part in parts:
        for name in names:
            (path / part / name).mkdir(parents=True)
            for i in range(each):
                Image.new("RGB", size, COLOURS.get(name, (i, i, i))).save(path / part / name / f"{i}.png")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(data, run)"""
    base = tmp_path_factory.mktemp("own")
    data = folder(base / "photos")
    assert train(base / "run", "--data", data, *QUICK) == 0
    return data, base / "run"


def error(capfd, *arguments):
    assert main([str(a) for a in arguments]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    return line


def test_a_directory_is_a_data_set(trained):
    _, run = trained
    assert checkpoint.read(run / checkpoint.LAST)[1]["net"]["classes"] == ["blue", "green", "red"]


def test_the_same_directory_in_two_ways_is_the_same_run(trained, tmp_path):
    data, run = trained
    assert train(tmp_path, "--data", "imagefolder", "--data-path", data, *QUICK) == 0
    same(arrays(run), arrays(tmp_path))


@pytest.mark.parametrize("flags, message", [
    (["--data", "./nowhere"], "--data ./nowhere: no such directory"),
    (["--data", "imagefolder"], "--data imagefolder needs --data-path DIR"),
    (["--data", "{data}", "--data-path", "elsewhere"], "is a directory already: leave out --data-path elsewhere"),
    (["--data", "{data}", "--download"], "--download has no effect with --data imagefolder"),
    (["--data-path", "{data}"], "--data-path has no effect with --data fashion-mnist-10k"),
])  # fmt: skip
def test_data_asked_for_in_a_way_that_makes_no_sense(trained, capfd, flags, message):
    assert message in error(capfd, *(flag.format(data=trained[0]) for flag in flags))


def test_missing_data_are_told_in_flags(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path))
    line = error(capfd, "--data", "mnist")
    assert "--download fetches it" in line and "download=True" not in line


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "cifar100"])
def test_a_plan_needs_no_data(name, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path / "none"))
    assert main(["--data", name, "-a", "lenet5", "--plan"]) == 0
    out = capsys.readouterr().out
    assert "0,000 training and 10,000 test images" in out and not (tmp_path / "none").exists()


# Classes by name


def test_the_place_of_own_images_is_asked_for_again(trained, capfd):
    data, run = trained
    assert f"images were in {data}: add --data-path {data}" in error(capfd, "--resume", run, "--epochs", 2)


def test_evaluation_compares_classes_by_name(trained, tmp_path, capsys):
    """Without blue, red is still the third class."""
    _, run = trained
    test_only = folder(tmp_path, parts=("val",), names=("green", "red"))
    assert main(["--resume", str(run), "--evaluate", "--data", str(trained[0])]) == 0
    whole = capsys.readouterr().out
    assert "(18 images)" in whole
    assert main(["--resume", str(run), "--evaluate", "--data", str(test_only)]) == 0
    out = capsys.readouterr().out
    assert "(12 images)" in out and "'blue'" in out
    facts = checkpoint.read(run / checkpoint.LAST)[1]
    right = facts["progress"]["history"][0]["test_accuracy"]
    assert right in (1 / 3, 2 / 3, 1.0)  # plain colours: a class is right as a whole


def test_evaluation_refuses_classes_that_the_net_does_not_know(trained, tmp_path, capfd):
    other = folder(tmp_path, parts=("val",), names=("green", "yellow"))
    assert "'yellow'" in error(capfd, "--resume", trained[1], "--evaluate", "--data", other)


def test_training_goes_on_only_with_the_same_classes(trained, tmp_path, capfd):
    other = folder(tmp_path, names=("blue", "green", "red", "yellow"))
    assert "'yellow'" in error(capfd, "--resume", trained[1], "--epochs", 2, "--data", other)


def test_one_class_is_said(tmp_path, capsys):
    data = folder(tmp_path / "one", names=("red",))
    assert train(tmp_path / "run", "--data", data, *QUICK, "--plan") == 0
    assert "one class" in capsys.readouterr().out


# Images that can't be decoded


def test_a_bad_image_in_the_middle_of_an_epoch_saves_and_names_it(tmp_path, capfd):
    data, run = folder(tmp_path / "photos", each=8), tmp_path / "run"
    (data / "train/green/3.png").write_bytes(b"no image")
    whole = (*QUICK, "--seed", 1)
    line = error(capfd, "--data", data, *whole, "--output-dir", run)
    assert "green/3.png" in line and line.endswith(f"--resume {run} --data-path {data} --skip-bad-images")
    assert 0 < checkpoint.read(run / checkpoint.LAST)[1]["progress"]["step"] < 6
    assert main(["--resume", str(run), "--data-path", str(data), "--skip-bad-images"]) == 0
    out = capfd.readouterr().out
    assert len(records(run)) == 1 and out.count("left out: ") == 1 and "green/3.png" in out


def test_a_bad_image_in_the_first_step_says_what_to_add(tmp_path, capfd):
    data = folder(tmp_path / "photos", each=1)
    (data / "train/green/0.png").write_bytes(b"no image")
    line = error(capfd, "--data", data, *QUICK, "--output-dir", tmp_path / "run")
    assert "green/0.png" in line and line.endswith("; add --skip-bad-images")


def test_a_bad_image_in_a_test_is_one_line(trained, tmp_path, capfd):
    data = folder(tmp_path / "photos", parts=("val",))
    (data / "val/red/0.png").write_bytes(b"no image")
    line = error(capfd, "--resume", trained[1], "--evaluate", "--data", data)
    assert "red/0.png" in line and line.endswith("add --skip-bad-images")
    given = ["--resume", trained[1], "--evaluate", "--data", data, "--skip-bad-images"]
    assert main([str(a) for a in given]) == 0 and "(17 images)" in capfd.readouterr().out


# Defaults


def test_few_small_images_get_a_small_net_small_batches_and_more_epochs(tmp_path, capsys):
    data = folder(tmp_path / "photos", each=30, size=(60, 70))
    assert main(["-a", "resnet", "--data", str(data), "--plan"]) == 0
    out = capsys.readouterr().out
    assert "resnet20 (images of 60x60" in out and "images are about 60 pixels wide: taken at 60x60" in out
    assert "90 training images are few, so by default" in out and "batch_size 8 (not 128)" in out
    assert "37 epochs of 11 steps of 8 images" in out


def test_what_is_given_stays(tmp_path, capsys):
    data = folder(tmp_path / "photos", each=30, size=(60, 70))
    given = ("--image-size", "32", "-b", "64", "--epochs", "2", "--lr", "0.5")
    assert main(["-a", "resnet", "--data", str(data), *given, "--plan"]) == 0
    out = capsys.readouterr().out
    assert "32x32x3" in out and "2 epochs of 1 step of 64 images" in out and "lr 0.5" in out
    assert "only 2 steps in all: few to learn from" in out


def test_large_images_get_the_net_for_large_images(tmp_path, capsys):
    data = folder(tmp_path / "photos", each=3, size=(200, 180))
    assert main(["-a", "resnet", "--data", str(data), "--plan"]) == 0
    assert "resnet50" in capsys.readouterr().out


def test_odd_class_names_are_drawn_as_text(tmp_path):
    data = folder(tmp_path / "photos", names=(r"$\frac$", "$x", "</script>"))
    assert train(tmp_path / "run$\\frac$", "--data", data, *QUICK) == 0
    assert (tmp_path / "run$\\frac$" / "confusion.png").stat().st_size > 1000


def test_going_on_with_other_data_is_refused_before_they_are_looked_for(trained, capfd):
    for name in ("cifar10", "fashion-mnist-10k"):
        line = error(capfd, "--resume", trained[1], "--data", name)
        assert f"--data {name} does not fit the checkpoint" in line


def test_the_number_of_threads_is_refused_in_the_words_of_the_command(capfd):
    assert "error: --threads must be from 1 to " in error(capfd, "--threads", 100000, "--plan")


def test_an_image_that_is_too_large_is_one_line(tmp_path, capfd, monkeypatch):
    data = folder(tmp_path / "photos", each=1)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)  # the images have 360 pixels: Pillow warns
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "too large: " in error(capfd, "--data", data, *QUICK, "--output-dir", tmp_path / "run")
