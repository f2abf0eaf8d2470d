"""Where published weights and real data lie on a machine that has them; tests that need them are skipped elsewhere."""

import dataclasses
import io
import os
import pathlib
import zipfile

import numpy as np
import pytest

import minigrad as mg

ROOT = pathlib.Path(__file__).parent.parent
DATA = pathlib.Path(os.environ.get("MINIGRAD_PUBLISHED") or ROOT.parent / "shared" / "data")
PLACES = (0, 217, 482, 491, 497, 566, 569, 571, 574, 701)  # of the ten classes among ImageNet's thousand


def published(*parts):
    """The path of a published file; the test is skipped where it is absent."""
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path.name} is not at hand ({DATA})")
    return path


def downloaded(name):
    """A file that ../shared/data/get_data.py brings into a folder named by MINIGRAD_REAL_DATA."""
    path = pathlib.Path(os.environ.get("MINIGRAD_REAL_DATA") or ROOT.parent / "realdata") / name
    if not path.exists():
        pytest.skip(f"{name} is not at hand (get_data.py brings it; MINIGRAD_REAL_DATA says where it is)")
    return path


def cifar10_test(n):
    """The first n images (n, 32, 32, 3) of CIFAR-10's test set, and their labels."""
    raw = np.fromfile(downloaded("cifar-10-batches-bin/test_batch.bin"), np.uint8, n * 3073).reshape(n, 3073)
    return raw[:, 1:].reshape(n, 3, 32, 32).transpose(0, 2, 3, 1), raw[:, 0].astype(int)


def photographs(n):
    """n of 500 of ImageNet's validation photographs, spread over ten easy classes, and their labels."""
    from PIL import Image

    with zipfile.ZipFile(published("imagenet_val500.zip")) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".JPEG"))
        folders = sorted({name.split("/")[0] for name in names})
        names = names[:: len(names) // n]
        images = [np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in names]
    return np.stack(images), np.array([PLACES[folders.index(name.split("/")[0])] for name in names])


def accuracy(net, images, labels, preprocessing=None):
    """Per cent right, of images that have the net's size already."""
    chosen = dataclasses.replace(preprocessing or net.preprocessing, resize=None)
    with mg.no_grad():
        logits = [net(mg.Tensor(chosen.normalised(images[i : i + 50]))).numpy() for i in range(0, len(images), 50)]
    return 100 * (np.concatenate(logits).argmax(1) == labels).mean()
