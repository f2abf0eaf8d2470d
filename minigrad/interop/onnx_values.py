"""What flows through an ONNX graph beside tensors and integers: images, with their channels last."""

from dataclasses import dataclass

from .. import ops
from ..tensor import Tensor

TO_LAST, TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


@dataclass(frozen=True)
class Image:
    """A tensor (N, H, W, C) that in the graph is (N, C, H, W)."""

    last: Tensor


def last(x):
    """The tensor with channels last."""
    if isinstance(x, Image):
        return x.last
    if x.ndim != 4:
        raise ValueError(f"only images of two dimensions (4 axes) are supported; got shape {x.shape}")
    return ops.transpose(x, axes=TO_LAST)


def first(x):
    """The tensor (or array) with its axes as in the graph."""
    return ops.transpose(x.last, axes=TO_FIRST) if isinstance(x, Image) else x
