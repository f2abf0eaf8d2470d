"""Losses as layers that only hold the settings of a function. Called with predictions and targets."""

from .. import functional as F
from .function import Function


class MSELoss(Function):
    """(x - t)^2 of each element: mean, sum, or none. See ops.mse_loss."""

    function = staticmethod(F.mse_loss)


class L1Loss(Function):
    """|x - t| of each element: mean, sum, or none. See ops.l1_loss."""

    function = staticmethod(F.l1_loss)


class SmoothL1Loss(Function):
    """(x - t)^2 / (2 beta) where |x - t| < beta, else |x - t| - beta / 2. See ops.smooth_l1_loss."""

    function = staticmethod(F.smooth_l1_loss)


class HuberLoss(Function):
    """(x - t)^2 / 2 where |x - t| < delta, else delta (|x - t| - delta / 2). See ops.huber_loss."""

    function = staticmethod(F.huber_loss)


class BCELoss(Function):
    """-(t ln x + (1 - t) ln(1 - x)) of probabilities x. See ops.binary_cross_entropy."""

    function = staticmethod(F.binary_cross_entropy)


class BCEWithLogitsLoss(Function):
    """BCELoss of 1 / (1 + e^-x), exact for logits x of any size. See ops.binary_cross_entropy_with_logits."""

    function = staticmethod(F.binary_cross_entropy_with_logits)


class NLLLoss(Function):
    """-x[t] of log-probabilities x (..., K) and classes t (...). See ops.nll_loss."""

    function = staticmethod(F.nll_loss)


class KLDivLoss(Function):
    """t (ln t - x) of log-probabilities x and probabilities t. See ops.kl_div."""

    function = staticmethod(F.kl_div)


class CosineSimilarity(Function):
    """sum a b / (|a| |b|) over the axis dim (the channels, unless told otherwise). See ops.cosine_similarity."""

    function = staticmethod(F.cosine_similarity)


class CosineEmbeddingLoss(Function):
    """1 - cos(a, b) where the target is 1, max(0, cos(a, b) - margin) where it is -1. See ops.cosine_embedding_loss."""

    function = staticmethod(F.cosine_embedding_loss)
