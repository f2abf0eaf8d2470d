"""Derivatives from differences of fn's values: along a direction, and element by element."""

from typing import NamedTuple

import numpy as np

LARGEST_JACOBIAN = 4_000_000  # elements; beyond it only the gradient is kept


class Run(NamedTuple):
    """One forward and backward pass: the output, the incoming gradient, and the gradients that came out."""

    y: np.ndarray
    dy: np.ndarray
    found: dict


class Slopes(NamedTuple):
    """dy/dt when a leaf moves by t along a direction: from the left, from both sides, and from the right."""

    left: np.ndarray
    middle: np.ndarray
    right: np.ndarray

    def times(self, dy):
        return Slopes(*(float((slope * dy).sum()) for slope in self))

    @property
    def gap(self):
        """How far the two sides disagree: for a smooth function next to nothing."""
        return np.abs(self.right - self.left).max(initial=0)


def slopes(problem, y, name, direction, step):
    """Slopes of fn's output, each an array of its shape."""
    x = problem.array(name)
    up, down = (problem.value({name: x + way * step * direction}) for way in (1, -1))
    return Slopes((y - down) / step, (up - down) / (2 * step), (up - y) / step)


def unit(shape, index):
    """1 at the index, 0 elsewhere."""
    array = np.zeros(shape)
    array[index] = 1
    return array


class Elementwise(NamedTuple):
    """gradient: of <fn, dy>, by differences. jacobian: (x.size, y.size), or None where that would be too large."""

    gradient: np.ndarray
    jacobian: np.ndarray | None


def elementwise(problem, run, name, step):
    """Move each element of a leaf up and down: two runs of fn for each."""
    shape = problem.array(name).shape
    rows = ((i, slopes(problem, run.y, name, unit(shape, i), step).middle) for i in np.ndindex(shape))
    gradient, jacobian = np.zeros(shape), []
    keep = gradient.size * run.y.size <= LARGEST_JACOBIAN
    for index, row in rows:
        gradient[index] = (row * run.dy).sum()
        if keep:
            jacobian.append(row.ravel())
    return Elementwise(gradient, np.array(jacobian).reshape(gradient.size, run.y.size) if keep else None)
