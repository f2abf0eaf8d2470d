"""Hypotheses about the formula: another input's gradient, a mask, a factor, a term, a part of the output left out."""

import itertools

import numpy as np

from ..report import Guess
from .axes import axis_names, orders, some_of


def swapped(e):
    """This is the gradient of another input."""
    for other in e.others:
        if e.same(e.found, e.expected_of(other)):
            text = f"this is the gradient of {other}"
            return Guess("swapped", text, "return the gradients in the order of the inputs")


def mask(e):
    """Right where the gradient is not zero (or only zero there): the condition of a ReLU or a maximum is wrong."""
    if e.found.shape != e.x.shape:
        return None
    right, dead = np.isclose(e.found, e.expected, rtol=1e-5, atol=1e-9), np.abs(e.expected) <= 1e-9
    if not dead.any() or dead.all():
        return None
    if right[~dead].all():
        text = f"right where the gradient is not 0, but {int((~right).sum())} elements that get no gradient have one"
        return Guess("mask", text, "multiply by the mask of the forward pass, as (y > 0) for a ReLU")
    if not e.found[~dead].any():
        text = "the elements that should get the gradient get none, and the others do"
        return Guess("mask", text, "the condition is inverted")


def quantities(e):
    """(name, array) of what a forgotten factor may be: the inputs, the output, and simple functions of them."""
    own = {e.name: e.x, **e.others, "y": e.y}
    for name, q in own.items():
        yield from ((name, q), (f"1/{name}", 1 / q), (f"{name}^2", q * q), (f"1/{name}^2", 1 / (q * q)))
        yield from ((f"(1 - {name})", 1 - q), (f"(1 - {name}^2)", 1 - q * q))


def fits(shape, array):
    try:
        return np.broadcast_shapes(shape, array.shape) == shape
    except ValueError:
        return False


def factor(e):
    """expected = found times a known array (or the other way round): a factor of the formula is missing."""
    for name, q in quantities(e):
        if fits(e.x.shape, q) and e.same(e.found * q, e.expected):
            return missing_factor(name)
        if fits(e.y.shape, q) and e.same(e.found_for(e.dy * q), e.expected):
            return missing_factor(name)


def missing_factor(name):
    return Guess("missing factor", f"found times {name} would be right", f"multiply by {name}")


def other_input_moved(e):
    """Right for another input transposed or reversed: `dy @ w` for `dy @ w.T`, or a filter not rotated."""
    for other, array in e.others.items():
        for order in orders(array.ndim):
            moved = array.transpose(order)
            if moved.shape == array.shape and e.same(e.found, e.expected_with(other, moved)):
                text = f"right if {other} had its axes in the order {order}"
                return Guess("transpose", text, f"drop or add a transpose of {other}")
        for axes in some_of(range(array.ndim)):
            if e.same(e.found, e.expected_with(other, np.flip(array, axes))):
                text = f"right if {other} were reversed along {axis_names(axes)}"
                return Guess("reversed", text, f"drop or add a [::-1] of {other}")


def left_out(e):
    """Only some outputs' dy is used, as in a sum over the batch that takes its first sample only."""
    if e.backward_matrix is None:
        return None
    whole = np.isclose(e.backward_matrix, e.jacobian, rtol=1e-4, atol=1e-7).all(0).reshape(e.y.shape)
    empty = ~e.backward_matrix.any(0).reshape(e.y.shape)
    if not (whole | empty).all() or whole.all():
        return None
    for axis, n in enumerate(e.y.shape):
        across = tuple(i for i in range(e.y.ndim) if i != axis)
        kept = np.flatnonzero((whole & ~empty).any(across))
        if kept.size < n and (whole == whole.any(across, keepdims=True)).all():
            return only(e, axis, kept)
    return Guess("missing term", f"dy is ignored at {int((~whole).sum())} of {whole.size} outputs", "use all of dy")


def only(e, axis, kept):
    text = f"of dy only index {', '.join(map(str, kept))} of axis {axis} is used"
    if axis == 0 and kept.size == kept[-1] - kept[0] + 1:
        return Guess("missing sum over the batch", text, "every sample contributes: sum over axis 0")
    return Guess("missing term", text, f"sum over all of axis {axis}")


def term(e):
    """found lacks one of the terms that add up to the gradient."""
    if e.found.shape != e.x.shape:
        return None
    for text in itertools.chain(product_terms(e), absent_paths(e), lane_terms(e)):
        return Guess("missing term", text, "the gradients of all uses of an input add up; check each term and its sign")


def product_terms(e):
    """The difference is a multiple of dy, or of what was found, times a known array: a term of the product rule."""
    rest = e.expected - e.found
    for name, q in [("1", np.ones(())), *quantities(e)]:
        if fits(e.x.shape, q) and e.multiple(rest, e.found * q):
            yield f"found lacks a term: a multiple of itself times {name}"
        if rest.shape == e.dy.shape and fits(e.dy.shape, q) and e.multiple(rest, e.dy * q):
            yield f"found lacks a term: a multiple of dy times {name}"
        if fits(e.y.shape, q) and e.multiple(rest, e.found_for(e.dy * q)):
            yield f"found lacks a term: what backward gives for dy times {name}"


def absent_paths(e):
    """Some outputs depend on some elements of x, but the backward pass has no such path."""
    if e.backward_matrix is None:
        return
    there, should = np.abs(e.backward_matrix) > 1e-9, np.abs(e.jacobian) > 1e-6 * np.abs(e.jacobian).max(initial=0)
    absent = should & ~there
    if absent.any() and not (there & ~should).any():
        yield f"{int(absent.sum())} of {int(should.sum())} ways from an element of {e.name} to an output are left out"


def lane_terms(e):
    """Along some axes the difference is constant, or a straight line in x or in y: a term with a mean or a sum."""
    rest = e.expected - e.found
    bases = {"1": [], e.name: [e.x], "y": [e.y] if e.y.shape == e.x.shape else []}
    for axes in some_of(range(e.x.ndim)):
        for name, basis in bases.items():
            if (basis or name == "1") and fits_lanes(e, rest, basis, axes):
                of = "a constant" if name == "1" else f"a line in {name}"
                yield f"along {axis_names(axes)} found lacks {of}"


def fits_lanes(e, rest, basis, axes):
    """Is `rest` along these axes a combination of 1 and the basis, in every lane?"""
    count = int(np.prod([rest.shape[a] for a in axes]))
    if count < 2 * (len(basis) + 1):
        return False
    others = [a for a in range(rest.ndim) if a not in axes]
    lanes, *columns = (a.transpose(*others, *axes).reshape(-1, count) for a in (rest, *basis))
    errors = [misfit(lane, [c[i] for c in columns]) for i, lane in enumerate(lanes)]
    return max(errors, default=1) <= 1e-6 * e.scale


def misfit(lane, columns):
    a = np.stack([np.ones_like(lane), *columns], axis=1)
    return float(np.abs(a @ np.linalg.lstsq(a, lane)[0] - lane).max())
