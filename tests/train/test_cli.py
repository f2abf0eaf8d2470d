"""The command line as a user meets it: what it prints, what it writes, and one clear line for each mistake."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from train_runs import TINY, command, environment, in_process, main, records, train

from minigrad import device
from minigrad.train import checkpoint, plan

SCHEMA = {"epoch": int, "train_loss": float, "train_accuracy": float, "test_loss": float, "test_accuracy": float,
          "test_top5": float, "lr": float}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run, made by a process whose output goes to a pipe."""
    directory = tmp_path_factory.mktemp("finished") / "run"
    done = in_process("-a", "lenet5", *TINY, "--output-dir", directory)
    assert done.returncode == 0, done.stderr
    return directory, done


def test_a_pipe_gets_plain_lines(finished):
    directory, done = finished
    assert "\r" not in done.stdout + done.stderr and done.stderr == ""
    lines = done.stdout.splitlines()
    assert sum(line.startswith("epoch ") for line in lines) == 2
    text = done.stdout
    assert "lenet5" in text and "61,706 parameters" in text and "416,520 MACs" in text and "1 thread, " in text
    assert "10,000 training and 2,000 test images" in text and "2 epochs of 4 steps of 32" in text
    assert lines[-2].startswith("test accuracy ") and lines[-1] == f"written to {directory}"


def test_a_run_directory_holds_all_that_is_promised(finished):
    directory, _ = finished
    names = [
        "best.safetensors",
        "classes.csv",
        "config.toml",
        "confusion.png",
        "curves.png",
        "last.safetensors",
        "metrics.jsonl",
        "previous.safetensors",
        "times.jsonl",
    ]
    assert sorted(os.listdir(directory)) == names
    for picture in ("curves.png", "confusion.png"):
        with Image.open(directory / picture) as image:
            assert min(image.size) > 300 and np.asarray(image.convert("L")).std() > 5


def test_metrics_have_one_object_for_each_epoch(finished):
    found = records(finished[0])
    assert [record["epoch"] for record in found] == [1, 2]
    for record in found:
        assert {name: type(value) for name, value in record.items()} == SCHEMA


def test_a_finished_run_is_tested_again(finished, capsys):
    assert main(["--resume", str(finished[0]), "--evaluate"]) == 0
    out = capsys.readouterr().out
    assert f"test accuracy {records(finished[0])[-1]['test_accuracy']:.2%}" in out and len(out.splitlines()) == 1


def test_the_embedded_test_set_is_whole_without_a_limit(finished, capsys):
    assert main(["--resume", str(finished[0]), "--evaluate", "--limit-test-batches", "1000"]) == 0
    assert "(2,000 images)" in capsys.readouterr().out


def test_plan_writes_and_runs_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["-a", "densenet121", "--image-size", "224", "--plan"]) == 0
    out = capsys.readouterr().out
    assert "densenet121" in out and "MACs" in out and "MiB" in out and "time" in out
    assert os.listdir(tmp_path) == []


def test_a_family_says_which_net_it_chose_and_why(capsys):
    assert main(["-a", "densenet", "--plan"]) == 0
    assert "densenet_small (images of 28x28" in capsys.readouterr().out


def test_the_estimate_counts_only_what_is_left(finished, capsys, monkeypatch):
    monkeypatch.setattr(plan, "macs_per_second", lambda: 416_520)  # one image a second
    assert main(["-a", "lenet5", *TINY, "--plan"]) == 0
    images = 3 * 4 * 32 + 2 * 32
    assert f"about {plan.duration(2 * images / plan.EFFICIENCY)}" in capsys.readouterr().out


def test_the_default_directory_tells_net_and_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["-a", "lenet5", *TINY, "--epochs", "1"]) == 0
    (run,) = os.listdir(tmp_path / "runs")
    assert run.startswith("lenet5-fashion-mnist-10k-")


def test_reference_kernels_can_train(tmp_path, capsys):
    assert train(tmp_path, "-a", "lenet5", *TINY, "--limit-train-batches", 1, "--kernels", "reference") == 0
    assert "kernels.reference" in capsys.readouterr().out


def test_a_folder_of_images_can_be_trained_on(tmp_path):
    for part in ("train", "val"):
        for name, colour in (("red", (200, 30, 30)), ("blue", (30, 30, 200))):
            (tmp_path / "data" / part / name).mkdir(parents=True)
            for i in range(3):
                Image.new("RGB", (40, 50), colour).save(tmp_path / "data" / part / name / f"{i}.png")
    data = ("--data", "imagefolder", "--data-path", tmp_path / "data", "--image-size", 32, "-b", 2, "--epochs", 1)
    assert train(tmp_path / "run", "-a", "lenet5", *data) == 0
    assert len(records(tmp_path / "run")) == 1


