"""Losses as layers: one number that says how far the output is from what is wanted."""

from .. import functional as F
from ..module import Module


class CrossEntropyLoss(Module):
    """Softmax cross-entropy of logits and classes, or probabilities (see ops.cross_entropy for the formula).

        x (M, K) logits, target (M,) classes from 0 to K - 1, or (M, K) probabilities -> a single number

    weight            (K,): what each class counts; None: 1 each
    ignore_index      rows with this class count nothing
    reduction         "mean" (by the rows' weights), "sum", or "none": one number for each row, (M,)
    label_smoothing   the share of the target that is spread over all classes, in [0, 1)

    ValueError in the call for shapes, classes or settings that don't fit.
    """

    def __init__(self, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
        self.weight, self.ignore_index = weight, ignore_index
        self.reduction, self.label_smoothing = reduction, label_smoothing

    def forward(self, x, target):
        """x (M, K), target (M,) or (M, K) -> a single number, or (M,) without reduction."""
        return F.cross_entropy(x, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing)
