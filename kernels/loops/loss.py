"""Softmax and cross-entropy."""

import numpy as np

from .positions import indices


def cross_entropy_forward(x, q):
    """p[m,k] = e^x[m,k] / sum over j of e^x[m,j],   loss[m] = -sum over k of q[m,k] log p[m,k];   returns loss, p"""
    loss, p = np.zeros(len(x), x.dtype), np.empty_like(x)
    for m in range(len(x)):
        largest = max(x[m])  # taken off every logit, so that nothing overflows; p stays the same
        total = sum(np.exp(logit - largest) for logit in x[m])
        for k in range(x.shape[1]):
            p[m, k] = np.exp(x[m, k] - largest) / total
            loss[m] -= q[m, k] * (x[m, k] - largest - np.log(total))
    return loss, p


def cross_entropy_backward(dloss, p, q):
    """dx[m,k] = dloss[m] (p[m,k] sum over j of q[m,j] - q[m,k])"""
    dx = np.empty_like(p)
    for m, k in indices(p.shape):
        dx[m, k] = dloss[m] * (p[m, k] * sum(q[m]) - q[m, k])
    return dx
