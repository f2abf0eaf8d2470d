"""Rows of a table by number, classes as vectors, attention, pixels from channels: compositions of other ops."""

import math

import numpy as np

from ..tensor import Tensor
from .activation import softmax
from .arithmetic import matmul
from .checks import images, whole
from .elementwise import masked_fill
from .reduced import beside
from .shape import getitem, reshape, transpose


def embedding(x, weight):
    """Rows of a table: y[...] = weight[x[...]].   x (...) integers   weight (M, D)   ->   y (..., D). An index."""
    index = beside(weight, x)
    if index.dtype.kind not in "iu" or weight.ndim != 2:
        raise ValueError(
            f"embedding: x must hold integers and weight be (M, D); got {index.dtype}, weight {weight.shape}"
        )
    if index.size and not 0 <= int(index.min()) <= int(index.max()) < weight.shape[0]:
        raise ValueError(f"embedding: x must be from 0 to {weight.shape[0] - 1}; found {index.min()} to {index.max()}")
    return getitem(weight, index=index)


def one_hot(x, num_classes=-1):
    """1 at the place of each class, else 0: integers.   x (...) integers   ->   y (..., num_classes), -1: as needed"""
    xp, index = x.device.xp, x.data
    classes = int(index.max()) + 1 if num_classes == -1 else whole("one_hot", "num_classes", num_classes)
    if index.size and not 0 <= int(index.min()) <= int(index.max()) < classes:
        raise ValueError(f"one_hot: x must be from 0 to {classes - 1}; found {index.min()} to {index.max()}")
    return Tensor((index[..., None] == xp.arange(classes)).astype(np.int64))


def scaled_dot_product_attention(query, key, value, attn_mask=None, is_causal=False, scale=None):
    """softmax(q k^T scale) v: each query's mean of the values, weighted by how keys match (Vaswani et al. 2017).

        query (..., L, D)   key (..., S, D)   value (..., S, E)   ->   y (..., L, E)

    attn_mask: booleans that broadcast to (..., L, S), False where nothing may be read, or numbers that are added to
    the scores; is_causal: query i reads keys 0 to i only; scale: 1 / sqrt(D) if None.
    """
    if min(query.ndim, key.ndim, value.ndim) < 2:
        shapes = query.shape, key.shape, value.shape
        raise ValueError(f"scaled_dot_product_attention: query, key and value need two axes or more; got {shapes}")
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    order = (*range(key.ndim - 2), key.ndim - 1, key.ndim - 2)
    scores = matmul(query * scale, transpose(key, axes=order))
    if is_causal:
        if attn_mask is not None:
            raise ValueError("scaled_dot_product_attention: give either attn_mask or is_causal, not both")
        attn_mask = query.device.xp.tri(query.shape[-2], key.shape[-2], dtype=bool)
    if attn_mask is not None:
        mask = beside(query, attn_mask)
        scores = masked_fill(scores, mask=~mask, value=-math.inf) if mask.dtype == bool else scores + mask
    return matmul(softmax(scores), value)


def pixel_shuffle(x, *, upscale_factor):
    """Channels as pixels (Shi et al. 2016).   x (N, H, W, C r r)   ->   y (N, H r, W r, C), r = upscale_factor

    y[n, h r + i, w r + j, c] = x[n, h, w, (c r + i) r + j], as torch has the channels. Reshape, transpose, reshape.
    """
    images("pixel_shuffle", x)
    r, (n, h, w, c) = whole("pixel_shuffle", "upscale_factor", upscale_factor), x.shape
    if c % (r * r):
        raise ValueError(f"pixel_shuffle: x must have a multiple of {r * r} channels (last axis); got {x.shape}")
    split = reshape(x, shape=(n, h, w, c // (r * r), r, r))
    return reshape(transpose(split, axes=(0, 1, 4, 2, 5, 3)), shape=(n, h * r, w * r, c // (r * r)))


def pixel_unshuffle(x, *, downscale_factor):
    """Pixels as channels, the inverse of pixel_shuffle.   x (N, H r, W r, C)   ->   y (N, H, W, C r r)"""
    images("pixel_unshuffle", x)
    r, (n, h, w, c) = whole("pixel_unshuffle", "downscale_factor", downscale_factor), x.shape
    if h % r or w % r:
        raise ValueError(f"pixel_unshuffle: {r} must divide x's height and width; got {x.shape}")
    split = reshape(x, shape=(n, h // r, r, w // r, r, c))
    return reshape(transpose(split, axes=(0, 1, 3, 5, 2, 4)), shape=(n, h // r, w // r, c * r * r))
