"""Gradient clipping: bounds on what one step may do."""

import math

from ..device import device_of
from .params import grads_of


def clip_grad_norm_(params, max_norm):
    """Scale all gradients, in place, so that together their Euclidean norm is at most max_norm (Pascanu et al. 2013).

    params: a parameter or several (a list, an iterator); one that is there twice counts once. Returns the norm before.
    It is summed in float64, parameter after parameter; a norm that is not finite makes the gradients so. ValueError
    for a max_norm that is not >= 0 and for an iterator that gives nothing, TypeError for what are no parameters.
    """
    if not max_norm >= 0:
        raise ValueError(f"clip_grad_norm_: max_norm must be >= 0; got {max_norm}")
    grads = grads_of("clip_grad_norm_", params)
    if not grads:
        return 0.0
    kernels = device_of(grads[0]).kernels
    norm = math.sqrt(float(kernels.squared_norm(grads)))  # the host waits once
    factor = clip_factor(norm, max_norm)
    if not factor >= 1:  # also where it is NaN
        kernels.scale_all(grads, factor)
    return norm


def clip_factor(norm, max_norm):
    """What gradients of this norm are multiplied by, unless it is 1 or more."""
    return max_norm / (norm + 1e-6)


def clip_grad_value_(params, clip_value):
    """Bring every element of all gradients, in place, into [-clip_value, clip_value].

    params: as in clip_grad_norm_. ValueError for a clip_value that is not >= 0.
    """
    if not clip_value >= 0:
        raise ValueError(f"clip_grad_value_: clip_value must be >= 0; got {clip_value}")
    for grad in grads_of("clip_grad_value_", params):
        device_of(grad).xp.clip(grad, -clip_value, clip_value, out=grad)
