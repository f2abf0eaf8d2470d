"""Hypotheses about the axes: a wrong shape, a missing sum, a transpose, a reversal, a shift."""

import itertools

import numpy as np

from ..report import Guess

FARTHEST_SHIFT = 3


def missing_sum(e):
    """The gradient has axes that a sum should have removed."""
    for axes in some_of(range(e.found.ndim)):
        total = e.found.sum(axes)
        if total.size == e.expected.size and e.same(total.reshape(e.x.shape), e.expected):
            return unreduced(e, axes) if stretched(e.x.shape, e.y.shape) else missing_batch_sum(e, axes)


def unreduced(e, axes):
    text = (
        f"{e.name} {e.x.shape} is broadcast to {e.y.shape} in the forward pass, but its gradient keeps {e.found.shape}"
    )
    return Guess("not reduced over a broadcast axis", text, f"sum the gradient over {axis_names(axes)}")


def missing_batch_sum(e, axes):
    text = f"the gradient has shape {e.found.shape}; summed over {axis_names(axes)} it is right"
    return Guess("missing sum over the batch", text, f"every sample contributes: add .sum({axes})")


def stretched(small, large):
    """Does NumPy's broadcasting stretch the one shape to the other?"""
    try:
        return small != large and np.broadcast_shapes(small, large) == large
    except ValueError:
        return False


def axis_names(axes):
    return ("axis " if len(axes) == 1 else "axes ") + ", ".join(map(str, axes))


def some_of(items):
    """All choices of one or more of the items, as tuples, small ones first."""
    items = tuple(items)
    return (c for n in range(1, len(items) + 1) for c in itertools.combinations(items, n))


def transposed(e):
    for order in orders(e.expected.ndim):
        moved = e.expected.transpose(order)
        if e.same(e.found, moved):
            return Guess("transpose", f"found = expected with its axes in the order {order}", transposition_hint(e))
        if moved.size == e.found.size and e.same(e.found, moved.reshape(e.found.shape)):
            text = f"found = expected.transpose{order}, poured into shape {e.found.shape}"
            return Guess("transpose", text, "a reshape does not move axes: use transpose")
    return dy_transposed(e)


def dy_transposed(e):
    for order in orders(e.dy.ndim):
        moved = e.dy.transpose(order).reshape(e.dy.shape)
        if e.same(e.found, e.expected_for(moved)):
            return Guess("transpose", f"dy is read with its axes in the order {order}", "drop or add a transpose of dy")


def transposition_hint(e):
    return f"the gradient of {e.name} must be laid out as {e.name} itself, {e.x.shape}"


def orders(ndim):
    """All orders of the axes but the natural one."""
    return list(itertools.permutations(range(ndim)))[1:] if 2 <= ndim <= 5 else []


def wrong_shape(e):
    """The right numbers in another shape."""
    if e.found.shape != e.x.shape and e.found.size == e.x.size and e.same(e.found.reshape(e.x.shape), e.expected):
        text = f"the numbers are right, but in shape {e.found.shape} instead of {e.x.shape}"
        return Guess("shape", text, f"reshape to {e.x.shape}, or leave keepdims out")


def reversed_axes(e):
    """Along some axes the gradient runs backwards: the filter of a convolution, rotated once too often."""
    for axes in some_of(range(e.x.ndim)):
        if e.same(e.found, np.flip(e.expected, axes)):
            text = f"found = expected, reversed along {axis_names(axes)}"
            return Guess("reversed", text, "a [::-1] is missing or too many (forward correlates, backward convolves)")


def shifted(e):
    """Where both overlap, found = expected moved by a few elements: a padding, stride or slice off by some."""
    for offset in offsets(e.x.shape):
        if e.found.shape == e.x.shape and overlap_agrees(e, e.found, e.expected, offset):
            return shift_guess(e.name, offset)
    for offset in offsets(e.dy.shape):
        for moved in (slid(e.dy, offset), np.roll(e.dy, offset, range(e.dy.ndim))):
            if moved.any() and e.same(e.found, e.expected_for(moved)):
                return shift_guess("dy", offset)


def shift_guess(what, offset):
    by = " and ".join(f"{k:+d} along axis {axis}" for axis, k in enumerate(offset) if k)
    hint = "check padding, stride and the start of every slice for an off-by-one"
    if what == "dy":
        return Guess("shift", f"the gradient belongs to dy shifted by {by}", hint)
    return Guess("shift", f"found = expected, shifted by {by}", hint)


def offsets(shape):
    """All shifts by up to FARTHEST_SHIFT along one axis or two, small ones first."""
    choices = [range(-min(FARTHEST_SHIFT, n - 1), min(FARTHEST_SHIFT, n - 1) + 1) for n in shape]
    wanted = (o for o in itertools.product(*choices) if 0 < np.count_nonzero(o) <= 2)
    return sorted(wanted, key=lambda o: (np.count_nonzero(o), sum(map(abs, o))))


def overlap_agrees(e, found, expected, offset):
    there = tuple(slice(max(k, 0), n + min(k, 0)) for k, n in zip(offset, found.shape))
    here = tuple(slice(max(-k, 0), n + min(-k, 0)) for k, n in zip(offset, found.shape))
    overlap = expected[here]
    return np.unique(overlap[overlap != 0]).size >= 2 and e.same(found[there], overlap)


def slid(array, offset):
    """The array moved by an offset, with zeros where nothing came from."""
    moved = np.zeros_like(array)
    there = tuple(slice(max(k, 0), n + min(k, 0)) for k, n in zip(offset, array.shape))
    here = tuple(slice(max(-k, 0), n + min(-k, 0)) for k, n in zip(offset, array.shape))
    moved[there] = array[here]
    return moved
