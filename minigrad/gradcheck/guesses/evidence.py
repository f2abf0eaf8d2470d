"""What a guess may look at: the wrong gradient, the right one, and what both would be for other inputs and other dy."""

import functools

import numpy as np

from ..differences import elementwise

PRECISION = 1e-5  # of differences, relative to the largest element


class Evidence:
    """For one leaf x whose gradient is wrong.

    x, y, dy           the leaf, the output, the incoming gradient
    found, expected    the gradient from backward() (None: there was none), and the one from differences
    jacobian           (x.size, y.size): expected = jacobian @ dy; None if too large
    """

    def __init__(self, problem, step, run, name, known):
        self.problem, self.step, self.run, self.name, self.known = problem, step, run, name, known
        self.x, self.y, self.dy, self.found = problem.array(name), run.y, run.dy, run.found[name]
        self.expected, self.jacobian = known[name]
        self.scale = np.abs(self.expected).max(initial=0)

    def same(self, a, b):
        """Equal as far as differences can tell."""
        if a is None or b is None or a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
            return False
        scale = max(np.abs(a).max(initial=0), np.abs(b).max(initial=0))
        return bool((np.abs(a - b) <= PRECISION * scale + 1e-9).all())

    def factor(self, a, b):
        """The c that comes nearest to a = c b."""
        return float(np.vdot(b, a) / np.vdot(b, b))

    def multiple(self, a, b):
        """Is a a multiple of b? (With one or two elements that says nothing.)"""
        return a.size > 2 and bool(b.any()) and self.same(a, self.factor(a, b) * b)

    def found_for(self, dy):
        """What the backward pass returns for another incoming gradient."""
        return self.problem.gradients(dy)[0][self.name]

    def expected_for(self, dy):
        """What it should return for another incoming gradient."""
        return None if self.jacobian is None else (self.jacobian @ dy.ravel()).reshape(self.x.shape)

    def expected_of(self, other):
        """The right gradient of another leaf."""
        if other not in self.known:
            self.known[other] = elementwise(self.problem, self.run, other, self.step)
        return self.known[other].gradient

    def expected_with(self, other, array):
        """The right gradient of x if another leaf held this array."""
        with self.problem.moved({other: array}):
            y = self.problem.value({})
            return elementwise(self.problem, self.run._replace(y=y), self.name, self.step).gradient

    @property
    def others(self):
        """{name: array} of the other leaves."""
        return {n: self.problem.array(n) for n in self.problem.leaves if n != self.name}

    @functools.cached_property
    def backward_matrix(self):
        """(x.size, y.size): found = backward_matrix @ dy. None if too large or if the gradient's shape is wrong."""
        if self.jacobian is None or self.found is None or self.found.shape != self.x.shape:
            return None
        units = np.eye(self.y.size).reshape(self.y.size, *self.y.shape)
        columns = [grads[self.name] for grads in self.problem.gradients(*units)]
        return None if any(c is None for c in columns) else np.array([c.ravel() for c in columns]).T
