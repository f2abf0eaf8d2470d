"""Which images are held back for validation (--val-split), and what each class counts (--class-weights)."""

from dataclasses import replace

import numpy as np

from ..command.errors import UsageError
from ..data import random_split
from ..tensor import Tensor

BALANCED = "balanced"


def held_back(datasets, share, seed):
    """The Datasets whose test set is a share of the training images, chosen by the seed, which aren't trained on."""
    if share is None:
        return datasets
    images = len(datasets.train)
    if not 0 < round(share * images) < images:
        raise UsageError(f"--val-split {share:g} of {images:,} training images leaves none for one of the two parts")
    validation, train = random_split(datasets.train, [round(share * images), images - round(share * images)], seed)
    return replace(datasets, train=train, test=validation)


def notes(config):
    """What 'test' means with --val-split."""
    held = "'test' is the part of the training images that --val-split holds back; --evaluate tests on the test set"
    return () if config.val_split is None else (held,)


def class_weights(asked, dataset, classes):
    """What each class counts in the loss, float32 (classes,), its mean 1; None: all the same.

    asked: None, "balanced" (a class counts the more, the fewer images it has), or numbers by commas.
    UsageError for anything else, and for data that don't tell their labels.
    """
    if asked is None:
        return None
    weights = balanced(dataset, classes) if asked == BALANCED else numbers(asked)
    if len(weights) != classes:
        raise UsageError(f"--class-weights: {len(weights)} numbers for {classes} classes")
    return (np.array(weights) * classes / sum(weights)).astype(np.float32)


def total_weight(targets, weight=None, ignored=-100):
    """What targets (a tensor) count in the mean of a softmax cross-entropy: the sum of their classes' weights.

    Each row of probabilities counts 1, as does each class without weights (an array or a tensor); ignored ones nothing.
    """
    classes = targets.data
    if classes.dtype.kind not in "iu":
        return classes[..., 0].size
    counted = classes[classes != ignored]
    weight = weight.data if isinstance(weight, Tensor) else weight
    return counted.size if weight is None else float(weight[counted].sum())


def balanced(dataset, classes):
    labels = getattr(dataset, "labels", None)
    if labels is None:
        raise UsageError("--class-weights balanced: this data set doesn't tell its labels; give numbers by commas")
    counts = np.bincount(np.asarray(labels), minlength=classes)
    return [1 / count if count else 0.0 for count in counts]


def numbers(text):
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(0 <= number < np.inf for number in found) or not sum(found):
        raise UsageError(f"--class-weights must be balanced, or numbers from 0 by commas, not all 0; got {text}")
    return found
