"""How each origin lays its weights out in memory, and how they become minigrad's.

                    convolution            fully connected      what a flatten puts in a row
    minigrad        (K, R, S, C)           (K, C)               H, W, C
    torch           (K, C, R, S)           (K, C)               C, H, W
    keras           (R, S, C, K)           (C, K)               H, W, C
    caffe           (K, C, R, S)           (K, C)               C, H, W
    caffe, raw      (K, R, S, C)           (K, C)               not known: refused

(C / groups where there are groups; Keras' depthwise filters are (R, S, C, multiplier).) A shape that fits proves
nothing: a 3x3 filter of three channels has the same in torch and here.
"""

import math

import numpy as np

from .errors import WeightsError


def converted(origin, name, array, shape, maps=None):
    """An array of that origin, of a weight `name`, in minigrad's layout; its shape may still differ from `shape`.

    shape: what the net has. maps: (P, Q, C) of what was flattened before this fully-connected layer, or None.
    """
    return CONVERSIONS[origin](name, array, shape, maps)


def from_minigrad(name, array, shape, maps):
    return array


def from_torch(name, array, shape, maps):
    if array.ndim == 4:
        array = array.transpose(0, 2, 3, 1)
        return array.reshape(len(array), -1) if len(shape) == 2 else array  # a linear layer stored as a convolution
    if maps and array.ndim == 2 and array.shape[1] == math.prod(maps):
        p, q, c = maps
        return array.reshape(-1, c, p, q).transpose(0, 2, 3, 1).reshape(array.shape)
    return array


def from_keras(name, array, shape, maps):
    if name.endswith("depthwise_kernel"):
        return array.transpose(2, 3, 0, 1).reshape(-1, *array.shape[:2])[..., None]
    return array.transpose(3, 0, 1, 2) if array.ndim == 4 else array.T


def from_caffe(name, array, shape, maps):
    """Raw blobs have no shape: one axis."""
    if array.ndim > 1:
        return from_torch(name, array, shape, maps)
    if maps:
        raise WeightsError(f"{name}: the order of a flattened layer's inputs is not known for Caffe's raw blobs")
    return array.reshape(shape) if array.size == math.prod(shape) else array


CONVERSIONS = {"minigrad": from_minigrad, "torch": from_torch, "keras": from_keras, "caffe": from_caffe}


def to_torch(array, maps=None):
    """minigrad's array in torch's layout: the inverse of the conversion from torch."""
    if array.ndim == 4:
        return np.ascontiguousarray(array.transpose(0, 3, 1, 2))
    if maps and array.ndim == 2 and array.shape[1] == math.prod(maps):
        return np.ascontiguousarray(array.reshape(-1, *maps).transpose(0, 3, 1, 2)).reshape(array.shape)
    return array
