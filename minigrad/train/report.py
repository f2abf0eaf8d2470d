"""How well each class was told from the others: a table for a spreadsheet."""

import csv as comma_separated
import io

import numpy as np

MOST, WORST = 20, 5  # classes that are shown: all of so many, else so many
COLUMNS = ("class", "images", "precision", "recall", "f1")


def rows(confusion, names):
    """(name, images, precision, recall, F1) of each class; 0 where there was nothing to divide by.

    confusion[i, j]: images of class i that were taken for class j. precision: the share of what was taken for the class
    that is of it; recall: the share of its images that were found; F1: their harmonic mean.
    """
    right, images, taken = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    precision, recall = right / np.maximum(taken, 1), right / np.maximum(images, 1)
    f1 = 2 * right / np.maximum(images + taken, 1)
    return list(zip(names, images.tolist(), precision.tolist(), recall.tolist(), f1.tolist()))


def csv(confusion, names):
    """The rows as text, under a line of column names."""
    text = io.StringIO()
    writer = comma_separated.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(
        (name, images, *(f"{x:.4f}" for x in measures)) for name, images, *measures in rows(confusion, names)
    )
    return text.getvalue()


def table(confusion, names):
    """The rows as lines for the screen: all classes, or of many the ones that are told apart worst."""
    found = rows(confusion, names)
    shown = found if len(found) <= MOST else sorted(found, key=lambda row: row[-1])[:WORST]
    width = max(len(COLUMNS[0]), *(len(name) for name, *_ in shown))
    head = f"{COLUMNS[0]:<{width}}" + "  images  precision  recall     f1"
    lines = [f"{name:<{width}}  {images:>6,}  {p:>9.1%}  {r:>6.1%}  {f:>5.3f}" for name, images, p, r, f in shown]
    rest = f"the {WORST} of {len(found)} classes with the lowest F1; classes.csv has all"
    return [head, *lines, *([] if len(found) <= MOST else [rest])]
