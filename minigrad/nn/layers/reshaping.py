"""Layers that only arrange: the same numbers in another shape, or as they are."""

import math

from ...ops.checks import is_whole, whole
from ..module import Module


class Flatten(Module):
    """(N, ...) -> (N, everything else). Channels last: the order within is H, W, C."""

    def forward(self, x):
        """x (N, ...) -> (N, the product of the other axes)."""
        return x.flatten(1)


class Unflatten(Module):
    """One axis as several: x (..., n, ...) -> (..., *unflattened_size, ...).

    dim                the axis to be cut up, from 0, or from the end if negative
    unflattened_size   the lengths of the new axes; one of them may be -1, which means what is left

    TypeError for a size that is no tuple or list, ValueError for lengths that are not ints >= 1 or -1, and in the call
    for an axis that x doesn't have or whose length is not their product.
    """

    def __init__(self, dim, unflattened_size):
        if not isinstance(unflattened_size, tuple | list):
            raise TypeError(f"Unflatten: unflattened_size must be a tuple of ints; got {unflattened_size!r}")
        self.dim, self.unflattened_size = whole("Unflatten", "dim", dim, -16), tuple(unflattened_size)
        lengths = [n for n in self.unflattened_size if n != -1]
        if len(self.unflattened_size) - len(lengths) > 1 or not all(is_whole(n, 1) for n in lengths):
            rule = "lengths must be ints >= 1, one of them may be -1"
            raise ValueError(f"Unflatten: unflattened_size: {rule}; got {unflattened_size!r}")

    def forward(self, x):
        """x (..., n, ...) -> (..., *unflattened_size, ...)."""
        if not -x.ndim <= self.dim < x.ndim:
            raise ValueError(f"Unflatten: dim {self.dim} is no axis of x {x.shape}")
        dim = self.dim % x.ndim
        known = math.prod(n for n in self.unflattened_size if n != -1)
        fits = x.shape[dim] % known == 0 if -1 in self.unflattened_size else x.shape[dim] == known
        if not fits:
            raise ValueError(f"Unflatten: axis {dim} of x {x.shape} cannot be {self.unflattened_size}")
        lengths = (x.shape[dim] // known if n == -1 else n for n in self.unflattened_size)
        return x.reshape(*x.shape[:dim], *lengths, *x.shape[dim + 1 :])

    def extra_repr(self):
        """The axis and its new lengths."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class Identity(Module):
    """x itself, for a place that wants a layer. It takes any arguments and does nothing with them, as torch's."""

    def __init__(self, *ignored, **settings):
        pass

    def forward(self, x):
        """x itself."""
        return x
