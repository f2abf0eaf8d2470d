"""The accuracy of a net on a data set, with what its weights expect of images."""

import dataclasses
from typing import NamedTuple

import numpy as np

from ..data import DataLoader, Subset
from ..nn import functional as F
from .labels import numbers_of

MOST_NAMED = 5  # among as many classes as these, or fewer, top-5 says nothing


class Score(NamedTuple):
    """Per cent of the images whose class is the likeliest (top1), or one of the five likeliest (top5, None for a net of
    five classes or fewer); the mean cross-entropy (loss); how many images."""

    top1: float
    top5: float | None
    loss: float
    images: int

    def __str__(self):
        five = "" if self.top5 is None else f" / {self.top5:.2f}"
        return f"{self.top1:.2f}{five} %"


class AsExpected:
    """The transform that a net's weights ask for. An image that has the net's size already is not resized first."""

    def __init__(self, preprocessing):
        self.usual, self.fitting = preprocessing, dataclasses.replace(preprocessing, resize=None)

    def __call__(self, image, rng=None):
        fits = image.shape[:2] == (self.usual.size,) * 2
        return (self.fitting if fits else self.usual)(image)


def score(classifier, dataset, batch_size=64, workers=1, images=None, skip_bad_images=False, tick=lambda: None):
    """The Score of a Classifier (minigrad.load) on a data set, whose classes are matched by name (see `numbers_of`).

    images   only so many, spread evenly over the data set; None: all
    tick     called after each batch
    WeightsError where it isn't known what the weights expect of images, or which class is which.
    """
    numbers, _ = numbers_of(classifier, dataset)
    loader = DataLoader(
        part_of(dataset, images), batch_size, num_workers=workers, transform=AsExpected(classifier.known()),
        skip_bad_images=skip_bad_images,
    )  # fmt: skip
    sums = np.zeros(4)
    for x, labels in loader:
        sums += counts(classifier.logits(x), numbers[labels])
        tick()
    right, among, loss, images = sums.tolist()
    top1, top5, mean = (total / max(images, 1) for total in (100 * right, 100 * among, loss))
    return Score(top1, top5 if classifier.num_classes() > MOST_NAMED else None, mean, int(images))


def counts(logits, labels):
    """(right, right among five, summed loss, images) of a batch."""
    best = np.argsort(-logits, axis=1, kind="stable")[:, :MOST_NAMED] == labels[:, None]
    loss = F.cross_entropy(logits, labels, reduction="sum").item()
    return np.array([best[:, 0].sum(), best.sum(), loss, len(labels)])


def part_of(dataset, images):
    """So many samples, spread evenly; all for None, or where there are no more."""
    if images is None or images >= len(dataset):
        return dataset
    return Subset(dataset, np.arange(images) * len(dataset) // images)
