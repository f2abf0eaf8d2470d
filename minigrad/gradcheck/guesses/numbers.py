"""Hypotheses about the numbers: none, not finite, another type, sign, constant factor, the incoming gradient unused.

A hypothesis is a function of the Evidence. It returns a Guess if the gradient that was found is exactly what its
mistake would produce, else None.
"""

import math

import numpy as np

from ..report import Guess


def no_gradient(e):
    if e.found is None or not e.found.any():
        how = "backward returned None (or a detached array)" if e.found is None else "backward returned only zeros"
        return Guess("no gradient", how, f"compute {e.name}'s gradient, and return it in {e.name}'s place")


def not_finite(e):
    if not np.isfinite(e.found).all():
        bad = e.found[~np.isfinite(e.found)][0]
        return Guess(
            "not finite", f"it holds {bad}", "look for a division by zero, or an array from empty() never filled"
        )


def wrong_type(e):
    if e.found.dtype != e.expected.dtype:
        text = f"it is {e.found.dtype}, the input is {e.expected.dtype}"
        return Guess("type", text, "make arrays in backward with the type of dy: zeros(shape, dy.dtype)")


def ignores_dy(e):
    """A backward pass is linear in dy. One that forgot to multiply by it returns the same for twice the dy."""
    if e.same(e.found_for(2 * e.dy), e.found):
        text = "the gradient does not change with the incoming gradient dy: the chain rule's factor is forgotten"
        return Guess("forgotten chain factor", text, "multiply by dy: dL/dx = dL/dy dy/dx, and dy is dL/dy")


def sign(e):
    if e.same(e.found, -e.expected):
        return Guess("sign", "found = -expected", "one minus sign is missing or too many")


def constant_factor(e):
    if e.found.shape != e.expected.shape or e.scale == 0:
        return None
    c = e.factor(e.found, e.expected)
    known = name_of_factor(e, c)
    if e.same(e.found, c * e.expected) and (known or e.x.size > 1):
        name, why = known or (f"{c:.6g}", "look for a constant that is missing or too many")
        return Guess("constant factor", f"found = {name} x expected", why)


def name_of_factor(e, c):
    """(the factor as one would write it, what may have caused it), or None for a number that says nothing."""
    for length, what in lengths(e):
        for value, text, why in ((length, "N", "sum where a mean"), (1 / length, "1/N", "mean where a sum")):
            if math.isclose(c, value, rel_tol=1e-5):
                plain = f"{length}" if value > 1 else f"1/{length}"
                return f"{plain} (= {text}, {what})", f"a {why} belongs, or a constant {plain} too many{twice(c)}"
    for numerator in range(1, 13):
        for denominator in range(1, 13):
            if math.isclose(abs(c), numerator / denominator, rel_tol=1e-5):
                size = f"{numerator}" if denominator == 1 else f"{numerator}/{denominator}"
                return f"{'-' * (c < 0)}{size}", f"look for a constant {size} in the formula{twice(c)}"
    return None


def twice(c):
    if math.isclose(c, 0.5, rel_tol=1e-5):
        return "; or x is used twice and only one use is counted"
    return "; or its gradient is added twice" if math.isclose(c, 2, rel_tol=1e-5) else ""


def lengths(e):
    """(N, what it is the length of) for the lengths and sizes that a mean may divide by; longest first."""
    arrays = ((e.name, e.x), ("the output", e.y))
    sizes = [(a.size, f"all elements of {name}") for name, a in arrays]
    axes = [(n, f"axis {i} of {name}") for name, a in arrays for i, n in enumerate(a.shape)]
    batch = [(a.size // a.shape[-1], f"{name}'s elements for each channel") for name, a in arrays if a.size and a.ndim]
    return [(n, what) for n, what in (*axes, *batch, *sizes) if n > 1]
