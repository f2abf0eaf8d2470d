"""Softmax cross-entropy against a distribution for each row."""

from .arrays import array_module


def cross_entropy_forward(x, q):
    """Logits x (M, K), target weights q (M, K): the loss -sum_k q log softmax(x) of each row (M,), and softmax(x)."""
    xp = array_module(x)
    shifted = x - x.max(-1, keepdims=True)  # exp of the largest is 1, so nothing overflows
    log_total = xp.log(xp.exp(shifted).sum(-1, keepdims=True))
    log_p = shifted - log_total
    counted = xp.where(q == 0, xp.zeros_like(log_p), log_p)  # a logit of -inf that is not wanted costs nothing
    return -(q * counted).sum(-1), xp.exp(log_p)


def cross_entropy_backward(dloss, p, q):
    """dx = dloss (p sum_k q - q): for a one-hot q the well-known softmax minus target."""
    return dloss[:, None] * (p * q.sum(-1, keepdims=True) - q)
