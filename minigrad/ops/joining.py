"""Nodes where branches meet: concat. (add is in arithmetic; add_relu in fused.)"""

from itertools import accumulate

from ..precision import promoted
from ..tensor import op
from .checks import axis


@op(types=promoted, kernels_only=True)
def concat(ctx, *xs, dim=-1):
    """y = the xs joined along one axis (the channels, unless told otherwise);   dxs[i] = its own slice of dy

    (Inception modules: Szegedy et al. 2014. Dense blocks: Huang et al. 2017.)
    """
    if not xs:
        raise ValueError("concat: there must be at least one tensor")
    if not xs[0].ndim:
        raise ValueError("concat: tensors without axes can't be joined; reshape(1) them first")
    first, along = xs[0].shape, axis("concat", xs[0], dim)
    for i, x in enumerate(xs):
        if x.ndim != len(first) or x.shape[:along] + x.shape[along + 1 :] != first[:along] + first[along + 1 :]:
            raise ValueError(f"concat: xs[{i}] has shape {x.shape}, which differs from {first} beyond axis {along}")
    ends = list(accumulate(x.shape[along] for x in xs))
    slices = [(slice(None),) * along + (slice(start, end),) for start, end in zip([0, *ends], ends)]

    def backward(dy):
        return tuple(dy[s] for s in slices)

    k, y = ctx.kernels, None
    if along < len(first) - 1:
        y = ctx.empty((*first[:along], ends[-1], *first[along + 1 :]), xs[0].dtype)
        for x, part in zip(xs, slices):
            k.concat_forward([x], out=y[part])
    return k.concat_forward(xs) if y is None else y, backward
