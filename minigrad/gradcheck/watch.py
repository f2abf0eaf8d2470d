"""One watched run, forward and backward: it notices arrays that are overwritten and functions that are random."""

import functools

import numpy as np

from ..autograd import Leaf, toposort
from .differences import Run
from .problem import host, of_any_form
from .report import GradcheckError


def watched_run(problem, rng):
    """The Run for a random incoming gradient. GradcheckError for in-place damage and for two runs that differ."""
    y, dy, found = once(problem, rng.standard_normal(problem.shape))
    again, _, found_again = once(problem, dy)
    text = "two runs on the same inputs differ{}; fix the seed, or put the module into evaluation mode"
    if not same(y, again):
        raise GradcheckError(problem.name, kind="random", text=text.format(" in the output"))
    for name, grad in found.items():
        if not same(grad, found_again[name]):
            raise GradcheckError(problem.name, kind="random", text=text.format(f" in the gradient of {name}"))
    return Run(y, dy, found)


def once(problem, dy):
    """(output, incoming gradient, gradients), with every array that must not change compared to a copy."""
    before = problem.copies()
    with problem.own_gradients():
        y = problem.fn(*problem.inputs)
        check_untouched(problem, "forward", before)
        output = host(y).copy()
        with of_any_form(y):
            step_through(problem, y, dy)
        check_untouched(problem, "backward", before)
        check_same(problem.name, "backward", "its output", output, host(y))
        return output, dy, problem.take_gradients()


def check_untouched(problem, phase, before):
    for name, array in before.items():
        check_same(problem.name, phase, f"its input {name}", array, problem.array(name))


def check_same(op, phase, what, before, after):
    if not same(before, after):
        index = tuple(map(int, np.argwhere(~equal(before, after))[0]))
        text = (
            f"its {phase} pass overwrote {what} in place: element {list(index)} was {before[index]:.6g}, is now "
            f"{after[index]:.6g}; others may still need that array, so write into a fresh one"
        )
        raise GradcheckError(op, kind="in-place damage", text=text)


def step_through(problem, y, dy):
    """The backward pass, one node at a time, so that it is known which op wrote into the gradient that it was given."""
    received = {}
    for node in toposort(y.node):
        if not isinstance(node, Leaf):
            node.hooks.append(functools.partial(remember, received, node))
    for step in y.backward_steps(dy.copy()):
        if step.node in received:
            what = "the incoming gradient dy"
            check_same(step.node.name, "backward", what, received.pop(step.node), host(step.dy))


def remember(received, node, dy):
    received[node] = host(dy).copy()


def equal(a, b):
    return (a == b) | ((a != a) & (b != b))


def same(a, b):
    """Bit for bit, but for the sign of zero; NaN equals NaN. None equals None."""
    return (a is b is None) or (a is not None and b is not None and a.shape == b.shape and bool(equal(a, b).all()))
