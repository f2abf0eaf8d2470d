"""The film of a run: what stands on its page is what the nets of its checkpoints give."""

import json
import re

import browser
import numpy as np
import pytest
from train_runs import TINY, train

import minigrad as mg
from minigrad import explain
from minigrad.film import film
from minigrad.film.first_images import of_run
from minigrad.interop import WeightsError
from minigrad.nn import functional as F


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "run"
    assert train(path, *TINY, "-a", "lenet5", "--keep-last", "2") == 0
    return path


def shown(path):
    """The data of a page."""
    return json.loads(re.search(r'new Film\((.*), document.getElementById\("drawn"\)\);', path.read_text())[1])


def test_each_epoch_is_a_picture_of_its_own_net(run):
    page = film(run, image=3)
    data = shown(page)
    assert page == run / "film.html" and [f["epoch"] for f in data["frames"]] == [1, 2]
    assert [r["epoch"] for r in data["history"]] == [1, 2] and not re.search(
        r"https?://(?!www.w3.org)", page.read_text()
    )
    for frame in data["frames"]:
        classifier = mg.load(run / f"epoch-{frame['epoch']}.safetensors")
        images, labels = of_run(run, classifier)
        flow = explain.gradient_flow(classifier.net, F.cross_entropy(classifier.net(mg.Tensor(images)), labels))
        assert np.allclose(frame["flow"], [layer.rms for layer in flow.layers]) and frame["filters"]["name"] == "c1"
        assert frame["classes"][0][0] == classifier.predict(images)[3].names[0]
        assert data["label"] == classifier.name(labels[3]) and frame["path"][0]["shape"][2] == 6
    assert data["frames"][0]["flow"] != data["frames"][1]["flow"]


def test_images_of_ones_own(run, tmp_path):
    images = np.random.default_rng(0).standard_normal((2, 28, 28, 1)).astype(np.float32)
    assert shown(film(run, tmp_path / "own.html", images=images, labels=[7, 1]))["label"] == "Sneaker"
    for wrong, message in [
        (dict(images=images), "give images and labels, or neither"),
        (dict(images=images[..., 0], labels=[7, 1]), r"images must be \(N, H, W, 1\)"),
        (dict(images=images, labels=[7, 10]), "labels must be from 0 to 9; got 7 to 10"),
        (dict(images=images, labels=[7, 1], image=2), "image must be from 0 to 1; got 2"),
    ]:
        with pytest.raises(ValueError, match=message):
            film(run, **wrong)


def test_a_directory_without_a_run_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="no checkpoint of a complete epoch; train with --keep-last N"):
        film(tmp_path)


@pytest.mark.long
@browser.needs()
def test_the_film_by_keys_alone(run):
    page_file = film(run)
    with browser.chromium() as chromium:
        page, complaints = chromium.new_page(viewport=dict(width=390, height=844)), []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"file://{page_file}")
        counter = page.locator(".mg-counter")
        assert counter.inner_text() == "epoch 2 of 2" and page.evaluate("document.documentElement.scrollWidth") <= 390
        page.keyboard.press("Home")
        assert counter.inner_text() == "epoch 1 of 2" and page.url.endswith("#epoch=1")
        page.keyboard.press("ArrowRight")
        assert counter.inner_text() == "epoch 2 of 2" and "epoch 2" in page.locator(".mg-said").text_content()
        page.goto("about:blank")
        page.goto(f"file://{page_file}#epoch=1")
        assert counter.inner_text() == "epoch 1 of 2" and complaints == []
