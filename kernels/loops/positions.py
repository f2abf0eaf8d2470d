"""Where things stand: the indices of an array, and the pixel that a tap of a window lies on."""

from itertools import product


def indices(shape):
    """All indices of an array of this shape, the last axis fastest."""
    return product(*map(range, shape))


def inside(i, j, hw):
    """Is (i, j) a pixel of the image, rather than of the padding?"""
    return 0 <= i < hw[0] and 0 <= j < hw[1]


def pixel(p, q, r, s, stride, padding, dilation):
    """i = p stride + r dilation - padding,   j = q stride + s dilation - padding"""
    return p * stride[0] + r * dilation[0] - padding[0], q * stride[1] + s * dilation[1] - padding[1]
