"""What lies where a file should be, or is taken away from a run: survived, or refused in one line."""

import os
import tarfile

import numpy as np
import pytest
from train_runs import QUICK, arrays, main, same, train

from minigrad.data import DataError, ImageFolder, Shards
from minigrad.train import checkpoint, directory

RUN = ("-a", "lenet5", *QUICK, "--limit-train-batches", 6, "--limit-test-batches", 2)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_folders_and_circles_of_links_among_images(tmp_path):
    from PIL import Image

    for name in "ab":
        (tmp_path / "train" / name).mkdir(parents=True)
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / f"train/{name}/{name}.png")
    os.mkfifo(tmp_path / "train/a/pipe.jpg")
    (tmp_path / "train/a/folder.jpg").mkdir()
    os.symlink("..", tmp_path / "train/a/up")
    os.symlink("self.jpg", tmp_path / "train/b/self.jpg")
    with pytest.warns(UserWarning, match="1 special file") as caught:
        found = ImageFolder(tmp_path / "train", train=None)
    assert any("1 link to a folder above" in str(w.message) and "1 broken link" in str(w.message) for w in caught)
    assert [path.name for path in found.paths] == ["a.png", "b.png"] and list(found.labels) == [0, 1]


@pytest.mark.parametrize("size", [1 << 20, 1 << 40, 3])
def test_a_shard_whose_header_lies_about_a_size_is_named(tmp_path, size):
    """Larger than the file is; and smaller than the member, so that the next header is looked for within it."""
    (tmp_path / "train").mkdir()
    content = b""
    for name in ("0.jpg", "0.cls"):
        member = tarfile.TarInfo(name)
        member.size = size if name == "0.jpg" else 1
        content += member.tobuf(tarfile.GNU_FORMAT) + (b"x" * 2048 if name == "0.jpg" else b"1" + bytes(511))
    (tmp_path / "train/0.tar").write_bytes(content + bytes(1024))
    with pytest.raises(DataError, match=r"0\.tar: ") as caught:
        Shards(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_directory_that_becomes_a_file_in_the_middle_of_a_run(tmp_path, monkeypatch, capfd):
    """The run goes on and says so; what was written is where its directory went, and is intact."""
    from minigrad.train import loop

    real, done, path, gone = loop.train_step, [0], tmp_path / "run", tmp_path / "gone"

    def step(*inputs, **settings):
        done[0] += 1
        if done[0] == 9:
            path.rename(gone)
            path.write_text("not a directory")
        return real(*inputs, **settings)

    monkeypatch.setattr(loop, "train_step", step)
    assert train(path, *RUN) == 2
    said = capfd.readouterr()
    (line,) = [line for line in said.err.splitlines() if "error" in line]
    assert "Not a directory" in line and "could not write" in said.out
    assert (
        checkpoint.read(gone / checkpoint.LAST)[1]["progress"]["epoch"] == 1 and path.read_text() == "not a directory"
    )


def test_a_second_resume_of_one_run_is_refused(tmp_path, capfd):
    assert train(tmp_path, *RUN) == 0
    before = arrays(tmp_path)
    with directory.locked(tmp_path):
        assert main(["--resume", str(tmp_path), "--epochs", "3"]) == 2
    assert f"{tmp_path}: another run is writing to this directory" in capfd.readouterr().err
    same(arrays(tmp_path), before)
