"""What a test measures: the mean loss, which classes are taken for which, and metrics."""

from typing import NamedTuple

import numpy as np

from ..device import CPU
from ..nn import functional as F

TOP = 5  # a class among so many of the highest scores is found, where there are more classes than these


class TestResult(NamedTuple):
    """loss, accuracy and the metrics {name: number}: means over all images.

    confusion[i, j]: images of class i that were taken for class j. It and the accuracy are None where there are no
    classes.
    """

    loss: float
    accuracy: float | None
    confusion: np.ndarray | None
    metrics: dict


class Classes(NamedTuple):
    """What is measured of scores of classes; see parts.Named."""

    num_classes: int
    test_criterion: object = F.cross_entropy
    metrics: dict = {}  # noqa: RUF012 (never written)

    def scores(self, model, images):
        return model(images)


class Meter:
    """Sums over the batches of a test. parts: as Classes; num_classes is None for other outputs."""

    def __init__(self, parts):
        self.parts = parts
        self.measures, self.classify = {"loss": parts.test_criterion, **parts.metrics}, parts.num_classes is not None
        self.sums, self.images, self.confusion = dict.fromkeys(self.measures, 0.0), 0, None

    def add(self, outputs, targets):
        """Count a batch (tensors)."""
        if self.classify:
            self.count(outputs.numpy(), CPU.asarray(targets.data))
        for name, measure in self.measures.items():
            value = measure(outputs, targets)
            self.sums[name] += float(value.item() if hasattr(value, "item") else value) * len(targets)
        self.images += len(targets)

    def count(self, scores, labels):
        """Which classes (labels (N,)) are taken for which (scores (N, classes))."""
        classes = scores.shape[1]
        if self.confusion is None:
            self.confusion = np.zeros((classes, classes), np.int64)
            if classes > TOP:
                self.measures["top5"], self.sums["top5"] = in_top, 0.0
        np.add.at(self.confusion, (labels, scores.argmax(1)), 1)

    def gather(self, group):
        """Add what all processes of a group counted, each in its batches; all then know the same."""
        all_of = group.all_gather_object((self.sums, self.images, self.confusion))
        names = max((sums for sums, _, _ in all_of), key=len)
        self.sums = {name: sum(sums.get(name, 0.0) for sums, _, _ in all_of) for name in names}
        self.images = sum(images for _, images, _ in all_of)
        tables = [table for _, _, table in all_of if table is not None]
        self.confusion = sum(tables) if tables else None

    def result(self):
        """TestResult of all batches."""
        means = {name: total / max(self.images, 1) for name, total in self.sums.items()}
        loss = means.pop("loss")
        accuracy = None if self.confusion is None else float(np.trace(self.confusion)) / max(self.images, 1)
        return TestResult(loss, accuracy, self.confusion, means)


def in_top(scores, labels):
    """The share of images whose class is among the five highest scores; of equal scores the first counts."""
    scores, labels = scores.numpy(), CPU.asarray(labels.data)
    highest = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
    return float((highest == labels[:, None]).any(1).mean())