def test_help_is_light():
    """Neither Numba nor pictures nor the nets for --help: it must come at once."""
    code = (
        "import sys; from minigrad.train.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code in (None, 0)\n"
        "heavy = {'numba', 'matplotlib', 'PIL', 'safetensors', 'tqdm', 'architectures', 'minigrad.data'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    assert "--arch" in done.stdout


def test_times_have_one_object_for_each_epoch(finished):
    lines = [json.loads(line) for line in (finished[0] / "times.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert all(line["seconds"] > 0 and line["images_per_second"] > 0 for line in lines)


# Mistakes: exactly one line, exit status 2


def damaged(tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"not a checkpoint")
    return tmp_path / "bad.safetensors"


def toml(tmp_path, text):
    (tmp_path / "a.toml").write_text(text)
    return tmp_path / "a.toml"


def plain_file(tmp_path):
    (tmp_path / "file").write_text("")
    return tmp_path / "file"


MISTAKES = {
    "unknown net": (lambda t, run: ["-a", "resnte20"], "unknown architecture 'resnte20'; did you mean resnet20"),
    "impossible depth": (lambda t, run: ["-a", "resnet21"], "resnet21"),
    "unknown data": (lambda t, run: ["--data", "cifar"], "unknown data set 'cifar'; the nearest names: cifar10"),
    "missing directory": (
        lambda t, run: ["--data", "imagefolder", "--data-path", t / "none"],
        "none is not a directory",
    ),
    "missing data": (lambda t, run: ["--data", "mnist", "--data-path", t], "no train-images-idx3-ubyte"),
    "batch size 0": (lambda t, run: ["-b", 0], "--batch-size must be at least 1; got 0"),
    "not a number": (lambda t, run: ["--lr", "fast"], "argument --lr: invalid float value: 'fast'"),
    "unknown flag": (lambda t, run: ["--batchsize", 4], "unknown argument --batchsize; did you mean --batch-size"),
    "too few classes": (lambda t, run: ["--num-classes", 5], "--num-classes 5 is below the 10 of fashion-mnist-10k"),
    "other classes than the checkpoint": (
        lambda t, run: ["--resume", run, "--num-classes", 20],
        "--num-classes 20 does not fit the checkpoint",
    ),
    "other net than the checkpoint": (lambda t, run: ["--resume", run, "-a", "resnet8"], "--arch resnet8 does not fit"),
    "small image": (
        lambda t, run: ["-a", "densenet121", "--image-size", 8],
        "--image-size: images must be at least 29x29; got 8x8",
    ),
    "damaged checkpoint": (lambda t, run: ["--resume", damaged(t)], "bad.safetensors: damaged, or not a checkpoint"),
    "missing checkpoint": (lambda t, run: ["--resume", t], "last.safetensors: no such checkpoint"),
    "evaluate what": (lambda t, run: ["--evaluate"], "--evaluate needs --resume"),
    "a file as directory": (lambda t, run: ["--output-dir", plain_file(t) / "run"], "--output-dir"),
    "a run is there already": (lambda t, run: ["--output-dir", run], "holds a run already"),
    "bad TOML": (lambda t, run: ["--config", toml(t, "lr = = 3")], "a.toml: not a TOML file"),
    "unknown key": (lambda t, run: ["--config", toml(t, "lrr = 3")], "unknown setting 'lrr'; did you mean lr"),
    "missing file": (lambda t, run: ["--config", t / "none.toml"], "none.toml: No such file"),
    "no threads": (lambda t, run: ["--threads", 0], "--threads must be at least 1; got 0"),
    "too many threads": (lambda t, run: ["--threads", 100_000], "100000"),
    "idle flag": (lambda t, run: ["--opt", "adam", "--momentum", 0.9], "--momentum has no effect with --opt adam"),
}


@pytest.mark.parametrize("arguments, message", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_clear_line(arguments, message, finished, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main([str(a) for a in arguments(tmp_path, finished[0])]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("minigrad.train: error: ") and message in line
    assert not (tmp_path / "runs").exists()


def test_no_gpu_is_one_clear_line(capfd, monkeypatch):
    def missing():
        raise RuntimeError("device cuda: CuPy finds no GPU or no driver on this machine")

    monkeypatch.setattr(device, "cuda", missing)
    assert main(["--device", "cuda"]) == 2
    assert (
        capfd.readouterr().err
        == "minigrad.train: error: --device cuda: CuPy finds no GPU or no driver on this machine\n"
    )


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc, where not even root may create a directory")
def test_a_directory_that_cannot_be_created(capfd):
    assert main(["-a", "lenet5", "--output-dir", "/proc/self/run"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("minigrad.train: error: --output-dir /proc/self/run: ")


def test_a_directory_that_cannot_be_written(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK | os.X_OK)  # root may write into any directory
    assert train(tmp_path / "locked", "-a", "lenet5", *TINY) == 2
    assert "not writable" in capfd.readouterr().err


def test_a_disk_that_is_full_is_one_clear_line(tmp_path, monkeypatch, capfd):
    def full(*inputs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_atomically", full)
    assert train(tmp_path, "-a", "lenet5", *TINY) == 2
    assert capfd.readouterr().err == "minigrad.train: error: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("arguments", [("-a", "nonsense"), ("--threads", "0"), ("--config", "none.toml")])
def test_a_mistake_in_a_process_of_its_own(arguments, tmp_path):
    done = subprocess.run([*command(), *arguments], capture_output=True, text=True, env=environment(), cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("minigrad.train: error: ") and done.stderr.count("\n") == 1
