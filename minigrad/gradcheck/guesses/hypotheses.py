"""The mistakes that gradcheck knows, most particular first. The first that explains the gradient found is the guess."""

import numpy as np

from . import axes, numbers, terms

HYPOTHESES = (
    numbers.no_gradient,
    numbers.not_finite,
    numbers.wrong_type,
    numbers.ignores_dy,
    numbers.sign,
    numbers.constant_factor,
    axes.missing_sum,
    axes.wrong_shape,
    axes.transposed,
    terms.swapped,
    terms.left_out,
    axes.reversed_axes,
    axes.shifted,
    terms.mask,
    terms.factor,
    terms.other_input_moved,
    terms.term,
)


def guess(evidence):
    """The Guess of the first hypothesis that fits, or None."""
    with np.errstate(all="ignore"):
        return next((g for g in (attempt(h, evidence) for h in HYPOTHESES) if g is not None), None)


def attempt(hypothesis, evidence):
    """A hypothesis runs fn on inputs and gradients of its own making; if fn refuses them, it says nothing."""
    try:
        return hypothesis(evidence)
    except Exception:
        return None
