"""Dropout, and the seeds that make its masks repeatable."""

import numpy as np

from ... import ops
from ...random import fresh_seed
from ...recompute import draw
from ..module import Module


class Dropout(Module):
    """Zero each element with probability p and divide the others by 1 - p, in training mode; x of any shape.

    What is dropped is a function of (seed, number of calls so far). `reseed` sets both, which is how a training run
    that was killed goes on with the same masks. ValueError for a p that is no probability.
    """

    drawn_from = "seed", "calls"

    def __init__(self, p=0.5):
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p must be a probability from 0 to 1; got {p}")
        self.p, self.seed, self.calls = p, fresh_seed(32), 0

    def forward(self, x):
        """x of any shape -> the same shape; x itself in evaluation mode."""
        if not self.training or self.p == 0:
            return x
        return ops.dropout(x, p=self.p, seed=draw(self.next_seed))

    def next_seed(self):
        """A seed that depends on the layer's own and on how often it was called (see reseed)."""
        self.calls += 1
        return (self.seed << 32) + self.calls

    def extra_repr(self):
        """The probability."""
        return f"p={self.p}"


class Dropout2d(Dropout):
    """Zero each channel of each image with probability p and divide the others by 1 - p, in training mode.

        x (N, H, W, C) -> the same shape

    What is dropped is a function of (seed, number of calls so far), as of Dropout; `reseed` sets both here, too.
    """

    def forward(self, x):
        """x (N, H, W, C) -> the same shape; x itself in evaluation mode."""
        if not self.training or self.p == 0:
            return x
        return ops.dropout2d(x, p=self.p, seed=draw(self.next_seed))


def reseed(module, seed, step=0, *more):
    """Make every Dropout below `module` drop what (seed, its place, step, more numbers) determine, from here on."""
    for place, layer in enumerate(m for m in module.modules() if isinstance(m, Dropout)):
        layer.seed = int(np.random.SeedSequence((seed, place, step, *more)).generate_state(1)[0])
        layer.calls = 0
