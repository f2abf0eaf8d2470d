"""element: which products one number of a gradient is the sum of, and where in the image they come from."""

from dataclasses import dataclass
from functools import cached_property
from operator import index as as_int
from typing import NamedTuple

import numpy as np

from ..tensor import Tensor
from .dissect import Part, dissect
from .watch import gradients_apart

ROWS = 12


class Term(NamedTuple):
    """One product: factor * dy, by which op, and where both stand in their arrays (None where in no array)."""

    op: str
    factor_name: str
    factor_at: tuple | None
    factor: float
    dy_at: tuple
    dy: float
    product: float


@dataclass(frozen=True, repr=False)
class Element:
    """One element of a gradient as a sum of terms.

    shape, index   of which tensor, which element
    gradient       what the backward pass gives for it
    parts          a dissect.Part for each op that used the tensor: all terms as columns of arrays
    terms          the same as a list of Term, largest first
    total          the sum of all terms, in float64: equal to `gradient` within rounding
    """

    shape: tuple
    index: tuple
    gradient: float
    parts: tuple[Part, ...]

    @property
    def total(self):
        """The sum of all terms: the element of the gradient."""
        return float(sum(p.product.sum() for p in self.parts))

    @property
    def count(self):
        """How many terms there are."""
        return sum(len(p.dy) for p in self.parts)

    @cached_property
    def terms(self):
        """All terms, the largest first."""
        return self.largest(self.count)

    def largest(self, n):
        """The n terms that are largest in absolute value, largest first."""
        candidates = []
        for p in self.parts:
            product = p.product
            for row in np.argsort(-np.abs(product), kind="stable")[:n]:
                at = None if p.factor_at is None else tuple(p.factor_at[row].tolist())
                values = float(p.factor[row]), tuple(p.dy_at[row].tolist()), float(p.dy[row]), float(product[row])
                candidates.append(Term(p.op, p.factor_name, at, *values))
        return sorted(candidates, key=lambda term: -abs(term.product))[:n]

    def by_image(self):
        """{image: sum of its terms}, for terms whose dy belongs to an image of the batch (its first axis)."""
        sums = {}
        for p in (p for p in self.parts if p.dy_at.shape[1]):
            images = p.dy_at[:, 0]
            for n in np.unique(images):
                sums[int(n)] = sums.get(int(n), 0.0) + float(p.product[images == n].sum())
        return sums

    def __repr__(self):
        return "\n".join(_table(self))

    def plot(self):
        """The op's input or weight, dy, and the products in dy's plane, for the image of the largest term; a ranking.

        Outlined: everything that the terms of this image touch. Dashed: the receptive field of the output element of
        the largest term; dots: that term's own factor and dy.
        """
        from .element_picture import element_figure

        return element_figure(self)


def element(loss, tensor, index):
    """Take apart one element of the gradient d loss / d tensor: the terms factor * dy that sum to it.

        element(loss, net.conv1.weight, (k, r, s, c))    a weight: x * dy over all images and positions
        element(loss, x, (n, i, j, c))                   an input, or any tensor on the way that requires a gradient

    loss: a single number whose graph is still there: before backward(), or after backward(retain_graph=True).
    Convolution, linear, batch norm and pooling (also fused with ReLU) are taken apart, other ops give one term each.
    The graph and all .grad are left as they were, hooks run. ValueError for an index outside the tensor, or a tensor
    that loss does not depend on; RuntimeError if the graph is gone.
    """
    index = position(tensor, index)
    parts, gradient = [], None
    with gradients_apart(loss):
        for step in loss.backward_steps(retain_graph=True):
            for which, (parent, dx) in enumerate(zip(step.node.parents, step.dxs)):
                if parent is tensor.node and dx is not None:
                    parts.append(dissect(step.node, which, step.dy, dx, index))
            if step.node is tensor.node:
                gradient = float(step.dy[index])
                break
    if gradient is None:
        raise ValueError(
            f"element: loss does not depend on this tensor of shape {tensor.shape} "
            "(or only through a checkpointed piece, whose steps are not in the graph)"
        )
    return Element(tensor.shape, index, gradient, tuple(parts))


def position(tensor, index):
    """index as a tuple of ints within the tensor, negative ones count from the end. TypeError for what is no tensor."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"element: tensor must be a Tensor that loss was computed from; got {type(tensor).__name__}")
    if tensor.node is None:
        raise ValueError(f"element: this tensor of shape {tensor.shape} does not require a gradient")
    index = tuple(map(as_int, index)) if isinstance(index, tuple | list) else (as_int(index),)
    if len(index) != tensor.ndim or any(not -n <= i < n for i, n in zip(index, tensor.shape)):
        raise ValueError(f"element: index must name one element of a tensor of shape {tensor.shape}; got {index}")
    return tuple(i % n for i, n in zip(index, tensor.shape))


def _table(e):
    yield f"gradient of element {e.index} of a tensor {e.shape}: {e.gradient:.6g}"
    for p in e.parts:
        formula = f"{p.factor_name} * dy" if p.factor_name else "sent by the op, not taken apart"
        yield f"  {p.op}: {len(p.dy):,} term{'s' * (len(p.dy) != 1)} ({formula}), sum {p.product.sum():z.6g}"
    top = e.largest(ROWS)
    header = ("product", "= factor", "at", "* dy", "at", "op")
    rows = [header, *(_cells(term) for term in top)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    yield from ("  ".join(cell.rjust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
    if e.count > len(top):
        rest = e.total - sum(term.product for term in top)
        yield f"and {e.count - len(top):,} smaller terms, sum {rest:z.6g}"


def _cells(term):
    at = "" if term.factor_at is None else str(term.factor_at)
    factor = f"{term.factor_name} {term.factor:.4g}".strip()
    return f"{term.product:z.4g}", factor, at, f"{term.dy:.4g}", str(term.dy_at), term.op
