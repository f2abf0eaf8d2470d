"""Files that others wrote or damaged: one line, exit status 2, and neither memory nor patience is used up."""

import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from train_runs import TINY, main, train

from minigrad.train import checkpoint
from minigrad.train.config import FIELDS, Config, kind, read_toml, to_toml

ONE = ("-a", "lenet5", *TINY, "--epochs", 1, "--lr-warmup-epochs", 0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "run"
    assert train(path, *ONE) == 0
    return path


def one_line(capfd, *arguments):
    """What the command says in its one line on standard error, its exit status being 2."""
    assert main([str(a) for a in arguments]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("minigrad.train: error: ") and len(line) < 700
    return line


# Settings


def pipe(path):
    os.mkfifo(path)


CONFIGS = {
    "a device": (lambda p: p.symlink_to("/dev/zero"), "not a regular file"),
    "a pipe": (pipe, "not a regular file"),
    "a directory": (lambda p: p.mkdir(), "not a regular file"),
    "two megabytes": (lambda p: p.write_text("# " + "x" * (2 << 20)), "at most 1,048,576"),
    "a sparse terabyte": (lambda p: (p.touch(), os.truncate(p, 1 << 40)), "at most 1,048,576"),
    "nested deep": (lambda p: p.write_text("lr = " + "[" * 100_000), "not a TOML file"),
    "5,000 digits": (lambda p: p.write_text("seed = " + "9" * 5000), "not a TOML file"),
    "seed of 2^64": (lambda p: p.write_text(f"seed = {2**64}"), "seed must be below 2^63"),
    "lr of 400 digits": (lambda p: p.write_text("lr = " + "9" * 400), "lr must be"),
    "no UTF-8": (lambda p: p.write_bytes(b'arch = "\xff"'), "not a TOML file"),
    "a NUL": (lambda p: p.write_text('data_path = "a\\u0000b"'), "data_path must be UTF-8 text"),
    "a table": (lambda p: p.write_text("[lr]\nx = 1"), "lr must be a value of type float"),
    "nothing there": (lambda p: None, "No such file"),
}


@pytest.mark.parametrize("make, message", CONFIGS.values(), ids=CONFIGS)
def test_a_config_that_cannot_be_read(make, message, tmp_path, capfd):
    make(tmp_path / "a.toml")
    assert message in one_line(capfd, "--config", tmp_path / "a.toml")


TEXT = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1)
INTS, FLOATS = st.integers(1, 2**63 - 1), st.floats(1e-300, 0.9)
VALUES = {bool: st.booleans(), int: INTS, float: FLOATS, str: TEXT}


@given(st.fixed_dictionaries({n: VALUES[kind(f)] for n, f in FIELDS.items() if f.metadata["rule"] is None}))
@settings(max_examples=200, deadline=None)
def test_any_text_and_number_survives_config_toml(tmp_path_factory, values):
    """A property: whatever a path holds (DEL, quotes, line ends, emoji), config.toml can be read again."""
    path = tmp_path_factory.getbasetemp() / "round_trip.toml"
    config = Config(**values)
    path.write_bytes(to_toml(config).encode())
    assert Config(**read_toml(path)) == config


def test_an_unknown_key_in_the_config_of_a_run(finished, tmp_path, capfd):
    run = tmp_path / "run"
    run.mkdir()
    for name in (checkpoint.LAST, "config.toml"):
        (run / name).write_bytes((finished / name).read_bytes())
    with open(run / "config.toml", "a") as file:
        file.write("learning_rate = 3\n")
    assert "unknown setting 'learning_rate'" in one_line(capfd, "--resume", run, "--epochs", 2)


def test_a_changed_key_in_the_config_of_a_run_is_said(finished, tmp_path, capfd):
    run = tmp_path / "run"
    run.mkdir()
    (run / checkpoint.LAST).write_bytes((finished / checkpoint.LAST).read_bytes())
    (run / "config.toml").write_text((finished / "config.toml").read_text().replace("lr = 0.05", "lr = 0.5"))
    assert main(["--resume", str(run), "--epochs", "2", "--plan"]) == 0
    assert "as in the checkpoint: lr 0.05" in capfd.readouterr().out


# Checkpoints


def foreign(path, arrays, metadata=None, kinds=None):
    """A safetensors file, its types overwritten by `kinds`."""
    from safetensors.numpy import save

    data = save(arrays, metadata=metadata)
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    for name, dtype in (kinds or {}).items():
        header[name]["dtype"] = dtype
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


def changed(finished, path, **changes):
    """A copy of the checkpoint whose facts are others, its digest being right."""
    arrays, facts = checkpoint.read(finished / checkpoint.LAST)
    for name, value in changes.items():
        facts[name] = value(facts[name]) if callable(value) else value
    checkpoint.save([path], arrays, facts)


CHECKPOINTS = {
    "BF16": (lambda run, p: foreign(p, {"w": np.zeros(3, np.int16)}, kinds={"w": "BF16"}), "type BF16"),
    "F8": (lambda run, p: foreign(p, {"w": np.zeros(3, np.int8)}, kinds={"w": "F8_E4M3"}), "type F8_E4M3"),
    "a header without end": (lambda run, p: p.write_bytes((2**62).to_bytes(8, "little") + b"{}"), "header"),
    "a header nested deep": (lambda run, p: p.write_bytes((99_999).to_bytes(8, "little") + b"[" * 99_999), "damaged"),
    "a list as header": (lambda run, p: p.write_bytes((2).to_bytes(8, "little") + b"[]"), "no table"),
    "empty": (lambda run, p: p.write_bytes(b""), "damaged"),
    "a sparse terabyte": (lambda run, p: (p.touch(), os.truncate(p, 1 << 40)), "damaged"),
    "a setting of a newer version": (
        lambda run, p: changed(run, p, config=lambda c: {**c, "warp": 9}),
        "perhaps made by a newer version: unknown setting 'warp'",
    ),
    "a setting of another type": (lambda run, p: changed(run, p, config=lambda c: {**c, "lr": "fast"}), "lr must be"),
    "settings in a list": (lambda run, p: changed(run, p, config=[1]), "no table of settings"),
    "no progress": (lambda run, p: changed(run, p, progress={}), "progress must have"),
    "a negative step": (lambda run, p: changed(run, p, progress=lambda v: {**v, "step": -1}), "step -1"),
    "a step in words": (lambda run, p: changed(run, p, progress=lambda v: {**v, "epoch": "one"}), "epoch 'one'"),
    "a history of nothing": (lambda run, p: changed(run, p, progress=lambda v: {**v, "history": [3]}), "history"),
}


@pytest.mark.parametrize("make, message", CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_a_checkpoint_that_cannot_be_read(make, message, finished, tmp_path, capfd):
    path = tmp_path / "x.safetensors"
    make(finished, path)
    assert message in one_line(capfd, "--resume", path)


def test_a_pipe_as_the_other_checkpoint_is_not_waited_for(tmp_path, capfd):
    os.mkfifo(tmp_path / checkpoint.BEST)
    (tmp_path / checkpoint.LAST).write_bytes(b"damaged")
    line = one_line(capfd, "--resume", tmp_path)
    assert "damaged" in line and "intact" not in line


def test_a_checkpoint_shortened_while_it_is_read_is_a_clear_error(finished, tmp_path, monkeypatch):
    """Mapped memory would end the process (SIGBUS)."""
    path = tmp_path / checkpoint.LAST
    path.write_bytes((finished / checkpoint.LAST).read_bytes())
    real = checkpoint.read_metadata

    def shorten(file):
        metadata = real(file)
        os.truncate(path, 20_000)
        return metadata

    monkeypatch.setattr(checkpoint, "read_metadata", shorten)
    with pytest.raises(checkpoint.CheckpointError, match="damaged"):
        checkpoint.read(path)


def test_an_old_checkpoint_without_facts_of_the_net_still_loads(finished, tmp_path):
    run = tmp_path / "old"
    run.mkdir()
    arrays, facts = checkpoint.read(finished / checkpoint.LAST)
    del facts["net"]
    checkpoint.save([run / checkpoint.LAST], arrays, facts)
    assert main(["--resume", str(run), "--epochs", "2"]) == 0


# What a checkpoint may not decide


def test_the_place_of_the_data_is_asked_for_again(finished, tmp_path, capfd):
    path = tmp_path / checkpoint.LAST
    changed(finished, path, config=lambda c: {**c, "data_path": "/somewhere/else", "download": True, "data": "mnist"})
    line = one_line(capfd, "--resume", path, "--epochs", 2)
    assert "images were in /somewhere/else: add --data-path /somewhere/else" in line


def test_a_checkpoint_downloads_nothing(finished, tmp_path, capfd, monkeypatch):
    import urllib.request

    def connect(*inputs, **settings):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(urllib.request, "urlopen", connect)
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path / "data"))
    path = tmp_path / checkpoint.LAST
    digits = {"classes": list("0123456789")}
    changed(finished, path, config=lambda c: {**c, "download": True, "data": "mnist"}, net=digits)
    assert "--download" in one_line(capfd, "--resume", path, "--epochs", 2)
    assert not (tmp_path / "data").exists()


# Paths that nobody expects

PATHS = {"too long": "x/" + "y" * 5000, "no UTF-8": "a\udcff", "empty": ""}


@pytest.mark.parametrize("flag", ["--resume", "--output-dir", "--config", "--data-path", "--data", "--arch"])
@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_paths_that_no_file_has(flag, path, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    data = ["--data", "imagefolder"] if flag == "--data-path" else []
    one_line(capfd, flag, path, *data)
    assert os.listdir(tmp_path) == []


def test_control_characters_of_a_path_are_shown_as_escapes(capfd):
    assert r"a\x1b[31m\n" in one_line(capfd, "--resume", "a\x1b[31m\nb").replace("; ", r"\n")
